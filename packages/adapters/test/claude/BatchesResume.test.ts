import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { request } from "./batches/run.ts"
import { failure, gather, isWaiting, poll, text, texts, fixture } from "./batches/run.ts"

const stranger = (count: number, names = "stranger") =>
  Array.from({ length: count }, (_, n) => ({ custom_id: `${names}-${n}`, params: request(`${n}`) }))

describe("a batch outlives the run", () => {
  it.effect("and the next run resumes it days later, whatever the number of the attempt", () =>
    Effect.gen(function* () {
      const { batches, end, start } = yield* fixture()
      const first = yield* start()
      yield* first.ask("one")
      yield* first.ask("two")
      yield* gather
      yield* first.stop
      end()
      yield* TestClock.adjust("3 days")
      const second = yield* start()
      const sendings = [
        yield* second.ask("two", { idempotencyKey: "two/2" }),
        yield* second.ask("one", { idempotencyKey: "one/2" })
      ]
      yield* gather
      assert.deepStrictEqual(yield* texts(sendings), ["Echo: two", "Echo: one"])
      assert.lengthOf(batches(), 1)
    })
  )

  it.effect("and the request of an interrupted task stays in it", () =>
    Effect.gen(function* () {
      const { batches, end, start } = yield* fixture()
      const { ask } = yield* start()
      const given = yield* ask("one")
      yield* gather
      yield* Fiber.interrupt(given)
      const again = yield* ask("one")
      yield* gather
      end()
      yield* poll
      assert.strictEqual(yield* text(again), "Echo: one")
      assert.lengthOf(batches(), 1)
    })
  )

  it.effect("and an answer is kept after its delivery, because the task may not be settled yet", () =>
    Effect.gen(function* () {
      const { batches, endAtOnce, start } = yield* fixture()
      endAtOnce()
      const first = yield* start()
      const sending = yield* first.ask("one")
      yield* gather
      assert.strictEqual(yield* text(sending), "Echo: one")
      yield* first.stop
      const second = yield* start()
      assert.strictEqual(yield* text(yield* second.ask("one", { idempotencyKey: "one/2" })), "Echo: one")
      assert.lengthOf(batches(), 1)
    })
  )

  it.effect("and is removed from the journal when the API has deleted it", () =>
    Effect.gen(function* () {
      const { batches, endAtOnce, start } = yield* fixture()
      endAtOnce()
      const first = yield* start()
      yield* first.ask("one")
      yield* gather
      yield* TestClock.adjust("30 days")
      yield* first.ask("two")
      yield* gather
      yield* first.stop
      const second = yield* start()
      yield* second.ask("one")
      yield* gather
      assert.lengthOf(batches(), 3)
    })
  )

  it.effect("and is kept while it is in progress, however long that takes", () =>
    Effect.gen(function* () {
      const { batches, end, endAtOnce, start } = yield* fixture()
      const first = yield* start()
      yield* first.ask("old")
      yield* gather
      yield* first.stop
      yield* TestClock.adjust("30 days")
      endAtOnce()
      const { ask } = yield* start()
      const old = yield* ask("old")
      assert.strictEqual(yield* Effect.andThen(gather, text(yield* ask("new"))), "Echo: new")
      end()
      yield* poll
      assert.strictEqual(yield* text(old), "Echo: old")
      assert.lengthOf(batches(), 2)
    })
  )

  it.effect("even when it ended while no task waited for it", () =>
    Effect.gen(function* () {
      const { batches, end, journal, start } = yield* fixture()
      const first = yield* start()
      yield* first.ask("one")
      yield* gather
      yield* first.stop
      end()
      const second = yield* start()
      // Another worker may follow it, so it is checked from time to time only.
      yield* TestClock.adjust("11 minutes")
      assert.deepStrictEqual(yield* journal.list, [])
      assert.strictEqual(yield* text(yield* second.ask("one")), "Echo: one")
      assert.lengthOf(batches(), 1)
    })
  )
})

