import { Usage } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { countingClock, failure as refusal, promptOf } from "./batches/api.ts"
import { used } from "./requests.ts"
import { failure, gather, isWaiting, poll, text, texts, fixture } from "./batches/run.ts"

const prompts = (batch: { readonly requests: ReadonlyArray<Parameters<typeof promptOf>[0]> } | undefined) =>
  (batch?.requests ?? []).map(promptOf)

describe("requests become batches", () => {
  it.effect("sends requests that arrive together as one batch, and returns each its answer at half the price", () =>
    Effect.gen(function* () {
      const { batches, end, start } = yield* fixture()
      const { ask } = yield* start()
      const first = yield* ask("one")
      yield* TestClock.adjust("900 millis")
      const second = yield* ask("two")
      yield* TestClock.adjust("900 millis")
      assert.lengthOf(batches(), 0)
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(batches().map(prompts), [["one", "two"]])
      end()
      yield* poll
      assert.deepStrictEqual(yield* texts([first, second]), ["Echo: one", "Echo: two"])
      const { billing, usage } = yield* Fiber.join(first)
      assert.strictEqual(billing, "batch")
      assert.deepStrictEqual(usage, used({ inputTokens: 10, outputTokens: 5, billing }))
    })
  )

  it.effect("sends full batches, and the rest in further ones", () =>
    Effect.gen(function* () {
      const { batches, start } = yield* fixture()
      const { ask } = yield* start({ maxRequests: 2 })
      for (const prompt of ["1", "2", "3"]) yield* ask(prompt)
      yield* gather
      assert.deepStrictEqual(batches().map(prompts), [["1", "2"], ["3"]])
    })
  )

  it.effect("creates a batch although the list never stops growing", () =>
    Effect.gen(function* () {
      const { batches, start } = yield* fixture()
      const { ask } = yield* start()
      for (let n = 0; n < 70; n++) {
        yield* ask(`${n}`)
        yield* TestClock.adjust("500 millis")
      }
      assert.lengthOf(batches(), 1)
    })
  )

  it.effect("creates a second batch from the requests that follow the answers of the first", () =>
    Effect.gen(function* () {
      const { batches, endAtOnce, start } = yield* fixture()
      endAtOnce()
      const { ask } = yield* start()
      const answers = [yield* ask("one"), yield* ask("two")]
      yield* gather
      for (const answer of yield* texts(answers)) yield* ask(`judge ${answer}`, { purpose: "judge" })
      yield* gather
      assert.deepStrictEqual(batches().map(prompts), [
        ["one", "two"],
        ["judge Echo: one", "judge Echo: two"]
      ])
    })
  )

  it.effect("does not send a request that was interrupted before its batch was created", () =>
    Effect.gen(function* () {
      const { batches, start } = yield* fixture()
      const { ask } = yield* start()
      yield* Fiber.interrupt(yield* ask("one"))
      yield* ask("two")
      yield* gather
      assert.deepStrictEqual(batches().map(prompts), [["two"]])
    })
  )

  it.effect("reports when a request becomes part of a batch, or is found in one", () =>
    Effect.gen(function* () {
      const { start } = yield* fixture()
      const told: Array<string> = []
      const onSend = () => void told.push("sent")
      const first = yield* start()
      yield* first.ask("one", { onSend })
      assert.deepStrictEqual(told, [])
      yield* gather
      assert.deepStrictEqual(told, ["sent"])
      yield* first.stop
      const second = yield* start()
      yield* second.ask("one", { onSend })
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(told, ["sent", "sent"])
    })
  )

  it.effect("checks a batch less and less often, but at least every minute", () =>
    Effect.gen(function* () {
      const { end, looks, start } = yield* fixture()
      const { ask } = yield* start()
      const sending = yield* ask("one")
      yield* gather
      yield* TestClock.adjust("1 minute")
      const early = looks()
      assert.isBelow(early, 10)
      yield* TestClock.adjust("10 hours")
      const before = looks()
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(looks() - before, 10)
      end()
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* text(sending), "Echo: one")
    })
  )

  it.effect("waits for ten thousand answers with a few timers", () =>
    Effect.gen(function* () {
      const { counting, most } = countingClock(yield* Clock.Clock)
      yield* Effect.gen(function* () {
        const { batches, end, start } = yield* fixture()
        const { ask } = yield* start()
        const sendings = yield* Effect.forEach(Array.from({ length: 10_000 }), (_, n) => ask(`${n}`))
        yield* gather
        yield* poll
        assert.lengthOf(batches(), 1)
        end()
        yield* poll
        assert.lengthOf(new Set(yield* texts(sendings)), 10_000)
      }).pipe(Effect.provideService(Clock.Clock, counting))
      assert.isAtMost(most(), 3)
    })
  )
})

