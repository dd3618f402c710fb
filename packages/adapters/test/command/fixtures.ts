import { Command, CommandExecutor, CommandVerifier } from "@baton/adapters/command"
import { Attempt, type AttemptContext, Execution, Executor, Task, Verifier } from "@baton/core"
import { NodeServices } from "@effect/platform-node"
import { DateTime, Effect, Layer } from "effect"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const now = DateTime.makeUnsafe("2026-01-01T00:00:00Z")

export const task = (options?: Partial<Task.Task>): Task.Task => ({
  id: Task.TaskId.make("task-1"),
  queue: "default",
  description: "describe it",
  overrides: {},
  status: "in_progress",
  attempts: 1,
  metadata: {},
  priority: 0,
  availableAt: now,
  dependsOn: [],
  verified: false,
  requeues: 0,
  createdAt: now,
  updatedAt: now,
  ...options
})

export const attempt = (options?: Partial<AttemptContext>): AttemptContext => ({
  attempt: 1,
  leaseToken: Attempt.LeaseToken.make(1),
  idempotencyKey: "task-1/1",
  dependencies: Effect.succeed([]),
  progress: () => Effect.void,
  earlierAttempts: Effect.succeed([]),
  spend: ({ call }) => call,
  ...options
})

export const sh = Command.shell

/** Runs a script with this Node. */
export const node = (script: string) => Command.make(process.execPath, ["-e", script])

type ExecutorOptions = Parameters<typeof CommandExecutor.layer>[0]
export const layer = (options: ExecutorOptions) =>
  CommandExecutor.layer(options).pipe(Layer.provide(NodeServices.layer))

type VerifierOptions = Parameters<typeof CommandVerifier.layer>[0]

export const execute = (
  options: ExecutorOptions,
  what: { readonly task?: Partial<Task.Task>; readonly attempt?: Partial<AttemptContext> } = {}
) =>
  Executor.Executor.use((executor) => executor.execute(task(what.task), attempt(what.attempt))).pipe(
    Effect.provide(layer(options))
  )

export const verify = (options: VerifierOptions, output = "", description = "describe it") =>
  Verifier.Verifier.use((verifier) =>
    verifier.verify(task({ description }), Execution.make({ output }), attempt())
  ).pipe(Effect.provide(CommandVerifier.layer(options).pipe(Layer.provide(NodeServices.layer))))

export const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "baton-test-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** Looks every 20 ms, on the live clock, until there is something. */
export const until = <A>(look: () => A | undefined): Effect.Effect<A> =>
  Effect.suspend(() => {
    const found = look()
    return found === undefined ? Effect.andThen(Effect.sleep("20 millis"), until(look)) : Effect.succeed(found)
  })

export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

export const untilGone = (pid: number) => until(() => (isAlive(pid) ? undefined : true))

/** The process ids in a file, once there are as many as expected. */
export const untilPids = (file: string, count: number) =>
  until(() => {
    const pids = existsSync(file) ? readFileSync(file, "utf8").split("\n").filter(Boolean).map(Number) : []
    return pids.length === count ? pids : undefined
  })

/** A leader and a child that both ignore SIGTERM, and write their process ids into a file. */
export const stubborn = (file: string) =>
  sh(`trap '' TERM; (trap '' TERM; while :; do sleep 1; done) & printf '%s\\n' "$!" "$$" > '${file}'; wait; wait; wait`)
