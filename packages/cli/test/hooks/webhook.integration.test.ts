import type { Event } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Redacted, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { Webhook } from "standardwebhooks"
import type { Delivery } from "../../src/hooks/Delivery.ts"
import * as webhook from "../../src/hooks/webhook.ts"
import { keyOf, signatureOf } from "../../src/hooks/post.ts"
import { completed, ended, inReview, started } from "../view/events.ts"
import { withLogs } from "./logs.ts"
import { type Answer, receiver } from "./receiver.ts"

const theEnd = ended(2, { _tag: "Stopped" })
const secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

const make = (url: string, signed = false) =>
  webhook.make({ name: "--webhook", url: new URL(url), key: signed ? keyOf(Redacted.make(secret)) : undefined })

const offer = ({ hook }: Delivery, ...events: ReadonlyArray<Event.Event>) =>
  Effect.forEach(events, (event) => Effect.orDie(hook(event)), { discard: true })

/** Waits in real time; the test's clock does not advance. */
const until = (condition: () => boolean) =>
  TestClock.withLive(
    Effect.suspend(() => (condition() ? Effect.void : Effect.fail("not yet"))).pipe(
      Effect.retry(Schedule.spaced("5 millis")),
      Effect.orDie
    )
  )

const always = (answer: Answer) => () => answer

describe("webhooks", () => {
  it.effect("posts only completed tasks, failed tasks and the end of the run", () =>
    Effect.gen(function* () {
      const { received, url } = yield* receiver(always({ status: 204 }))
      const delivery = yield* make(url)
      yield* offer(delivery, started(0, "a"), completed(1, "a"), theEnd)
      yield* delivery.finish
      assert.deepStrictEqual(
        received.map(({ body }) => JSON.parse(body).event),
        ["TaskCompleted", "RunEnded"]
      )
      const [first, second] = received
      assert.deepInclude(JSON.parse(first?.body ?? ""), { taskId: "a", attempt: 1, at: "1970-01-01T00:00:01.000Z" })
      assert.strictEqual(first?.headers["content-type"], "application/json")
      assert.notProperty(first?.headers, "webhook-signature")
      assert.notProperty(first?.headers, "traceparent")
      assert.notStrictEqual(first?.headers["webhook-id"], second?.headers["webhook-id"])
    })
  )

  it.effect("posts an output that waits for a person, with the reason", () =>
    Effect.gen(function* () {
      const { received, url } = yield* receiver(always({ status: 204 }))
      const delivery = yield* make(url)
      yield* offer(delivery, inReview(1, "a"), theEnd)
      yield* delivery.finish
      assert.deepInclude(JSON.parse(received[0]?.body ?? ""), {
        event: "TaskInReview",
        taskId: "a",
        output: "a draft",
        reason: "The judge is unsure."
      })
    })
  )

  it.live("another implementation of Standard Webhooks accepts the signature", () =>
    Effect.gen(function* () {
      const { received, url } = yield* receiver(always({ status: 200, body: "thanks" }))
      const delivery = yield* make(url, true)
      yield* offer(delivery, completed(1, "ä 🥐"))
      yield* delivery.finish
      const [{ body, headers } = assert.fail("nothing was received")] = received
      const sent = { ...headers } as Record<string, string>
      assert.deepInclude(new Webhook(secret).verify(body, sent), { taskId: "ä 🥐" })
      assert.throws(() => new Webhook(secret).verify(`${body} `, sent))
    })
  )

  it.effect("retries with the same id until the receiver accepts", () =>
    withLogs((lines) =>
      Effect.gen(function* () {
        const answers: ReadonlyArray<Answer> = [
          { status: 500 },
          { status: 429, headers: { "retry-after": "7" } },
          { status: 200 }
        ]
        const { received, url } = yield* receiver((n) => answers[n - 1] ?? { status: 200 })
        const delivery = yield* make(url)
        yield* offer(delivery, completed(1, "a"))
        const finished = yield* Effect.forkChild(delivery.finish)
        yield* until(() => received.length === 1)
        yield* TestClock.withLive(Effect.yieldNow)
        yield* adjustUntil("200 millis", () => received.length === 2)
        yield* adjustUntil("200 millis", () => received.length === 3)
        yield* Fiber.join(finished)
        assert.strictEqual(new Set(received.map(({ headers }) => headers["webhook-id"])).size, 1)
        const times = received.map(({ headers }) => Number(headers["webhook-timestamp"]))
        assert.isAtLeast((times[2] ?? 0) - (times[1] ?? 0), 7)
        assert.deepStrictEqual(lines, [])
      })
    )
  )

  for (const [what, answer, count, cause] of [
    ["a bad request", { status: 400, body: "\nno_text\nno more" }, 1, "The webhook answered 400: no_text no more"],
    ["a redirect", { status: 302, headers: { location: "/elsewhere" } }, 1, "The webhook answered 302"],
    ["a receiver that is gone", { status: 410 }, 1, "The webhook answered 410"],
    ["a server that stays broken", { status: 503, body: "busy" }, 5, "The webhook answered 503: busy"],
    ["a receiver that never answers", undefined, 5, "The webhook did not answer within 10s"]
  ] as const) {
    it.effect(`posts ${count === 1 ? "once" : "five times"} to ${what}`, () =>
      withLogs((lines) =>
        Effect.gen(function* () {
          const { received, url } = yield* receiver(() => answer)
          const delivery = yield* make(url)
          yield* offer(delivery, completed(1, "a"))
          yield* adjustUntil("500 millis", () => lines.length > 0)
          assert.strictEqual(received.length, count)
          assert.deepStrictEqual(lines, [`A hook failed hook=--webhook cause=${cause}`])
          yield* delivery.finish
        })
      )
    )
  }

  it.effect("reports why the connection failed, without the URL", () =>
    withLogs((lines) =>
      Effect.gen(function* () {
        const { stop, url } = yield* receiver(always({ status: 200 }))
        stop()
        const delivery = yield* make(url)
        yield* offer(delivery, completed(1, "a"))
        yield* adjustUntil("500 millis", () => lines.length > 0)
        assert.deepStrictEqual(lines, [
          "A hook failed hook=--webhook cause=The webhook could not be reached (ECONNREFUSED)"
        ])
        yield* delivery.finish
      })
    )
  )
})

