/**
 * The HTTP API of a store, with live events and the web page, as a layer for an `HttpRouter`.
 *
 * @since 0.1.0
 */
export * as ApiError from "./ApiError.ts"
export * as BatonApi from "./BatonApi.ts"
export * as BatonMcp from "./BatonMcp.ts"
export * as BatonServer from "./BatonServer.ts"
