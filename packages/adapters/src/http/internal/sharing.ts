/**
 * Responses that several clients share, so that open pages, which read the same list after each event, cost the store and the
 * server little more than one. Only a client that accepts a response of the last second shares one, by `Cache-Control: max-age`
 * in its request. Even so, it sees everything that an event has told it, and what requests of this server have changed.
 */
import * as Cache from "effect/Cache"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Schema from "effect/Schema"

/** Responses that are kept. Those of earlier versions are no longer asked for. */
const capacity = 32

const maxAge = Duration.seconds(1)

/** Answers requests with what `read` returns for their query, encoded once for all requests that share it. */
export const make = <Query extends object, S extends Schema.ConstraintEncoder<unknown>, E>(options: {
  /** Grows with each event about changes, and with each request that changes something. */
  readonly version: () => number
  readonly schema: S
  readonly read: (query: Query) => Effect.Effect<S["Type"], E>
}): Effect.Effect<
  (
    query: Query,
    request: HttpServerRequest.HttpServerRequest
  ) => Effect.Effect<HttpServerResponse.HttpServerResponse, E>
> => {
  const encode = Schema.encodeEffect(Schema.fromJsonString(Schema.toCodecJson(options.schema)))
  const respond = (query: Query) =>
    Effect.map(
      Effect.flatMap(options.read(query), (value) => Effect.orDie(encode(value))),
      (json) => HttpServerResponse.uint8Array(new TextEncoder().encode(json), { contentType: "application/json" })
    )
  return Effect.map(
    Cache.makeWith(({ query }: { readonly query: Query; readonly version: number }) => respond(query), {
      capacity,
      timeToLive: (exit) => (Exit.isSuccess(exit) ? maxAge : Duration.zero)
    }),
    (responses) =>
      (query, { headers }) =>
        /\bmax-age=[1-9]/.test(headers["cache-control"] ?? "")
          ? Cache.get(responses, { query, version: options.version() })
          : respond(query)
  )
}
