/**
 * Runs a program for events of a run. The program receives the event as JSON on standard input and its main fields as
 * environment variables. Event data never becomes part of the command line.
 *
 * | variable | |
 * |---|---|
 * | `BATON_EVENT` | `RunStarted`, `TaskRetried`, `TaskCompleted`, `TaskFailed` or `RunEnded` |
 * | `BATON_TASK_ID`, `BATON_ATTEMPT` | the task and the number of the attempt |
 * | `BATON_FEEDBACK` | why the attempt or the task failed, cut to 32 Ki characters |
 * | `BATON_STOP_REASON` | why the run ended: `Drained`, `Stopped`, `Interrupted`, `LimitReached`, `Failed` |
 *
 * Each flag runs one program at a time, for at most one minute. The program's output is only shown if the program fails.
 */
import * as Command from "@baton/adapters/command"
import type { Event } from "@baton/core/Event"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import type * as Scope from "effect/Scope"
import { eventJson } from "../view/events.ts"
import * as Delivery from "./Delivery.ts"

const timeout = Duration.minutes(1)
const stop = [{ signal: "SIGTERM", grace: Duration.seconds(1) }] as const

/** Runs the program for one kind of event, until its scope ends. */
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
    if (ended.endedBy === "itself" && ended.exitCode === 0) return
    const detail = printed.trim().split("\n").at(-1) ?? ""
    return yield* new Delivery.DeliveryFailed({ message: describeExit(ended), ...(detail === "" ? {} : { detail }) })
  })

  return yield* Delivery.make({ name, deliver, concurrency: 1, wants: ({ _tag }) => _tag === options.event })
})

const tail = 2048

const describeExit = ({ endedBy, exitCode, signal }: Command.Program.ProgramExit): string => {
  if (endedBy === "timeout") return `The program was stopped after ${Duration.format(timeout)}`
  return signal === null ? `The program exited with code ${exitCode}` : `The program was killed by ${signal}`
}

const variablesOf = (event: Event): Record<string, string | undefined> => ({
  BATON_EVENT: event._tag,
  BATON_TASK_ID: "taskId" in event ? plain(event.taskId) : undefined,
  BATON_ATTEMPT: "attempt" in event ? String(event.attempt) : undefined,
  BATON_FEEDBACK: "feedback" in event ? plain(event.feedback) : undefined,
  BATON_STOP_REASON: event._tag === "RunEnded" ? event.reason._tag : undefined
})

// A variable ends at its first NUL, and the system limits its length.
const plain = (text: string) =>
  text
    .slice(0, 32 * 1024)
    .replaceAll("\0", "")
    .toWellFormed()