describe("requests without an answer", () => {
  const endings = {
    expired: ["Failed", "expired"],
    canceled: ["Transient", "canceled"],
    overloaded_error: ["Failed", "overloaded_error"],
    api_error: ["Failed", "api_error"],
    invalid_request_error: ["Permanent", "invalid_request_error"],
    authentication_error: ["Fatal", "authentication_error"]
  } as const

  it.effect("fail, cost nothing, and are sent again when they are repeated", () =>
    Effect.gen(function* () {
      let good = false
      const { batches, endAtOnce, start } = yield* fixture((prompt) => {
        if (good) return "good"
        return prompt === "expired" || prompt === "canceled" ? { type: prompt } : { type: "errored", error: prompt }
      })
      endAtOnce()
      const { ask } = yield* start()
      const all = yield* Effect.forEach(Object.keys(endings), (prompt) => ask(prompt))
      yield* gather
      const errors = yield* Effect.forEach(all, failure)
      assert.deepStrictEqual(
        errors.map((error) => [error?.reason, error?.type]),
        Object.values(endings).map(([reason, type]) => [reason, type])
      )
      for (const error of errors) assert.deepStrictEqual(error?.usage, Usage.zero)

      good = true
      const again = yield* ask("expired")
      yield* gather
      assert.strictEqual(yield* text(again), "good")
      assert.lengthOf(batches(), 2)
    })
  )

  it.effect("that failed while no task waited are sent again, and no attempt fails", () =>
    Effect.gen(function* () {
      let good = false
      const { end, endAtOnce, start } = yield* fixture(() => (good ? "good" : { type: "expired" }))
      const first = yield* start()
      yield* first.ask("one")
      yield* gather
      yield* first.stop
      end()
      const second = yield* start()
      yield* poll
      good = true
      endAtOnce()
      const again = yield* second.ask("one")
      yield* gather
      assert.strictEqual(yield* text(again), "good")
    })
  )

  it.effect("are those that the results lack after several readings", () =>
    Effect.gen(function* () {
      const { endAtOnce, start } = yield* fixture((prompt) => (prompt === "lacking" ? undefined : "good"))
      endAtOnce()
      const { ask } = yield* start()
      const lacking = yield* ask("lacking")
      const good = yield* ask("good")
      yield* gather
      assert.strictEqual(yield* text(good), "good")
      assert.isTrue(isWaiting(lacking))
      yield* poll
      const error = yield* failure(lacking)
      assert.strictEqual(error?.type, "no_result")
      assert.strictEqual(error?.reason, "Failed")
      assert.isDefined(error)
      assert.isUndefined(error.usage)
    })
  )

  it.effect("have an unknown cost when the result cannot be read", () =>
    Effect.gen(function* () {
      const { endAtOnce, start } = yield* fixture((prompt) => ({ type: prompt }))
      endAtOnce()
      const { ask } = yield* start()
      const all = [yield* ask("succeeded"), yield* ask("newer")]
      yield* gather
      const errors = yield* Effect.forEach(all, failure)
      assert.deepStrictEqual(
        errors.map((error) => [error?.type, error?.usage]),
        [
          ["malformed", undefined],
          ["newer", undefined]
        ]
      )
    })
  )

  it.effect("incomplete results are read again, and none is lost", () =>
    Effect.gen(function* () {
      const { batches, cut, endAtOnce, start } = yield* fixture()
      endAtOnce()
      cut(1, 2)
      const { ask } = yield* start()
      const sendings = yield* Effect.forEach(["1", "2", "3"], (prompt) => ask(prompt))
      yield* gather
      assert.deepStrictEqual(sendings.map(isWaiting), [true, true, false])
      yield* poll
      assert.deepStrictEqual(yield* texts(sendings), ["Echo: 1", "Echo: 2", "Echo: 3"])
      assert.lengthOf(batches(), 1)
    })
  )
})

