/**
 * An HTTP app that runs an orchestrator. Start it, then:
 *
 *   curl -X POST localhost:3000/tasks -H 'content-type: application/json' -d '{"id": "a", "description": "greet"}'
 *   curl localhost:3000/tasks/a
 */
import { SqliteTaskStore } from "@baton/adapters/sqlite"
import { Executor, Orchestrator, Safety, Verifier } from "@baton/core"
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Layer } from "effect"
import { HttpRouter } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { createServer } from "node:http"
import { Api } from "./Api.ts"
import { handlers } from "./handlers.ts"

// In production: ClaudeExecutor.layer() and ClaudeVerifier.layer(), with ClaudeClient.layer({ apiKey }).
const orchestrator = Orchestrator.layer({ concurrency: 4 }).pipe(
  Layer.provide([
    Executor.layerFake(),
    Verifier.layerAlwaysPass,
    Safety.layerCircuitBreaker({ maxConsecutiveFailures: 20 })
  ])
)

const app = Layer.merge(
  HttpRouter.serve(HttpApiBuilder.layer(Api).pipe(Layer.provide(handlers))).pipe(
    Layer.provide(NodeHttpServer.layer(createServer, { port: 3000 }))
  ),
  // Stops before the store is closed. When it ends, the app ends.
  Orchestrator.layerWorker().pipe(Layer.provide(orchestrator))
).pipe(
  // Shared by the handlers and the worker.
  Layer.provide(SqliteTaskStore.layer({ filename: ".baton/app.db" }))
)

Layer.launch(app).pipe(NodeRuntime.runMain)
