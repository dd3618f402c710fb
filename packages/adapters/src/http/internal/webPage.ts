/** The files of the web page, or a list of the endpoints where there are none. */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as HttpPlatform from "effect/http/HttpPlatform"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as HttpStaticServer from "effect/http/HttpStaticServer"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import { Api } from "../BatonApi.ts"
import { notFound } from "./guard.ts"

export const layer = (
  folder: string | undefined
): Layer.Layer<never, never, HttpRouter.HttpRouter | FileSystem.FileSystem | Path.Path | HttpPlatform.HttpPlatform> =>
  folder === undefined
    ? HttpRouter.add("GET", "/", Effect.succeed(HttpServerResponse.text(endpointList, { contentType: html })))
    : Layer.merge(
        Layer.orDie(HttpStaticServer.layer({ root: folder, spa: true })),
        // Not a view of the page.
        HttpRouter.add("GET", "/api/*", Effect.succeed(notFound))
      )

const html = "text/html; charset=utf-8"

const endpoints = Object.values(Api.groups.baton.endpoints).map(
  ({ method, path }) => `<li><code>${method} ${path}</code></li>`
)

const endpointList = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Baton</title></head>
<body>
<h1>Baton</h1>
<p>This server has no web page. It serves this API, which <a href="api/openapi.json">api/openapi.json</a> describes:</p>
<ul>
${endpoints.join("\n")}
</ul>
</body>
</html>
`
