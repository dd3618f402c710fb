import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as QueuePause from "../../QueuePause.ts"
import type { Pauses } from "../../TaskStore.ts"
import type * as Driver from "../../TaskStoreDriver.ts"
import type { TaskStoreError } from "../../TaskStoreError.ts"
import * as Codec from "./codec.ts"

/** What pauses need of their store. */
export interface StoreParts {
  readonly decoded: <A>(read: () => A) => Effect.Effect<A, TaskStoreError>
  /** The control revision has grown, and what may be claimed has changed. */
  readonly announce: Effect.Effect<void>
}

/** The pauses of a store whose driver keeps them. */
export const make = (driver: Driver.Pauses, { announce, decoded }: StoreParts): Pauses => ({
  // Rows of pauses that are over stay until the next pause takes their place.
  list: Effect.flatMap(driver.list, (rows) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      decoded(() =>
        rows
          .map(Codec.pause)
          .filter((pause) => QueuePause.claimable(QueuePause.timesOf(pause), now) !== "all")
          .sort((left, right) => (left.queue < right.queue ? -1 : 1))
      )
    )
  ),

  pause: (queue, options) =>
    Effect.tap(
      Effect.flatMap(driver.set(Codec.pauseChange(queue, options)), (row) => decoded(() => Codec.pause(row))),
      () => announce
    ),

  resume: (queue, options) =>
    Effect.tap(driver.remove(queue, options?.revision ?? null), (isResumed) => (isResumed ? announce : Effect.void))
})
