/** Events as JSON lines: `{"event":"TaskCompleted","at":"2026-11-21T08:30:12.345Z","taskId":...}`. */
import type { Event } from "@baton/core/Event"
import type { Orchestrator } from "@baton/core/Orchestrator"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { PlatformError } from "effect/PlatformError"
import type * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { writeAll } from "./stdout.ts"

/**
 * One event as a line, without its line break.
 *
 * Written by hand for speed: apart from its time an event is made of JSON values already. It is what the schema of events
 * encodes to, with the tag under `event`.
 */
export const eventJson = ({ _tag, at, ...fields }: Event): string =>
  JSON.stringify({ event: _tag, at: DateTime.formatIso(at), ...fields })

/**
 * Runs, and writes what `render` makes of the events, the last one included. When they cannot be written any more, because
 * nobody reads them for instance, the run ends as by a signal, and with that error.
 *
 * Not a hook: hooks that take too long are cut off, and a reader may take all the time it wants. The run waits for it.
 */
export const withEvents = <A, E, R>(
  run: Effect.Effect<A, E, R>,
  events: Orchestrator["Service"]["events"],
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
      // A run that was interrupted before it started has no last event to wait for.
      yield* started ? Fiber.await(writer) : Fiber.interrupt(writer)
      return yield* exit
    })
  )
