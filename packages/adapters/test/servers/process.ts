import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { accessSync, chownSync, constants, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"

/** The user of a server's process. */
export interface User {
  readonly uid: number
  readonly gid: number
}

/** A server that this process started and that listens on 127.0.0.1. */
export interface Server {
  readonly url: string
  readonly port: number
  /** The folder of its data. */
  readonly folder: string
  /** Starts it again, on the same port and with the same data. Returns when it answers. */
  readonly start: () => Promise<void>
  /** Stops it in order, and closes its connections. */
  readonly stop: () => Promise<void>
  /** Kills it, so that it writes nothing more. */
  readonly crash: () => Promise<void>
  /** Stops it and deletes its data. */
  readonly remove: () => Promise<void>
}

const isExecutable = (file: string): boolean => {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const children = (folder: string): ReadonlyArray<string> => {
  try {
    return readdirSync(folder).map((name) => join(folder, name))
  } catch {
    return []
  }
}

/** The path of a program: on the PATH, or in the folders where packages put servers, the newest version first. */
export const findProgram = (name: string): string | undefined =>
  [
    ...(process.env.PATH ?? "").split(delimiter),
    ...[
      ...children("/usr/lib/postgresql"),
      ...children("/opt/homebrew/opt").filter((path) => path.includes("postgresql")),
      ...children("/usr/local/opt").filter((path) => path.includes("postgresql"))
    ]
      .toSorted((left, right) => right.localeCompare(left, "en", { numeric: true }))
      .map((path) => join(path, "bin"))
  ]
    .map((folder) => join(folder, name))
    .find(isExecutable)

/** A user for servers that refuse to run as root; undefined if this process is not root. */
export const unprivilegedUser = (...names: ReadonlyArray<string>): User | undefined => {
  if (process.getuid?.() !== 0) return undefined
  for (const name of names) {
    try {
      const id = (flag: string) => Number(execFileSync("id", [flag, name], { stdio: ["ignore", "pipe", "ignore"] }))
      return { uid: id("-u"), gid: id("-g") }
    } catch {
      // The user does not exist: try the next one.
    }
  }
  return undefined
}

export const makeFolder = (name: string, user: User | undefined): string => {
  const folder = mkdtempSync(join(tmpdir(), `baton-test-${name}-`))
  if (user !== undefined) chownSync(folder, user.uid, user.gid)
  return folder
}

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })

interface Program {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly user: User | undefined
  readonly folder: string
  /** The output that shows that it is ready. */
  readonly ready: RegExp
  readonly signals: { readonly stop: NodeJS.Signals; readonly crash: NodeJS.Signals }
}

/** The number of characters of output to show when it does not start. */
const shownOutput = 2000

/** Starts the program, and stops it when this process ends, if not earlier. */
export const serve = async (program: Program, url: string, port: number): Promise<Server> => {
  let child: ChildProcess | undefined

  const start = () =>
    new Promise<void>((resolve, reject) => {
      let output = ""
      const started = spawn(program.command, program.args, {
        cwd: program.folder,
        stdio: ["ignore", "pipe", "pipe"],
        ...program.user
      })
      child = started
      const listen = (chunk: Buffer) => {
        output = (output + chunk.toString()).slice(-shownOutput)
        if (program.ready.test(output)) resolve()
      }
      started.stdout.on("data", listen)
      started.stderr.on("data", listen)
      started.once("error", reject)
      started.once("exit", () => reject(new Error(`${program.command} did not start:\n${output}`)))
    })

  const end = (signal: NodeJS.Signals) =>
    new Promise<void>((resolve) => {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return resolve()
      child.once("exit", () => resolve())
      child.kill(signal)
    })

  const endWithProcess = () => {
    child?.kill(program.signals.crash)
    rmSync(program.folder, { recursive: true, force: true })
  }
  process.once("exit", endWithProcess)
  const remove = async () => {
    process.off("exit", endWithProcess)
    await end(program.signals.crash)
    rmSync(program.folder, { recursive: true, force: true, maxRetries: 5 })
  }

  const server: Server = {
    url,
    port,
    folder: program.folder,
    start,
    stop: () => end(program.signals.stop),
    crash: () => end(program.signals.crash),
    remove
  }
  try {
    await start()
    return server
  } catch (error) {
    await remove()
    throw error
  }
}
