/** Serves metrics to Prometheus. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import { createServer } from "node:http"
import { CommandFailed } from "./CommandFailed.ts"
import type { Address } from "../settings/Kind.ts"

/** Answers `GET /metrics` in the text format of Prometheus while a run lasts. */
export const layer = ({ host, port }: Address): Layer.Layer<never, CommandFailed> =>
  HttpRouter.serve(PrometheusMetrics.layerHttp(), { disableLogger: true, disableListenLog: true }).pipe(
    // Prometheus holds its connection open; nobody waits for it at the end.
    Layer.provide(NodeHttpServer.layer(createServer, { host, port, gracefulShutdownTimeout: 0 })),
    Layer.catchTag("ServeError", ({ cause }) =>
      Layer.effectDiscard(
        new CommandFailed({ message: `--metrics-port ${host}:${port} cannot be used: ${why(cause)}.` })
      )
    )
  )

const why = (cause: unknown): string => {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined
  if (code === "EADDRINUSE") return "another process listens there"
  if (code === "EACCES") return "permission denied; ports from 1024 on need none"
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND") return "this machine has no such address"
  return cause instanceof Error ? cause.message : String(cause)
}