describe("a request is repeated", () => {
  it.effect("in the same run: its first answer was unusable, so it gets another one", () =>
    Effect.gen(function* () {
      let n = 0
      const { batches, endAtOnce, start } = yield* fixture(() => `answer ${++n}`)
      endAtOnce()
      const { ask } = yield* start()
      const first = yield* ask("one")
      yield* gather
      const second = yield* ask("one")
      yield* gather
      assert.deepStrictEqual(yield* texts([first, second]), ["answer 1", "answer 2"])
      assert.lengthOf(batches(), 2)
    })
  )

  it.effect("by a later attempt in the same run: the answer of the one before was unusable as well", () =>
    Effect.gen(function* () {
      let n = 0
      const { batches, endAtOnce, endAttempt, start } = yield* fixture(() => `answer ${++n}`)
      endAtOnce()
      const { ask } = yield* start()
      const first = yield* ask("one")
      yield* gather
      endAttempt("one", "Retry")
      const second = yield* ask("one", { idempotencyKey: "one/2" })
      yield* gather
      assert.deepStrictEqual(yield* texts([first, second]), ["answer 1", "answer 2"])
      assert.lengthOf(batches(), 2)
    })
  )

  it.effect("by the attempt that follows one which lost its lease after its answer: it gets that answer", () =>
    Effect.gen(function* () {
      const { batches, endAtOnce, endAttempt, start } = yield* fixture()
      endAtOnce()
      const { ask, isInBatch } = yield* start()
      const votes = [yield* ask("one"), yield* ask("one")]
      yield* gather
      yield* texts(votes)
      endAttempt("one", "Release")
      assert.isTrue(yield* isInBatch("one", { idempotencyKey: "one/2" }))
      const again = [yield* ask("one", { idempotencyKey: "one/2" }), yield* ask("one", { idempotencyKey: "one/2" })]
      yield* gather
      assert.deepStrictEqual(yield* texts(again), ["Echo: one", "Echo: one"])
      assert.lengthOf(batches(), 1)
      // This attempt has had both answers.
      yield* ask("one", { idempotencyKey: "one/2" })
      yield* gather
      assert.lengthOf(batches(), 2)
    })
  )

  for (const sent of [true, false]) {
    const when = sent ? "while it waits for its batch" : "before its batch was created"
    it.effect(`by the attempt that follows one which lost its lease ${when}: it takes its place`, () =>
      Effect.gen(function* () {
        const { batches, end, endAttempt, start } = yield* fixture()
        const { ask, isInBatch } = yield* start()
        const votes = [yield* ask("one"), yield* ask("one")]
        if (sent) yield* gather
        endAttempt("one", "Release")
        assert.strictEqual(yield* isInBatch("one", { idempotencyKey: "one/2" }), sent)
        const again = [yield* ask("one", { idempotencyKey: "one/2" }), yield* ask("one", { idempotencyKey: "one/2" })]
        for (const vote of votes) assert.strictEqual((yield* failure(vote))?.type, "lease_lost")
        yield* gather
        end()
        yield* poll
        assert.deepStrictEqual(yield* texts(again), ["Echo: one", "Echo: one"])
        assert.deepStrictEqual(
          batches().map(({ requests }) => requests.length),
          [2]
        )
      })
    )
  }

  it.effect(
    "by the attempt that follows one which lost its lease while it was looked for: only that attempt sends it",
    () =>
      Effect.gen(function* () {
        const { batches, end, endAttempt, holdNextTake, start } = yield* fixture()
        const { ask } = yield* start()
        const held = holdNextTake()
        const first = yield* ask("one")
        yield* Effect.repeat(Effect.yieldNow, { times: 20 })
        endAttempt("one", "Release")
        const second = yield* ask("one", { idempotencyKey: "one/2" })
        yield* Effect.repeat(Effect.yieldNow, { times: 20 })
        yield* held.open
        assert.strictEqual((yield* failure(first))?.type, "lease_lost")
        yield* gather
        end()
        yield* poll
        assert.strictEqual(yield* text(second), "Echo: one")
        assert.lengthOf(batches(), 1)
      })
  )

  it.effect("in a later run: it does not get the rejected answer", () =>
    Effect.gen(function* () {
      let n = 0
      const { endAtOnce, start } = yield* fixture(() => `answer ${++n}`)
      endAtOnce()
      const first = yield* start()
      yield* first.ask("one")
      yield* gather
      yield* first.stop
      const second = yield* start()
      const sending = yield* second.ask("one", { rejected: "answer 1" })
      yield* gather
      assert.strictEqual(yield* text(sending), "answer 2")
    })
  )

  it.effect("at the same time: as votes, whose answers a later run finds one by one", () =>
    Effect.gen(function* () {
      let n = 0
      const { batches, end, start } = yield* fixture(() => `answer ${++n}`)
      const first = yield* start()
      for (let vote = 0; vote < 3; vote++) yield* first.ask("one")
      yield* gather
      assert.lengthOf(new Set(batches()[0]?.requests.map(({ custom_id }) => custom_id)), 3)
      yield* first.stop
      end()
      const second = yield* start()
      yield* gather
      const votes: Array<string> = []
      for (let vote = 0; vote < 3; vote++) votes.push(yield* text(yield* second.ask("one")))
      assert.sameMembers(votes, ["answer 1", "answer 2", "answer 3"])
      assert.lengthOf(batches(), 1)
    })
  )

  it.effect("after its task was requeued: it is a new request", () =>
    Effect.gen(function* () {
      const { batches, endAtOnce, start } = yield* fixture()
      endAtOnce()
      const first = yield* start()
      yield* first.ask("one")
      yield* gather
      yield* first.stop
      const second = yield* start()
      yield* second.ask("one", { requeues: 1, idempotencyKey: "one/1.1" })
      yield* gather
      assert.lengthOf(batches(), 2)
    })
  )

  it.effect(
    "by another task, because the cache sends one request for all: it gets the unclaimed answer of the last run",
    () =>
      Effect.gen(function* () {
        const { batches, end, start } = yield* fixture()
        const first = yield* start()
        yield* first.ask("one", { id: "left", isShared: true })
        yield* gather
        yield* first.stop
        end()
        const second = yield* start()
        yield* gather
        const sending = yield* second.ask("one", { id: "right", isShared: true })
        yield* gather
        assert.strictEqual(yield* text(sending), "Echo: one")
        assert.lengthOf(batches(), 1)
        // A delivered answer is not for other tasks: the cache has it for them, unless they want another one.
        yield* second.ask("one", { id: "third", isShared: true })
        yield* gather
        assert.lengthOf(batches(), 2)
        yield* second.stop
        end()
        const last = yield* start()
        yield* last.ask("one", { id: "third", isShared: true })
        yield* last.ask("one", { id: "fourth", isShared: true })
        yield* gather
        assert.lengthOf(batches(), 3)
      })
  )
})

