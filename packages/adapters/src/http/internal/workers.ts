/** The workers of queues. */
import { TaskStore, type Worker } from "@baton/core/TaskStore"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { limits, type Queue } from "./model.ts"

/** Reading the workers reads all tasks in progress, so everything that shows them shares a read of the last second. */
const maxAge = Duration.seconds(1)

/** The store, whose workers are read once a second at most. */
export const layerShared: Layer.Layer<TaskStore, never, TaskStore> = Layer.effect(
  TaskStore,
  Effect.gen(function* () {
    const store = yield* TaskStore
    const workers = yield* Effect.cachedWithTTL(store.workers, (exit) =>
      Exit.isSuccess(exit) ? maxAge : Duration.zero
    )
    return { ...store, workers }
  })
)

const none: Queue["workers"] = { total: 0, first: [] }

/** The workers by queue, those with the most running tasks first. */
export const byQueue = (workers: ReadonlyArray<Worker>): ((queue: string) => Queue["workers"]) => {
  const found = Map.groupBy(workers, ({ queue }): string => queue)
  return (queue) => {
    const ofQueue = found.get(queue)
    if (ofQueue === undefined) return none
    const first = ofQueue.toSorted((left, right) => right.running - left.running).slice(0, limits.workers)
    return { total: ofQueue.length, first }
  }
}
