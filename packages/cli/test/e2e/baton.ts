import { it } from "@effect/vitest"
import { Effect, Queue, Schema, type Scope } from "effect"
import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { baton } from "./inProcess.ts"

export const program = fileURLToPath(new URL("../../dist/baton.js", import.meta.url))

/** The result of a process and its output. */
export interface ProcessResult {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly pid: number
  readonly ended: Effect.Effect<ProcessResult>
  readonly kill: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Waits for the next event with this name on stdout (`--output ndjson`); fails if the process exits first. */
  readonly event: (name: string) => Effect.Effect<EventLine>
  /** Waits until stdout matches; fails if the process exits first. */
  readonly printed: (pattern: RegExp) => Effect.Effect<RegExpExecArray>
}

export const EventLine = Schema.Struct({
  event: Schema.String,
  taskId: Schema.optionalKey(Schema.String),
  attempt: Schema.optionalKey(Schema.Int)
})
export type EventLine = typeof EventLine.Type
const decodeLine = Schema.decodeUnknownSync(Schema.fromJsonString(EventLine))

/** A temporary folder for a test. */
export const folder = Effect.acquireRelease(
  Effect.sync(() => {
    const path = mkdtempSync(join(tmpdir(), "baton-e2e-"))
    return {
      path,
      write: (name: string, text: string) => writeFileSync(join(path, name), text),
      read: (name: string) => readFileSync(join(path, name), "utf8"),
      entries: () => readdirSync(path),
      lines: (name: string) =>
        readFileSync(join(path, name), "utf8")
          .split("\n")
          .filter((line) => line !== "")
    }
  }),
  ({ path }) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** The temporary folder of a test. */
export type Folder = Effect.Success<typeof folder>

/** A test of the built program, in its own folder. */
export const live = (name: string, test: (dir: Folder) => Effect.Effect<void>) =>
  it.live(name, () => Effect.flatMap(folder, test))

/** Starts the built `baton`; it is killed when the scope closes. */
export const start = (
  cwd: string,
  args: ReadonlyArray<string>,
  env: Record<string, string> = {}
): Effect.Effect<Running, never, Scope.Scope> =>
  Effect.gen(function* () {
    const lines = yield* Queue.unbounded<EventLine | null>()
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, [program, ...args], { cwd, env: { PATH: process.env["PATH"] ?? "", ...env } })
      ),
      (child) =>
        Effect.sync(() => {
          child.kill("SIGKILL")
        })
    )
    child.stdin.end()
    const result = collect(child, (line) => {
      if (line.startsWith('{"event"')) Queue.offerUnsafe(lines, decodeLine(line))
    })
    const ended = Effect.promise(() => result)
    void result.then(() => Queue.offerUnsafe(lines, null))
    return {
      pid: child.pid ?? 0,
      ended,
      kill: (signal) =>
        Effect.sync(() => {
          child.kill(signal)
        }),
      printed: (pattern) =>
        Effect.callback((resume) => {
          let text = ""
          child.stdout.on("data", (chunk: string) => {
            const match = pattern.exec((text += chunk))
            if (match !== null) resume(Effect.succeed(match))
          })
          void result.then(({ stderr }) =>
            resume(Effect.die(new Error(`ended before it printed ${pattern}: ${stderr}`)))
          )
        }),
      event: (name) =>
        Effect.gen(function* () {
          while (true) {
            const line = yield* Queue.take(lines)
            // Later calls need the end too.
            if (line === null) Queue.offerUnsafe(lines, null)
            if (line === null) return yield* Effect.die(new Error(`ended before ${name}: ${(yield* ended).stderr}`))
            if (line.event === name) return line
          }
        })
    }
  })

/** Waits until a process exits, and calls `onLine` for each line of its output. */
export const collect = (
  child: ChildProcessWithoutNullStreams,
  onLine: (line: string) => void
): Promise<ProcessResult> =>
  new Promise((resolve) => {
    let stdout = ""
    let stderr = ""
    let rest = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text
      const parts = (rest + text).split("\n")
      rest = parts.pop() ?? ""
      parts.forEach(onLine)
    })
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text))
    child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr }))
  })

/** Runs the built `baton` and waits until it exits. */
export const built = (
  cwd: string,
  args: ReadonlyArray<string>,
  env?: Record<string, string>
): Effect.Effect<ProcessResult> => Effect.scoped(Effect.flatMap(start(cwd, args, env), ({ ended }) => ended))

export { baton }

export const StoredTask = Schema.Struct({
  id: Schema.String,
  status: Schema.String,
  description: Schema.String,
  result: Schema.optionalKey(Schema.String),
  attempts: Schema.Int,
  feedback: Schema.optionalKey(Schema.String),
  verified: Schema.Boolean
})
const decodeTasks = Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Array(StoredTask)))

/** All tasks of a store, from `baton list --json`. */
export const list = (cwd: string, args: ReadonlyArray<string> = []) =>
  Effect.map(baton(cwd, ["list", "--all", "--json", ...args]), ({ stdout }) => decodeTasks(stdout))

/** Whether a process exists. */
export const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
