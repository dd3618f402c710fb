import { Effect, Queue, type Scope } from "effect"
import { type ChildProcess, fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { Command } from "./fixtures/process.ts"

type Reply = { readonly value: unknown } | { readonly error: string }

export interface OtherProcess {
  readonly pid: number
  /** Lets it do something; fails with what it said went wrong. */
  readonly call: (command: Command) => Effect.Effect<unknown, string>
  /** Tells it to do something, and does not wait. */
  readonly tell: (command: Command) => Effect.Effect<void>
  /** What it says next. */
  readonly reply: Effect.Effect<unknown, string>
  /** What it has said that nobody has listened to yet. */
  readonly replies: Effect.Effect<ReadonlyArray<Reply>>
  /** Ends it as a crash would, and waits until it is gone. */
  readonly kill: Effect.Effect<void>
}

const script = fileURLToPath(new URL("./fixtures/process.ts", import.meta.url))

const kill = (child: ChildProcess) =>
  Effect.callback<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    // Not "exit": what it said before is read by then.
    child.once("close", () => resume(Effect.void))
    child.kill("SIGKILL")
  })

/** A real process with nothing open yet; killed when the scope ends. */
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
