import { TaskStore } from "@baton/core"
import { NodeHttpServer } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
import { HttpApiBuilder, HttpApiClient } from "effect/http-api"
import { readdirSync, readFileSync } from "node:fs"
import { Api } from "../embed-in-http-app/Api.ts"
import { handlers } from "../embed-in-http-app/handlers.ts"
import { workers } from "../embed-in-http-app/workers.ts"
import { Writer } from "../embed-in-http-app/Writer.ts"

const server = HttpRouter.serve(HttpApiBuilder.layer(Api).pipe(Layer.provide(handlers)), {
  disableListenLog: true,
  disableLogger: true
}).pipe(Layer.provideMerge(NodeHttpServer.layerTest))

// The layers of `main.ts`, with other ones for PostgreSQL, the port and the writer.
const app = server.pipe(
  Layer.merge(workers({ onEnd: "log" }).pipe(Layer.provide(Writer.layerFake))),
  Layer.provide(TaskStore.layerMemory)
)

const article = { id: "a", text: "It rained. Nobody came.", language: "German" }

it.live("an app adds articles over HTTP and answers when their summaries are translated", () =>
  Effect.gen(function* () {
    const { articles } = yield* HttpApiClient.make(Api)
    assert.deepStrictEqual(yield* articles.add({ payload: article }), { id: "a", isNew: true })
    assert.deepStrictEqual(yield* articles.add({ payload: article }), { id: "a", isNew: false })
    assert.strictEqual(yield* articles.translation({ params: { id: "a" } }), "[German] It rained")
    assert.deepStrictEqual(yield* articles.get({ params: { id: "a" } }), {
      summary: "It rained",
      translation: "[German] It rained"
    })
    const exists = yield* Effect.flip(articles.add({ payload: { ...article, text: "It snowed." } }))
    assert.strictEqual(exists._tag, "ArticleExists")
    const missing = yield* Effect.flip(articles.get({ params: { id: "b" } }))
    assert.strictEqual(missing._tag, "ArticleNotFound")
  }).pipe(Effect.provide(app))
)

it("an app has as many lines as its README says", () => {
  const folder = new URL("../embed-in-http-app/", import.meta.url)
  const textOf = (name: string) => readFileSync(new URL(name, folder), "utf8")
  const readme = textOf("README.md")
  const said = Array.from(
    readme.matchAll(/^\| \[(\S+)\].* \| (\d+) \|/gm),
    ([, name, lines]) => [name, Number(lines)] as const
  )
  const files = readdirSync(folder).filter((name) => name.endsWith(".ts"))
  const counted = files.map((name) => [name, textOf(name).split("\n").length - 1] as const)
  assert.deepStrictEqual(Object.fromEntries(said), Object.fromEntries(counted))
  assert.include(readme, `Together ${counted.reduce((sum, [, lines]) => sum + lines, 0)} lines`)
})
