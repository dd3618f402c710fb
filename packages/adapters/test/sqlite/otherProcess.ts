import { Effect, type Scope } from "effect"
import { type ChildProcess, fork } from "node:child_process"
import { bundle } from "../bundle.ts"
import type { Command } from "./fixtures/process.ts"

export interface OtherProcess {
  /** Runs a command; fails with its error message. */
  readonly call: (command: Command) => Effect.Effect<unknown, string>
  /** Kills it, as a crash would, and waits until it has ended. */
  readonly kill: Effect.Effect<void>
}

const script = await bundle(new URL("./fixtures/process.ts", import.meta.url))

const kill = (child: ChildProcess) =>
  Effect.callback<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
    child.kill("SIGKILL")
  })

const call = (child: ChildProcess, command: Command) =>
  Effect.callback<unknown, string>((resume) => {
    child.once("message", (reply: { readonly value: unknown } | { readonly error: string }) =>
      resume("error" in reply ? Effect.fail(reply.error) : Effect.succeed(reply.value))
    )
    child.send(command)
  })

/** A process without an open store. It is killed when the scope is closed. */
export const idle: Effect.Effect<OtherProcess, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => fork(script, { execArgv: [] })),
    kill
  ),
  (child) => ({ call: (command) => call(child, command), kill: kill(child) })
)

/** A process that has opened the store. */
export const onStore = Effect.fnUntraced(function* (filename: string) {
  const other = yield* idle
  yield* other.call({ op: "open", filename })
  return other
})