describe("the webhook secret", () => {
  it("produces the same signature as another implementation", () => {
    const key = keyOf(Redacted.make(secret)) ?? assert.fail("no key")
    const message = { id: "msg_1", timestamp: 1614265330, body: '{"test": 2432232314}' }
    assert.strictEqual(
      signatureOf(key, message),
      new Webhook(secret).sign(message.id, new Date(message.timestamp * 1000), message.body)
    )
  })

  it("has 24 to 64 bytes in base64 and is never printed", () => {
    for (const text of [
      "",
      "abc",
      "whsec_plJ3nmyCDGBKInavdOK15jsl",
      "whsec_",
      "whsec_not base64 at all, really!",
      `whsec_${"A".repeat(100)}`
    ]) {
      assert.isUndefined(keyOf(Redacted.make(text)), text)
    }
    const key = keyOf(Redacted.make(secret))
    assert.notInclude(`${String(key)}${JSON.stringify(key)}`, "C2FV")
  })
})

/** Advances the test's clock in steps, with time for network activity in between, until the condition holds. */
const adjustUntil = Effect.fnUntraced(function* (step: "200 millis" | "500 millis", condition: () => boolean) {
  for (let steps = 0; !condition() && steps < 2000; steps++) {
    yield* TestClock.adjust(step)
    yield* TestClock.withLive(Effect.sleep("2 millis"))
  }
  assert.isTrue(condition())
})
