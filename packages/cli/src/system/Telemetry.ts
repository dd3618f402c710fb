/**
 * What a run tells machines that watch it. Nothing of it is loaded unless it is asked for.
 *
 * @since 0.1.0
 */
import type { TaskStore } from "@baton/core/TaskStore"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { CommandFailed } from "./CommandFailed.ts"
import type { Address } from "../settings/Kind.ts"

/**
 * Traces, metrics and logs over OTLP where the environment names a collector, and metrics for Prometheus where a port is
 * given.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (metricsPort: Address | undefined): Layer.Layer<never, CommandFailed, TaskStore> =>
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
      if (layers.length > 0) {
        const depth = yield* Effect.promise(() => import("./queueDepth.ts"))
        layers.push(depth.layer)
      }
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
 * Whether prompts and outputs may be part of traces: only if the standard variable of the GenAI instrumentations says so.
 *
 * @category configuration
 * @since 0.1.0
 */
export const capturesContent: Effect.Effect<boolean> = Effect.orElseSucceed(
  Config.Boolean("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"),
  () => false
)