describe("the API refuses a batch", () => {
  it.effect("temporarily: its requests wait as long as the API says, and new requests join them", () =>
    Effect.gen(function* () {
      const { batches, next, start } = yield* fixture()
      next(refusal({ status: 429, type: "rate_limit_error", retryAfter: Duration.minutes(2) }))
      const { ask } = yield* start()
      yield* ask("one")
      yield* gather
      yield* ask("two")
      yield* TestClock.adjust("117 seconds")
      assert.lengthOf(batches(), 0)
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(batches().map(prompts), [["one", "two"]])
    })
  )

  it.effect("repeatedly: its requests fail in the end", () =>
    Effect.gen(function* () {
      const { next, start, tries } = yield* fixture()
      next(...Array.from({ length: 20 }, () => refusal({ status: 529, type: "overloaded_error" })))
      const { ask } = yield* start()
      const sending = yield* ask("one")
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* failure(sending))?.reason, "Transient")
      assert.strictEqual(tries(), 11)
    })
  )

  it.effect("for one request that it names: only that request fails", () =>
    Effect.gen(function* () {
      const { batches, next, start } = yield* fixture()
      next(refusal({ reason: "Permanent", status: 400, message: "requests.1.params.max_tokens: Field required" }))
      const { ask } = yield* start()
      const sendings = yield* Effect.forEach(["1", "2", "3"], (prompt) => ask(prompt))
      yield* gather
      assert.strictEqual((yield* failure(sendings[1]!))?.reason, "Permanent")
      assert.deepStrictEqual(batches().map(prompts), [["1", "3"]])
    })
  )

  it.effect("for a reason that concerns no single task: the run ends, and no task fails", () =>
    Effect.gen(function* () {
      const { next, start } = yield* fixture()
      next(refusal({ reason: "Permanent", status: 400, message: "Batches are not enabled." }))
      const { ask } = yield* start()
      const sendings = yield* Effect.forEach(["1", "2"], (prompt) => ask(prompt))
      yield* gather
      const errors = yield* Effect.forEach(sendings, failure)
      assert.deepStrictEqual(
        errors.map((error) => error?.reason),
        ["Fatal", "Fatal"]
      )
    })
  )

  it.effect("for its size: it is halved until the API accepts it", () =>
    Effect.gen(function* () {
      const { batches, next, start } = yield* fixture()
      const tooLarge = refusal({ reason: "Permanent", status: 413, type: "request_too_large" })
      next(tooLarge, tooLarge)
      const { ask } = yield* start()
      for (const prompt of ["1", "2", "3", "4"]) yield* ask(prompt)
      yield* gather
      assert.deepStrictEqual(batches().map(prompts).sort(), [["1"], ["2"], ["3"], ["4"]])
    })
  )

  it.effect("for its key: all requests fail at once", () =>
    Effect.gen(function* () {
      const { next, start, tries } = yield* fixture()
      next(refusal({ reason: "Fatal", status: 401, type: "authentication_error" }))
      const { ask } = yield* start()
      const sending = yield* ask("1")
      yield* gather
      assert.strictEqual((yield* failure(sending))?.reason, "Fatal")
      assert.strictEqual(tries(), 1)
    })
  )
})

describe("the journal", () => {
  it.effect("lists the batches that have not ended, for every worker", () =>
    Effect.gen(function* () {
      const { end, journal, start } = yield* fixture()
      const { ask } = yield* start()
      yield* ask("1")
      yield* ask("2")
      assert.deepStrictEqual(yield* journal.list, [])
      yield* TestClock.adjust("1 second")
      const [batch, ...others] = yield* journal.list
      assert.deepStrictEqual(others, [])
      assert.include(batch, { id: "batch_1", queue: "default", requests: 2 })
      end()
      yield* poll
      assert.deepStrictEqual(yield* journal.list, [])
    })
  )
})
