/**
 * Runs a program for events of a run: the event as JSON on standard input, the essence of it in the environment, nothing of
 * it in the command line.
 *
 * | variable | |
 * |---|---|
 * | `BATON_EVENT` | `TaskCompleted`, `TaskFailed` or `RunEnded` |
 * | `BATON_TASK_ID`, `BATON_ATTEMPT` | of the task |
 * | `BATON_FEEDBACK` | why it failed, shortened to its first 32 Ki characters |
 * | `BATON_STOP_REASON` | why the run ended: `Drained`, `Stopped`, `Interrupted`, `LimitReached`, `Failed` |
 *
 * One program at a time for each flag, for a minute at most. What it prints is not shown, unless it fails.
 *
 * @since 0.1.0
 */
import * as Command from "@baton/adapters/command"
import type { Event } from "@baton/core/Event"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import type * as Scope from "effect/Scope"
import { eventJson } from "../view/eventJson.ts"
import * as Delivery from "./Delivery.ts"

const timeout = Duration.minutes(1)
const stop = [{ signal: "SIGTERM", grace: Duration.seconds(1) }] as const

/**
 * Runs the program for one kind of event, until its scope ends.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (options: {
  readonly name: string
  readonly command: Command.Command.Command
  readonly event: Event["_tag"]
}): Effect.fn.Return<Delivery.Delivery, never, ChildProcessSpawner | Scope.Scope> {
  const { command, name } = options
  const spawner = yield* ChildProcessSpawner

  const deliver = Effect.fnUntraced(function* (event: Event) {
    let printed = ""
    const decoder = new TextDecoder()
    const keep = (chunk: Uint8Array) => {
      printed = (printed + decoder.decode(chunk.subarray(-tail), { stream: true })).slice(-tail)
      return true
    }
    const ended = yield* Effect.mapError(
      Command.Program.run(spawner, {
        command,
        timeout,
        stop,
        stdin: `${eventJson(event)}\n`,
        env: variablesOf(event),
        stdout: keep,
        stderr: keep
      }),
      ({ message }) => new Delivery.DeliveryFailed({ message })
    )
    if (ended.by === "itself" && ended.exitCode === 0) return
    const detail = printed.trim().split("\n").at(-1) ?? ""
    return yield* new Delivery.DeliveryFailed({ message: ending(ended), ...(detail === "" ? {} : { detail }) })
  })

  return yield* Delivery.make({ name, deliver, concurrency: 1, wants: ({ _tag }) => _tag === options.event })
})

const tail = 2048

const ending = ({ by, exitCode, signal }: Command.Program.Ended): string => {
  if (by === "timeout") return `it took longer than ${Duration.format(timeout)} and was stopped`
  return signal === null ? `it exited with code ${exitCode}` : `it was killed by ${signal}`
}

const variablesOf = (event: Event): Record<string, string | undefined> => ({
  BATON_EVENT: event._tag,
  BATON_TASK_ID: "taskId" in event ? plain(event.taskId) : undefined,
  BATON_ATTEMPT: "attempt" in event ? String(event.attempt) : undefined,
  BATON_FEEDBACK: "feedback" in event ? plain(event.feedback) : undefined,
  BATON_STOP_REASON: event._tag === "RunEnded" ? event.reason._tag : undefined
})

// A variable ends at its first NUL, and the system takes none that is too long.
const plain = (text: string) =>
  text
    .slice(0, 32 * 1024)
    .replaceAll("\0", "")
    .toWellFormed()
