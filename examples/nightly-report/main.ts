/**
 * A runner. Start as many as you like, on any machines, each with its own address:
 *
 *   DATABASE_URL=postgres://... SITE=https://example.com HOST=10.0.0.7 PORT=4001 node main.ts
 *
 * A person decides about the report with `baton review --store postgres://...`.
 */
import { PostgresTaskStore } from "@baton/adapters/postgres"
import { Workflows } from "@baton/adapters/workflow"
import { NodeFileSystem, NodeRuntime } from "@effect/platform-node"
import { Config, Effect, Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import { nightly } from "./nightly.ts"
import { workers } from "./workers.ts"
import { Writer } from "./Writer.ts"

const settings = Config.all({
  url: Config.Redacted("DATABASE_URL"),
  site: Config.String("SITE"),
  host: Config.String("HOST").pipe(Config.withDefault("127.0.0.1")),
  port: Config.Int("PORT")
})

const runner = Layer.unwrap(
  Effect.map(settings, ({ host, port, site, url }) => {
    const urls = Array.from({ length: 50 }, (_, index) => `${site}/pages/${index + 1}`)
    return Layer.merge(nightly(urls), workers({ leaseDuration: "10 seconds" })).pipe(
      Layer.provide([Workflows.layerCluster({ url, host, port }), Writer.layerFake]),
      Layer.provide(PostgresTaskStore.layer({ url })),
      Layer.provide([FetchHttpClient.layer, NodeFileSystem.layer])
    )
  })
)

NodeRuntime.runMain(Layer.launch(runner))
