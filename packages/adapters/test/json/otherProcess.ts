import { Effect, Queue, type Scope } from "effect"
import { type ChildProcess, fork } from "node:child_process"
import { bundle } from "../bundle.ts"
import type { Command } from "./fixtures/process.ts"

type Reply = { readonly value: unknown } | { readonly error: string }

export interface OtherProcess {
  readonly pid: number
  /** Runs a command; fails with its error message. */
  readonly call: (command: Command) => Effect.Effect<unknown, string>
  /** Sends a command, and does not wait. */
  readonly tell: (command: Command) => Effect.Effect<void>
  /** The next message. */
  readonly reply: Effect.Effect<unknown, string>
  /** The messages that were not read yet. */
  readonly replies: Effect.Effect<ReadonlyArray<Reply>>
  /** Kills it, as a crash would, and waits until it has ended. */
  readonly kill: Effect.Effect<void>
}

const script = await bundle(new URL("./fixtures/process.ts", import.meta.url))

const kill = (child: ChildProcess) =>
  Effect.callback<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    // Not "exit": its earlier messages are read by then.
    child.once("close", () => resume(Effect.void))
    child.kill("SIGKILL")
  })

/** A process without an open store. It is killed when the scope is closed. */
export const make: Effect.Effect<OtherProcess, never, Scope.Scope> = Effect.gen(function* () {
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => fork(script, { execArgv: [] })),
    kill
  )
  const queue = yield* Queue.unbounded<Reply>()
  child.on("message", (reply: Reply) => Queue.offerUnsafe(queue, reply))
  const reply = Effect.flatMap(Queue.take(queue), (reply) =>
    "error" in reply ? Effect.fail(reply.error) : Effect.succeed(reply.value)
  )
  const tell = (command: Command) => Effect.sync(() => void child.send(command))
  return {
    pid: child.pid ?? 0,
    call: (command) => Effect.andThen(tell(command), reply),
    tell,
    reply,
    replies: Queue.clear(queue),
    kill: kill(child)
  }
})
