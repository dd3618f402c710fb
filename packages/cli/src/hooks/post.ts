/**
 * Posts messages to a URL, as `--webhook` and `--notify` do.
 *
 * | response | result |
 * |---|---|
 * | 2xx | delivered |
 * | 5xx, 429, 408, no response within ten seconds, no connection | retried up to four times, with exponential backoff or after `retry-after` |
 * | 410 | not delivered; nothing more is posted |
 * | anything else, including redirects | not delivered |
 *
 * The headers follow Standard Webhooks: `webhook-id`, which is the same for every attempt to deliver one message,
 * `webhook-timestamp`, and `webhook-signature` if there is a key.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { randomUUID, createHmac } from "node:crypto"
import * as Delivery from "./Delivery.ts"

/** Where messages are posted, and the key that signs them. */
export interface Target {
  readonly url: URL
  readonly key: Key | undefined
}

/** Posts a body of JSON. */
export type Post = (body: string) => Effect.Effect<void, Delivery.DeliveryFailed>

const responseTimeout = Duration.seconds(10)
const maxDelay = Duration.seconds(30)
const maxAttempts = 5

/** The delivery failed and can be retried. */
class Retryable extends Schema.TaggedError<Retryable>()("Retryable", {
  message: Schema.String,
  detail: Schema.optionalKey(Schema.String),
  retryAfter: Schema.Duration
}) {}

/** A function that posts to a target. */
export const make = Effect.fnUntraced(function* ({ key, url }: Target): Effect.fn.Return<Post> {
  const client = yield* Effect.provide(HttpClient.HttpClient, clientLayer)

  const attempt = Effect.fnUntraced(function* (id: string, body: string) {
    const timestamp = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    const signature = key === undefined ? {} : { "webhook-signature": signatureOf(key, { id, timestamp, body }) }
    const request = HttpClientRequest.post(url).pipe(
      HttpClientRequest.bodyText(body, "application/json"),
      HttpClientRequest.setHeaders({
        "user-agent": "baton",
        "webhook-id": id,
        "webhook-timestamp": String(timestamp),
        ...signature
      })
    )
    const { detail, response } = yield* client.execute(request).pipe(
      Effect.flatMap((response) => Effect.map(detailOf(response), (detail) => ({ detail, response }))),
      Effect.timeoutOrElse({
        duration: responseTimeout,
        orElse: () => Effect.fail(retryable(`The webhook did not answer within ${Duration.format(responseTimeout)}`))
      }),
      Effect.catchTag("HttpClientError", (error) =>
        Effect.fail(retryable(`The webhook could not be reached (${codeOf(error)})`))
      )
    )
    if (response.status >= 200 && response.status < 300) return
    const message = `The webhook answered ${response.status}`
    if (response.status >= 500 || response.status === 429 || response.status === 408) {
      return yield* new Retryable({ message, ...detail, retryAfter: retryAfterOf(response) })
    }
    return yield* new Delivery.DeliveryFailed({ message, ...detail, final: response.status === 410 })
  })

  return (body) =>
    Effect.suspend(() => {
      const id = `msg_${randomUUID()}`
      return attempt(id, body).pipe(
        Effect.retry({ schedule, while: Predicate.isTagged("Retryable") }),
        Effect.catchTag("Retryable", ({ detail, message }) =>
          Effect.fail(new Delivery.DeliveryFailed({ message, ...(detail === undefined ? {} : { detail }) }))
        ),
        // The URL can contain a secret, so it must not appear in traces.
        Effect.provideService(HttpClient.TracerDisabledWhen, () => true)
      )
    })
})

const retryable = (message: string) => new Retryable({ message, retryAfter: Duration.zero })

// Starts at half a second and doubles, with jitter; a longer `retry-after` takes precedence.
const schedule = Schedule.exponential("500 millis").pipe(
  Schedule.jittered,
  Schedule.setInputType<Retryable | Delivery.DeliveryFailed>(),
  Schedule.modifyDelay(({ duration, input }) =>
    Effect.succeed(
      Duration.min(Duration.max(duration, input._tag === "Retryable" ? input.retryAfter : Duration.zero), maxDelay)
    )
  ),
  Schedule.upTo({ times: maxAttempts - 1 })
)

/** The beginning of the response's body in one line: it usually says why the webhook was refused. */
const detailOf = ({ stream }: HttpClientResponse): Effect.Effect<{ readonly detail?: string }> =>
  Stream.runHead(stream).pipe(
    Effect.map((chunk) => {
      const text = Option.match(chunk, { onNone: () => "", onSome: (bytes) => new TextDecoder().decode(bytes) })
      const detail = text.slice(0, 1000).replace(/\s+/g, " ").trim().slice(0, 200)
      return detail === "" ? {} : { detail }
    }),
    Effect.orElseSucceed(() => ({}))
  )

const retryAfterOf = ({ headers }: HttpClientResponse): Duration.Duration => {
  const seconds = Number(headers["retry-after"])
  return Number.isFinite(seconds) && seconds > 0 ? Duration.seconds(seconds) : Duration.zero
}

/** A code such as `ECONNREFUSED`. The error's text contains the URL, and with it possibly a secret. */
const codeOf = ({ reason }: HttpClientError.HttpClientError): string => {
  for (
    let error: unknown = reason;
    Predicate.isObject(error);
    error = Predicate.hasProperty(error, "cause") ? error.cause : undefined
  ) {
    if (Predicate.hasProperty(error, "code") && Predicate.isString(error.code)) return error.code
  }
  return "no connection"
}

// Redirects are not followed: events are sent to the configured URL only.
const clientLayer = Layer.provide(
  FetchHttpClient.layer,
  Layer.succeed(FetchHttpClient.RequestInit, { redirect: "manual" })
)

/** A signing key; redacted, so it is never printed. */
export type Key = Redacted.Redacted<Uint8Array>

const prefix = "whsec_"

/**
 * Reads a key from `whsec_` and 24 to 64 bytes in base64; the prefix is optional. Undefined if the secret is invalid.
 */
export const keyOf = (secret: Redacted.Redacted<string>): Key | undefined => {
  const text = Redacted.value(secret).trim()
  const base64 = text.startsWith(prefix) ? text.slice(prefix.length) : text
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return undefined
  const bytes = Buffer.from(base64, "base64")
  return bytes.length < 24 || bytes.length > 64 ? undefined : Redacted.make(new Uint8Array(bytes))
}

/** The value of the `webhook-signature` header for a message. */
export const signatureOf = (
  key: Key,
  message: { readonly id: string; readonly timestamp: number; readonly body: string }
): string => {
  const hmac = createHmac("sha256", Redacted.value(key))
  return `v1,${hmac.update(`${message.id}.${message.timestamp}.${message.body}`).digest("base64")}`
}
