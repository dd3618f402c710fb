/** Reports, which read all tasks of a store or of a queue. */
import type { Report } from "@baton/core/Report"
import * as Cache from "effect/Cache"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Semaphore from "effect/Semaphore"

/** Reports that are kept: those of as many queues. */
const capacity = 32

const maxAge = Duration.seconds(10)

/**
 * Makes the report of a queue, or of all. Requests share a report that is being made or that was made within the last 10
 * seconds, and one is made at a time, so that the number of requests costs the store nothing.
 */
export const make = <E>(
  read: (queue: string | undefined) => Effect.Effect<Report, E>
): Effect.Effect<(queue: string | undefined) => Effect.Effect<Report, E>> =>
  Effect.gen(function* () {
    const one = yield* Semaphore.make(1)
    const reports = yield* Cache.makeWith((queue: string | undefined) => one.withPermits(1)(read(queue)), {
      capacity,
      timeToLive: (exit) => (Exit.isSuccess(exit) ? maxAge : Duration.zero)
    })
    return (queue) => Cache.get(reports, queue)
  })
