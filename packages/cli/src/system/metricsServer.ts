/** Serves metrics to Prometheus. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import { createServer } from "node:http"
import { CommandFailed } from "./CommandFailed.ts"
import { reasonOf } from "./listening.ts"

/** Serves `GET /metrics` in the Prometheus text format during a run. */
export const layer = ({
  host,
  port
}: {
  readonly host: string
  readonly port: number
}): Layer.Layer<never, CommandFailed> =>
  HttpRouter.serve(PrometheusMetrics.layerHttp(), { disableLogger: true, disableListenLog: true }).pipe(
    // No graceful shutdown, because Prometheus keeps its connection open.
    Layer.provide(NodeHttpServer.layer(createServer, { host, port, gracefulShutdownTimeout: 0 })),
    Layer.catchTag("ServeError", ({ cause }) =>
      Layer.effectDiscard(
        new CommandFailed({ message: `--metrics-port ${host}:${port} cannot be used: ${reasonOf(cause)}.` })
      )
    )
  )
