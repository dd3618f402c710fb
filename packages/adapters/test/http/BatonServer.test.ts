import { NodeHttpServer } from "@effect/platform-node"
import { TaskStore } from "@baton/core"
import { BatonServer } from "@baton/adapters/http"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { mkdirSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { join } from "node:path"
import { folder } from "../sqlite/temporary.ts"
import { request } from "./request.ts"
import * as Server from "./server.ts"

/** A folder with a page, as a build of it looks, next to a file that is not part of it. */
const pageFolder = Effect.map(folder, (path) => {
  const files = join(path, "page")
  mkdirSync(join(files, "assets"), { recursive: true })
  writeFileSync(join(files, "index.html"), "<title>Tasks</title>")
  writeFileSync(join(files, "assets", "index-a1b2.js"), "export {}")
  writeFileSync(join(path, "secret.txt"), "secret")
  return files
})

describe("BatonServer", () => {
  it.effect("serves the files of a page, and its first file for the paths of its views", () =>
    Effect.gen(function* () {
      const files = yield* pageFolder
      const program = Effect.gen(function* () {
        const { url } = yield* Server.Served
        for (const path of ["/", "/tasks/prompts%2F1", "/failures?queue=a"]) {
          const page = yield* request(url + path, { headers: { accept: "text/html" } })
          assert.deepInclude(page, { status: 200, body: "<title>Tasks</title>" }, path)
          assert.strictEqual(page.headers["cache-control"], "no-cache")
          assert.include(page.headers["content-security-policy"], "script-src 'self'")
        }
        const script = yield* request(`${url}/assets/index-a1b2.js`)
        assert.strictEqual(script.headers["content-type"], "text/javascript; charset=utf-8")
        assert.include(script.headers["cache-control"], "immutable")
        for (const path of ["/../secret.txt", "/..%2Fsecret.txt", "/assets/missing.js", "/%00"]) {
          const missing = yield* request(url + path)
          assert.strictEqual(missing.status, 404, path)
          assert.notInclude(missing.body, "secret\n")
        }
        assert.strictEqual((yield* request(`${url}/api/missing`, { headers: { accept: "text/html" } })).status, 404)
        assert.strictEqual((yield* request(`${url}/api/queues`)).status, 200)
      })
      yield* Effect.provide(program, Server.layer({ files }))
    })
  )

  it.effect("lives in the router of another application, and leaves its routes alone", () =>
    Effect.gen(function* () {
      const url = yield* HttpServer.addressFormattedWith(Effect.succeed)
      const other = { headers: { host: "shop.example" } }
      assert.strictEqual((yield* request(`${url}/`, other)).body, "shop")
      assert.isUndefined((yield* request(`${url}/`, other)).headers["content-security-policy"])
      assert.strictEqual((yield* request(`${url}/tasks/api/queues`)).status, 200)
      assert.strictEqual((yield* request(`${url}/tasks/api/queues`, other)).status, 403)
      assert.strictEqual((yield* request(`${url}/tasks/`)).status, 200)
      const redirected = yield* request(`${url}/tasks?theme=dark`)
      assert.strictEqual(redirected.status, 308)
      assert.strictEqual(redirected.headers.location, "/tasks/?theme=dark")
      assert.strictEqual((yield* request(`${url}/tasks/api/tasks/missing`)).status, 404)
    }).pipe(
      Effect.provide(
        HttpRouter.serve(
          Layer.merge(
            HttpRouter.add("GET", "/", Effect.succeed(HttpServerResponse.text("shop"))),
            BatonServer.layer({ path: "/tasks" })
          ),
          { disableLogger: true, disableListenLog: true }
        ).pipe(
          Layer.provide(TaskStore.layerMemory),
          Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
        )
      )
    )
  )
})
