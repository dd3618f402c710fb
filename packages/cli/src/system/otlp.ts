/** Sends traces, metrics and logs to an OpenTelemetry collector, configured by the standard `OTEL_*` variables. */
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as Otlp from "effect/observability/Otlp"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import manifest from "../../package.json" with { type: "json" }
import { CommandFailed } from "./CommandFailed.ts"

/**
 * Exports over OTLP/HTTP, encoded as `OTEL_EXPORTER_OTLP_PROTOCOL` requires: `http/protobuf` (the default) or `http/json`.
 * At the end, pending data is sent within the exporter's timeout. An unreachable collector does not affect the run.
 */
export const layer: Layer.Layer<never, CommandFailed> = Layer.unwrap(
  Effect.gen(function* () {
    const protocol = yield* Effect.orElseSucceed(Config.NonEmptyString("OTEL_EXPORTER_OTLP_PROTOCOL"), () => protobuf)
    if (protocol !== protobuf && protocol !== json) {
      return yield* new CommandFailed({
        message: `OTEL_EXPORTER_OTLP_PROTOCOL is "${protocol}": it takes ${protobuf} or ${json}.`
      })
    }
    const named = yield* Effect.forEach(["OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"], (name) =>
      Effect.orElseSucceed(Config.String(name), () => "")
    )
    const isNamed = named[0] !== "" || named[1]?.includes("service.name=")
    return Otlp.layerFromConfig({
      resource: { ...(isNamed ? {} : { serviceName: "baton" }), serviceVersion: manifest.version },
      loggerMergeWithExisting: true
    }).pipe(
      Layer.provide(protocol === json ? OtlpSerialization.layerJson : OtlpSerialization.layerProtobuf),
      Layer.provide(FetchHttpClient.layer),
      Layer.provide(ConfigProvider.layerAdd(defaults)),
      Layer.catchCause((cause) =>
        Layer.effectDiscard(
          Effect.fail(
            new CommandFailed({ message: `The OTEL_* variables are invalid: ${messageOf(Cause.squash(cause))}` })
          )
        )
      )
    )
  })
)

/** The defaults of the specification: with an endpoint, all signals are exported. */
const defaults = ConfigProvider.fromUnknown({
  OTEL_TRACES_EXPORTER: ["otlp"],
  OTEL_METRICS_EXPORTER: ["otlp"],
  OTEL_LOGS_EXPORTER: ["otlp"]
})

const protobuf = "http/protobuf"
const json = "http/json"

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))
