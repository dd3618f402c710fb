/** What holds for every response: its headers, the checks against pages of other sites, and errors as JSON. */
import * as ByteSize from "effect/ByteSize"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Errors from "../ApiError.ts"
import * as Hosts from "./hosts.ts"
import { RequestErrors } from "./middleware.ts"

/** The largest body of a request: thousands of tasks, or a few very long ones. */
const maxBodySize = ByteSize.mebibytes(8)

/** Requests that do not fit the schemas. */
export const layerRequestErrors = HttpApiMiddleware.layerSchemaErrorTransform(RequestErrors, (error) => {
  if (error.kind === "Body" || error.kind === "ResponseHeaders") return Effect.fail(error)
  const part = { Params: "path", Query: "query", Headers: "headers", Payload: "body" }[error.kind]
  // A message can repeat a value of megabytes.
  const problem = error.cause.message.slice(0, 1_000).replaceAll(/\s+/g, " ")
  return Effect.fail(new Errors.BadRequest({ message: `The ${part} of this request is not valid: ${problem}` }))
})

/** Checks each request, and adds the headers that all responses have. `names` are names of this server. */
export const guard = <E, R>(
  handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>,
  names: ReadonlySet<string>
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, R | HttpServerRequest.HttpServerRequest> =>
  HttpServerRequest.HttpServerRequest.use((request) => {
    const problem = foreign(request, names)
    const response = problem === undefined ? handler : Effect.succeed(respond(403, new Errors.Forbidden(problem)))
    return Effect.provideService(answered(response), HttpIncomingMessage.MaxBodySize, maxBodySize)
  })

/** Turns failures into responses with a sentence, and adds the headers that all responses have. */
export const answered = <E, R>(
  handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, R | HttpServerRequest.HttpServerRequest> =>
  HttpServerRequest.HttpServerRequest.use((request) =>
    handler.pipe(
      Effect.catchCause((cause) => responseOf(request, cause)),
      Effect.map((response) => complete(request, response))
    )
  )

/** Why a request comes from another site; undefined if it does not. */
const foreign = (
  { headers, method }: HttpServerRequest.HttpServerRequest,
  names: ReadonlySet<string>
): { readonly message: string } | undefined => {
  const { host, origin } = headers
  if (host === undefined || !Hosts.isOwnHost(host, names)) {
    return {
      message: `This server is not called ${JSON.stringify(host ?? "")}. Use its address or localhost, or start it with this name.`
    }
  }
  if (origin !== undefined && !Hosts.isOwnOrigin(origin, host, names)) {
    return { message: `Pages of ${JSON.stringify(origin)} may not use this server.` }
  }
  const isNavigation = method === "GET" && headers["sec-fetch-mode"] === "navigate"
  if (headers["sec-fetch-site"] === "cross-site" && !isNavigation) {
    return { message: "Pages of other sites may not use this server." }
  }
  return undefined
}

type ApiError = (typeof Errors)[keyof typeof Errors]["Type"]

export const respond = (status: number, { _tag, message }: ApiError): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.jsonUnsafe({ _tag, message }, { status })

const missing = "There is nothing at this path. /api/openapi.json lists the endpoints."

/** The response for paths without an endpoint or a file. */
export const notFound = respond(404, new Errors.NotFound({ message: missing }))

/** Whether the path can be read: `/%ZZ` cannot. */
const isReadable = (url: string): boolean => {
  try {
    decodeURI(url)
    return true
  } catch {
    return false
  }
}

const responseOf = (
  { originalUrl }: HttpServerRequest.HttpServerRequest,
  cause: Cause.Cause<unknown>
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  if (Cause.hasInterrupts(cause)) return Effect.interrupt
  const error = Cause.squash(cause)
  const reason = HttpServerError.isHttpServerError(error) ? error.reason : undefined
  if (reason?._tag === "RouteNotFound") {
    const message = "The address of this request is not a valid URL: encode a % in it as %25."
    return Effect.succeed(isReadable(originalUrl) ? notFound : respond(400, new Errors.BadRequest({ message })))
  }
  if (reason?._tag === "RequestParseError") {
    const message = `The body of a request has at most ${ByteSize.format(maxBodySize)}.`
    return Effect.succeed(
      reason.reason === "BodyTooLarge"
        ? respond(413, new Errors.BodyTooLarge({ message }))
        : respond(400, new Errors.BadRequest({ message: "The request could not be read." }))
    )
  }
  return Effect.annotateLogs(Effect.logError("A request failed", cause), { module: "http" }).pipe(
    Effect.as(
      respond(500, new Errors.InternalError({ message: "The request failed. The server's log has the cause." }))
    )
  )
}

/** No script runs but that of the page's own files, whatever a task contains. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'"
].join("; ")

const commonHeaders = {
  "content-security-policy": contentSecurityPolicy,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY"
}

/** Files whose names change with their contents. */
const isHashed = (url: string): boolean => url.startsWith("/assets/")

/** What the router answers with a status alone. */
const errorsWithoutBody: Readonly<Record<number, ApiError>> = {
  403: new Errors.Forbidden({ message: "Pages may not use this endpoint." }),
  404: new Errors.NotFound({ message: missing }),
  405: new Errors.BadRequest({ message: "This endpoint does not take requests with this method." }),
  406: new Errors.BadRequest({
    message: "This endpoint answers with JSON and events: send `Accept: application/json, text/event-stream`."
  }),
  415: new Errors.UnsupportedMediaType({
    message: "The body of this request has to be JSON: send `Content-Type: application/json`."
  })
}

const complete = (
  { url }: HttpServerRequest.HttpServerRequest,
  response: HttpServerResponse.HttpServerResponse
): HttpServerResponse.HttpServerResponse => {
  const error = errorsWithoutBody[response.status]
  const explained =
    error !== undefined && (response.body._tag === "Empty" || response.status === 415)
      ? respond(response.status, error)
      : response
  const isFile = response.headers["etag"] !== undefined
  const { allow } = response.headers
  return HttpServerResponse.setHeaders(explained, {
    ...(allow === undefined ? undefined : { allow }),
    ...commonHeaders,
    "cache-control": !isFile ? "no-store" : isHashed(url) ? "public, max-age=31536000, immutable" : "no-cache",
    ...(response.status === 401 ? { "www-authenticate": "Bearer" } : undefined)
  })
}
