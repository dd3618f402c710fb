import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { accessSync, chownSync, constants, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"

/** The user that a server's process belongs to. */
export interface User {
  readonly uid: number
  readonly gid: number
}

/** A server that this process started and that listens on 127.0.0.1. */
export interface Server {
  readonly url: string
  readonly port: number
  /** Where its data are. */
  readonly folder: string
  /** Starts it again, on the same port and with the same data. Returns when it answers. */
  readonly start: () => Promise<void>
  /** Ends it in order, its connections included. */
  readonly stop: () => Promise<void>
  /** Ends it without giving it time to write anything. */
  readonly crash: () => Promise<void>
  /** Ends it for good and deletes its data. */
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

/** Where the program is: on the PATH, or where packages put servers that they keep off it; the newest version first. */
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

/** Another user to run a server that refuses to run as root; nothing where this is not root. */
export const unprivilegedUser = (...names: ReadonlyArray<string>): User | undefined => {
  if (process.getuid?.() !== 0) return undefined
  for (const name of names) {
    try {
      const id = (flag: string) => Number(execFileSync("id", [flag, name], { stdio: ["ignore", "pipe", "ignore"] }))
      return { uid: id("-u"), gid: id("-g") }
    } catch {
      // There is no such user: try the next.
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
  /** What it says once it answers. */
  readonly ready: RegExp
  readonly signals: { readonly stop: NodeJS.Signals; readonly crash: NodeJS.Signals }
}

/** How much of its output is shown when it does not start. */
const shownOutput = 2000

/** Starts the program, and ends it with this process at the latest. */
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