describe("it is unknown whether a batch was created", () => {
  it.effect("because the response was lost: it is found among those that the API lists", () =>
    Effect.gen(function* () {
      const { batches, end, next, start } = yield* fixture()
      next("lose")
      const { ask } = yield* start()
      const sendings = [yield* ask("one"), yield* ask("two")]
      yield* gather
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(batches(), 1)
      assert.deepStrictEqual(sendings.map(isWaiting), [true, true])
      end()
      yield* poll
      assert.deepStrictEqual(yield* texts(sendings), ["Echo: one", "Echo: two"])
      assert.lengthOf(batches(), 1)
    })
  )

  it.effect("because the run ended while it was being created: the next one finds it", () =>
    Effect.gen(function* () {
      const { batches, end, journal, next, start } = yield* fixture()
      next("hang")
      const first = yield* start()
      yield* first.ask("one")
      yield* gather
      const stopping = yield* Effect.forkChild(first.stop)
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(stopping)
      assert.deepStrictEqual(
        (yield* journal.list).map(({ id, requests }) => ({ id, requests })),
        [{ id: undefined, requests: 1 }]
      )
      const second = yield* start()
      const sending = yield* second.ask("one")
      yield* poll
      assert.isTrue(isWaiting(sending))
      end()
      yield* poll
      assert.strictEqual(yield* text(sending), "Echo: one")
      assert.lengthOf(batches(), 1)
    })
  )

  it.effect("and it does not exist: its requests are sent a minute later", () =>
    Effect.gen(function* () {
      const { batches, endAtOnce, next, start } = yield* fixture()
      endAtOnce()
      next("vanish")
      const { ask } = yield* start()
      yield* TestClock.adjust("1 hour")
      const sending = yield* ask("one")
      yield* TestClock.adjust("45 seconds")
      assert.lengthOf(batches(), 0)
      yield* poll
      assert.strictEqual(yield* text(sending), "Echo: one")
      assert.lengthOf(batches(), 1)
    })
  )

  it.effect("and another program's batch of the same size has to end before that is certain", () =>
    Effect.gen(function* () {
      const { add, batches, end, next, start } = yield* fixture()
      next("vanish")
      const { ask } = yield* start()
      const sending = yield* ask("one")
      yield* gather
      add(stranger(1))
      yield* TestClock.adjust("20 hours")
      assert.lengthOf(batches(), 1)
      end()
      yield* poll
      assert.lengthOf(batches(), 2)
      end()
      yield* poll
      assert.strictEqual(yield* text(sending), "Echo: one")
    })
  )

  it.effect("while another program has batches of the same size, of another size, and an old one", () =>
    Effect.gen(function* () {
      const { add, batches, end, next, start } = yield* fixture()
      add(stranger(1, "old"))
      yield* TestClock.adjust("3 hours")
      const { ask } = yield* start()
      next("lose")
      const sending = yield* ask("one")
      yield* gather
      add(stranger(1, "same"))
      add(stranger(2, "larger"))
      end()
      yield* poll
      assert.strictEqual(yield* text(sending), "Echo: one")
      assert.lengthOf(batches(), 4)
    })
  )

  it.effect("and another program's batches in progress that cannot be the one cause no delay", () =>
    Effect.gen(function* () {
      const { add, batches, next, start } = yield* fixture()
      add(stranger(1, "old"))
      yield* TestClock.adjust("3 hours")
      next("vanish")
      const { ask } = yield* start()
      yield* ask("one")
      add(stranger(2, "larger"))
      yield* poll
      assert.lengthOf(batches(), 3)
    })
  )

  it.effect("and other batches are created meanwhile", () =>
    Effect.gen(function* () {
      const { batches, end, next, start } = yield* fixture()
      next("lose")
      const { ask } = yield* start()
      const first = yield* ask("one")
      yield* gather
      const second = yield* ask("two")
      yield* gather
      end()
      yield* poll
      assert.deepStrictEqual(yield* texts([first, second]), ["Echo: one", "Echo: two"])
      assert.lengthOf(batches(), 2)
    })
  )
})

describe("the API does not know a batch", () => {
  it.effect("because it was deleted: its requests are sent again", () =>
    Effect.gen(function* () {
      const { batches, forget, start } = yield* fixture()
      const first = yield* start()
      yield* first.ask("one")
      yield* gather
      yield* first.stop
      yield* TestClock.adjust("30 days")
      forget()
      const second = yield* start()
      yield* second.ask("one")
      yield* poll
      assert.lengthOf(batches(), 2)
    })
  )

  it.effect("that it should know: the run ends, because sending it again would pay twice", () =>
    Effect.gen(function* () {
      const { batches, forget, start } = yield* fixture()
      const first = yield* start()
      yield* first.ask("one")
      yield* gather
      yield* first.stop
      forget()
      const second = yield* start()
      const sending = yield* second.ask("one")
      yield* poll
      const error = yield* failure(sending)
      assert.strictEqual(error?.reason, "Fatal")
      assert.match(error?.message ?? "", /^The batch batch_1 is unknown to this API key: use the key that it was/)
      assert.lengthOf(batches(), 1)
    })
  )
})
