/**
 * Posts events to an address.
 *
 * | answer | |
 * |---|---|
 * | 2xx | delivered |
 * | 5xx, 429, 408, none within ten seconds, no connection | posted again, five times in all, with a growing wait or after `retry-after` |
 * | 410 | nothing is posted any more |
 * | anything else, redirections included | not delivered |
 *
 * The headers are those of Standard Webhooks: `webhook-id`, the same for every try at one event, `webhook-timestamp`, and
 * with a key `webhook-signature`. An event can arrive twice, and events can arrive out of order; the last one arrives last.
 *
 * @since 0.1.0
 */
import type { Event } from "@baton/core/Event"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import { eventJson } from "../view/eventJson.ts"
import * as Delivery from "./Delivery.ts"
import { type Key, signatureOf } from "./signature.ts"

/**
 * Which events are posted.
 *
 * @category configuration
 * @since 0.1.0
 */
export const events: ReadonlySet<Event["_tag"]> = new Set(["TaskCompleted", "TaskFailed", "RunEnded"])

const answerTimeout = Duration.seconds(10)
const longestWait = Duration.seconds(30)
const tries = 5

/** A try that failed, and may work later. */
class Again extends Schema.TaggedError<Again>()("Again", {
  message: Schema.String,
  retryAfter: Schema.Duration
}) {}

/**
 * Posts events until its scope ends.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (options: {
  readonly name: string
  readonly url: URL
  readonly key: Key | undefined
}): Effect.fn.Return<Delivery.Delivery, never, Scope.Scope> {
  const { key, name, url } = options
  const client = yield* Effect.provide(HttpClient.HttpClient, clientLayer)

  const post = Effect.fnUntraced(function* (id: string, body: string) {
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
    const response = yield* client.execute(request).pipe(
      Effect.tap((response) => Effect.ignore(Stream.runDrain(Stream.take(response.stream, 1)))),
      Effect.timeoutOrElse({
        duration: answerTimeout,
        orElse: () => Effect.fail(again(`it did not answer within ${Duration.format(answerTimeout)}`))
      }),
      Effect.catchTag("HttpClientError", (error) => Effect.fail(again(`it was not reached (${codeOf(error)})`)))
    )
    if (response.status >= 200 && response.status < 300) return
    const message = `it answered ${response.status}`
    if (response.status >= 500 || response.status === 429 || response.status === 408) {
      return yield* again(message, retryAfterOf(response))
    }
    return yield* new Delivery.DeliveryFailed({ message, final: response.status === 410 })
  })

  return yield* Delivery.make({
    name,
    wants: (event) => events.has(event._tag),
    concurrency: 8,
    deliver: (event) => {
      const body = eventJson(event)
      return Effect.suspend(() => {
        const id = `msg_${randomUUID()}`
        return post(id, body).pipe(
          Effect.retry({ schedule, while: Predicate.isTagged("Again") }),
          Effect.catchTag("Again", ({ message }) => Effect.fail(new Delivery.DeliveryFailed({ message }))),
          // The address, which may hold a secret, is not for traces.
          Effect.provideService(HttpClient.TracerDisabledWhen, () => true)
        )
      })
    }
  })
})

const again = (message: string, retryAfter = Duration.zero) => new Again({ message, retryAfter })

// Half a second, doubled each time and jittered; what the receiver asks for wins when it is longer.
const schedule = Schedule.exponential("500 millis").pipe(
  Schedule.jittered,
  Schedule.setInputType<Again | Delivery.DeliveryFailed>(),
  Schedule.modifyDelay(({ duration, input }) =>
    Effect.succeed(
      Duration.min(Duration.max(duration, input._tag === "Again" ? input.retryAfter : Duration.zero), longestWait)
    )
  ),
  Schedule.upTo({ times: tries - 1 })
)

const retryAfterOf = ({ headers }: HttpClientResponse): Duration.Duration => {
  const seconds = Number(headers["retry-after"])
  return Number.isFinite(seconds) && seconds > 0 ? Duration.seconds(seconds) : Duration.zero
}

/** `ECONNREFUSED` and the like; the text of the error would name the address, which may hold a secret. */
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

// A redirection is not followed: what is posted is meant for this address alone.
const clientLayer = Layer.provide(
  FetchHttpClient.layer,
  Layer.succeed(FetchHttpClient.RequestInit, { redirect: "manual" })
)
