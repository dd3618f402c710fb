/** Events as JSON lines: `{"event":"TaskCompleted","at":"2026-11-21T08:30:12.345Z","taskId":...}`. */
import type { Event } from "@baton/core/Event"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type { PlatformError } from "effect/PlatformError"
import type * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { writeAll } from "./stdout.ts"

/**
 * An event as one line, without a line break: the encoding of the event's schema, with the tag in the field `event`.
 *
 * Encoded by hand for speed: all fields except the time are already JSON values.
 */
export const eventJson = ({ _tag, at, ...fields }: Event): string =>
  JSON.stringify({ event: _tag, at: DateTime.formatIso(at), ...fields })

/**
 * Runs an effect and writes its rendered events, including the last one. If an event cannot be written, for example because
 * the pipe was closed, the run is interrupted and fails with that error.
 *
 * This is not a hook, because slow hooks are cut off. A slow reader makes the run wait instead.
 */
export const withEvents = <A, E, R>(
  run: Effect.Effect<A, E, R>,
  events: Stream.Stream<Event>,
  render: (event: Event) => string
): Effect.Effect<A, E | PlatformError, R | Stdio.Stdio> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      let started = false
      const writer = yield* events.pipe(
        Stream.takeUntil((event) => event._tag === "RunEnded"),
        Stream.mapArray((events) => {
          started = true
          return [events.map(render).join("")]
        }),
        writeAll,
        Effect.interruptible,
        // Subscribed before the run starts, so that no event is missed.
        Effect.forkChild({ startImmediately: true })
      )
      const broken = Effect.matchEffect(Fiber.join(writer), { onFailure: Effect.fail, onSuccess: () => Effect.never })
      const exit = yield* Effect.exit(restore(Effect.raceFirst(run, broken)))
      if (started) yield* Exit.hasInterrupts(exit) ? waitFor(writer) : restore(Fiber.await(writer))
      // A run that was interrupted before its start has no last event, and a reader that stalls gets no more of them.
      if (writer.pollUnsafe() === undefined) yield* Effect.forkDetach(Fiber.interrupt(writer))
      return yield* exit
    })
  )

/** A signal ends the process in time, even if the reader of standard output stalls. */
const flushTimeout = Duration.seconds(5)

/** Detached and awaited, because the caller is interrupted already. */
const waitFor = (writer: Fiber.Fiber<unknown, unknown>) =>
  Fiber.await(writer).pipe(
    Effect.timeoutOption(flushTimeout),
    Effect.interruptible,
    Effect.forkDetach,
    Effect.flatMap(Fiber.await)
  )
