/**
 * How many tasks the store holds, as a metric.
 *
 * @since 0.1.0
 */
import { TaskStore } from "@baton/core/TaskStore"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"

/**
 * Tasks in the store, by `status`; `waiting` is the part of `pending` that waits for another task.
 *
 * @category metrics
 * @since 0.1.0
 */
export const tasks = Metric.gauge("baton_tasks", { description: "Tasks in the store" })

const statuses = (["pending", "waiting", "in_progress", "completed", "failed", "cancelled"] as const).map(
  (status) => [status, Metric.withAttributes(tasks, { status })] as const
)

/**
 * Keeps the metric up to date, as often as Prometheus looks by default. A store that does not answer leaves it as it is.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, never, TaskStore> = Layer.effectDiscard(
  Effect.gen(function* () {
    const store = yield* TaskStore
    const update = Effect.gen(function* () {
      const counts = yield* store.counts
      for (const [status, metric] of statuses) yield* Metric.update(metric, counts[status])
    })
    yield* Effect.ignore(update).pipe(
      Effect.andThen(Effect.sleep("15 seconds")),
      Effect.forever,
      Effect.forkScoped({ startImmediately: true })
    )
  })
)
