/**
 * Serves the HTTP API of a store, its live events and the web page, in an existing `HttpRouter`. It reads and writes through
 * `TaskStore` alone, so it works on every store, and can run on another machine than the workers.
 *
 * Requests from pages of other sites are refused, and so are requests under a name that is not this server's. Without a
 * token, only programs on the same machine are answered.
 *
 * @since 0.1.0
 */
import type { TaskStore } from "@baton/core/TaskStore"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import type * as Etag from "effect/http/Etag"
import type * as HttpPlatform from "effect/http/HttpPlatform"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import { Api } from "./BatonApi.ts"
import type * as BatonMcp from "./BatonMcp.ts"
import * as Access from "./internal/access.ts"
import { layer as layerEvents } from "./internal/events.ts"
import { answered, guard, layerRequestErrors } from "./internal/guard.ts"
import * as Handlers from "./internal/handlers.ts"
import * as Mcp from "./internal/mcp/server.ts"
import * as WebPage from "./internal/webPage.ts"
import { layerShared } from "./internal/workers.ts"

/**
 * A token that a server accepts, with its role.
 *
 * @category configuration
 * @since 0.2.0
 */
export interface Token extends Access.Token {}

/**
 * @category configuration
 * @since 0.1.0
 */
export interface Options {
  /** Where the server is mounted in the router. Default: `/`. */
  readonly path?: `/${string}` | undefined
  /** One of these is required from every request to the API, as `Authorization: Bearer TOKEN`. Default: none. */
  readonly tokens?: ReadonlyArray<Token> | undefined
  /** What agents may do at `/mcp` besides what their token permits: see `BatonMcp.Options`. Default: nothing. */
  readonly allow?: BatonMcp.Options["allow"]
  /** Refuse every change. Default: false. */
  readonly readOnly?: boolean | undefined
  /** The streams of events end when this effect does, so that a shutdown need not cut them. Default: never. */
  readonly until?: Effect.Effect<void> | undefined
  /** The names by which the server is reached, besides its addresses and `localhost`. */
  readonly hosts?: ReadonlyArray<string> | undefined
  /** The folder with the files of the web page. */
  readonly files?: string | undefined
}

/**
 * Mounts the server. Give `until` to end the streams of live events before the HTTP server shuts down.
 *
 * **Example**
 *
 * ```ts
 * import { BatonServer } from "@baton/adapters/http"
 * import { SqliteTaskStore } from "@baton/adapters/sqlite"
 * import { NodeHttpServer } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { HttpRouter } from "effect/http"
 * import { createServer } from "node:http"
 *
 * const server = HttpRouter.serve(BatonServer.layer({ path: "/baton" })).pipe(
 *   Layer.provide(SqliteTaskStore.layer({ filename: ".baton/baton.db" })),
 *   Layer.provide(NodeHttpServer.layer(createServer, { port: 7777, host: "127.0.0.1" }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = ({
  allow = [],
  files,
  hosts = [],
  path = "/",
  readOnly = false,
  tokens = [],
  until
}: Options = {}): Layer.Layer<
  never,
  never,
  TaskStore | HttpRouter.HttpRouter | FileSystem.FileSystem | Path.Path | HttpPlatform.HttpPlatform | Etag.Generator
> => {
  const names = new Set(hosts.map((name) => name.toLowerCase()))
  const authority = Access.make({ readOnly, tokens })
  const routes = Layer.mergeAll(
    HttpApiBuilder.layer(Api, { openapiPath: "/api/openapi.json" }),
    Layer.orDie(Mcp.layerHttp({ allow, authority })),
    WebPage.layer(files)
  ).pipe(
    Layer.provide(Handlers.layer({ readOnly, until })),
    Layer.provide([Access.layer(authority), layerRequestErrors, Layer.fresh(layerEvents)]),
    Layer.provide(Layer.fresh(layerShared))
  )
  return HttpRouter.use(
    Effect.fnUntraced(function* (router) {
      // A separate router, so that the checks hold for all of its routes and for no others.
      const own = yield* Effect.provideService(HttpRouter.make, HttpRouter.RouterConfig, { maxParamLength })
      yield* Layer.build(Layer.provide(routes, Layer.succeed(HttpRouter.HttpRouter, own)))
      const handler = guard(own.asHttpEffect(), names)
      if (path === "/") return yield* router.add("*", "/*", handler)
      yield* router.prefixed(path).add("*", "/*", withSlash(path, handler))
    })
  )
}

/**
 * Serves Baton alone, as `baton serve` does. Paths that no router can read, such as `/%ZZ`, are answered with a sentence too.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerHttp = (
  options?: Options
): Layer.Layer<
  never,
  never,
  TaskStore | HttpServer.HttpServer | FileSystem.FileSystem | Path.Path | HttpPlatform.HttpPlatform | Etag.Generator
> =>
  Layer.unwrap(Effect.map(HttpRouter.HttpRouter, (router) => HttpServer.serve(answered(router.asHttpEffect())))).pipe(
    Layer.provide(Layer.provideMerge(layer(options), HttpRouter.layer))
  )

/** The page names its files relative to its own address, which has to end with a slash. */
const withSlash = <E, R>(path: string, handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) =>
  HttpServerRequest.HttpServerRequest.use(({ originalUrl }) => {
    const url = URL.parse(originalUrl, "http://localhost")
    return url?.pathname === path
      ? Effect.succeed(HttpServerResponse.redirect(`${path}/${url.search}`, { status: 308 }))
      : handler
  })

/** Ids of tasks can be long. */
const maxParamLength = 8_192
