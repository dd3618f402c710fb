/** Traces, metrics and logs of a run for other systems. Modules are loaded only if they are configured. */
import { TaskStore } from "@baton/core/TaskStore"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import type { CommandFailed } from "./CommandFailed.ts"

/**
 * Exports traces, metrics and logs over OTLP if the environment names a collector, and serves metrics for Prometheus if a
 * port is given.
 */
export const layer = (
  metricsPort: { readonly host: string; readonly port: number } | undefined
): Layer.Layer<never, CommandFailed, TaskStore> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const exports = yield* hasCollector
      const layers: Array<Layer.Layer<never, CommandFailed, TaskStore>> = []
      if (exports) {
        const otlp = yield* Effect.promise(() => import("./otlp.ts"))
        layers.push(otlp.layer)
      }
      if (metricsPort !== undefined) {
        const server = yield* Effect.promise(() => import("./metricsServer.ts"))
        layers.push(server.layer(metricsPort))
      }
      if (layers.length > 0) layers.push(layerQueueDepth)
      return layers.reduce((all, layer) => Layer.merge(all, layer), Layer.empty)
    })
  )

const endpoints = [
  "OTEL_EXPORTER_OTLP_ENDPOINT",
  "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
  "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
  "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"
]

const hasCollector = Effect.map(
  Effect.forEach(endpoints, (name) => Effect.option(Config.NonEmptyString(name))),
  (found) => found.some(({ _tag }) => _tag === "Some")
)

/**
 * Whether traces may contain prompts and outputs. Only the standard variable of the GenAI instrumentations enables it.
 */
export const capturesContent: Effect.Effect<boolean> = Effect.orElseSucceed(
  Config.Boolean("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"),
  () => false
)

/** Tasks in the store, by `status`; `waiting` is the part of `pending` that waits for dependencies. */
export const tasks = Metric.gauge("baton_tasks", { description: "Tasks in the store" })

const statuses = (["pending", "waiting", "in_progress", "in_review", "completed", "failed", "cancelled"] as const).map(
  (status) => [status, Metric.withAttributes(tasks, { status })] as const
)

/**
 * Updates the metric every 15 seconds, the default scrape interval of Prometheus. If the store does not respond, the metric
 * keeps its value.
 */
const layerQueueDepth: Layer.Layer<never, never, TaskStore> = Layer.effectDiscard(
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
