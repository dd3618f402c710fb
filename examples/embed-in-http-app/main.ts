/**
 * An HTTP app with two queues of AI work on PostgreSQL. Start it with DATABASE_URL, then:
 *
 *   curl -X POST localhost:3000/articles -H 'content-type: application/json' \
 *     -d '{"id": "a", "text": "It rained. Nobody came.", "language": "German"}'
 *   curl localhost:3000/articles/a/translation
 *   curl -N localhost:3000/baton/api/events
 *
 * On SIGTERM it ends within two seconds, whatever its clients do. The next start executes the interrupted tasks again.
 */
import { BatonServer } from "@baton/adapters/http"
import { PostgresTaskStore } from "@baton/adapters/postgres"
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Config, Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { createServer } from "node:http"
import { Api } from "./Api.ts"
import { handlers } from "./handlers.ts"
import { workers } from "./workers.ts"
import { Writer } from "./Writer.ts"

const store = Layer.unwrap(Effect.map(Config.Redacted("DATABASE_URL"), (url) => PostgresTaskStore.layer({ url })))

const server = Layer.unwrap(
  Effect.map(Config.Int("PORT").pipe(Config.withDefault(3000)), (port) =>
    NodeHttpServer.layer(createServer, { port, host: "127.0.0.1", gracefulShutdownTimeout: "500 millis" })
  )
)

const routes = Layer.merge(
  HttpApiBuilder.layer(Api).pipe(Layer.provide(handlers)),
  // The state of all queues, live: /baton/api/queues, /baton/api/events.
  BatonServer.layer({ path: "/baton" })
)

const app = Layer.merge(
  HttpRouter.serve(routes).pipe(Layer.provide(server)),
  // They stop before the store is closed. When one of them ends by itself, the app ends.
  workers({ drainTimeout: "1 second" }).pipe(Layer.provide(Writer.layerFake))
).pipe(Layer.provide(store))

Layer.launch(app).pipe(NodeRuntime.runMain)
