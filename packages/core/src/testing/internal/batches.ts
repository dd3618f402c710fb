import * as assert from "node:assert/strict"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { BatchAnswer, BatchEntry, BatchJournal, BatchRequest } from "../../BatchJournal.ts"
import * as Budget from "../../Budget.ts"
import type { Budgets, Claim } from "../../TaskStore.ts"
import {
  type Case,
  claim,
  claimNew,
  complete,
  type Fixture,
  id,
  it,
  leaseOf,
  longLease,
  numbered,
  release,
  settle,
  task
} from "./fixture.ts"

const queue = "default"

const journalOf = ({ store }: Fixture): BatchJournal => {
  assert.ok(store.batches, "the store keeps a journal of batches")
  return store.batches
}

const budgetsOf = ({ store }: Fixture): Budgets => {
  assert.ok(store.budgets, "the store keeps budgets")
  return store.budgets
}

const amount = (nanoUsd: number, tokens = 0): Budget.Amount => ({ nanoUsd, tokens })

const requestOf = (claimed: Claim, options?: Partial<BatchRequest>): BatchRequest => ({
  ...leaseOf(claimed),
  key: `key-${claimed.task.id}`,
  held: Budget.zero,
  ...options
})

const reply = (key: string, options?: Partial<BatchAnswer>): BatchAnswer => ({
  key,
  answer: JSON.stringify({ text: `answer to ${key}` }),
  isReply: true,
  spent: Budget.zero,
  ...options
})

const begin = (fixture: Fixture, run: string, ...requests: ReadonlyArray<BatchRequest>) =>
  journalOf(fixture).begin({ run, queue }, requests)

const recorded = { existing: [], lost: [] }

/** Begins a batch with one request. */
const beginOne = Effect.fnUntraced(function* (fixture: Fixture, run: string, request: BatchRequest) {
  assert.deepEqual(yield* begin(fixture, run, request), recorded)
})

const find = (fixture: Fixture, ...keys: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<BatchEntry>, unknown> =>
  Effect.map(journalOf(fixture).find(keys), (entries) =>
    [...entries].sort((left, right) => (left.key < right.key ? -1 : 1))
  )

const runs = (fixture: Fixture) =>
  Effect.map(journalOf(fixture).list, (batches) => batches.map(({ id, requests, run }) => ({ run, id, requests })))

const reserve = Effect.fnUntraced(function* (fixture: Fixture, claimed: Claim, wanted: Budget.Amount) {
  const spending = { ...leaseOf(claimed), committed: Budget.zero, held: Budget.zero, wanted }
  const { lost, refused } = yield* budgetsOf(fixture).reserve([spending])
  assert.deepEqual({ lost, refused }, { lost: [], refused: [] })
})

const limitTo = (fixture: Fixture, nanoUsd: number) => budgetsOf(fixture).set(queue, { limit: { nanoUsd } })

const expect = Effect.fnUntraced(function* (
  fixture: Fixture,
  committed: Budget.Amount,
  reserved: Budget.Amount,
  name = queue
) {
  const budget = (yield* budgetsOf(fixture).list).find((each) => each.queue === name)
  assert.deepEqual({ committed: budget?.committed, reserved: budget?.reserved }, { committed, reserved })
})

const sweep = (fixture: Fixture) => fixture.store.sweep({ maxAttempts: 3, onCrash: "retry" })

export const batches: ReadonlyArray<Case> = [
  it("a batch is in the journal from before its creation until it has ended", (fixture) =>
    Effect.gen(function* () {
      const journal = journalOf(fixture)
      yield* fixture.store.add(numbered(3))
      const claims = yield* claim(fixture)
      const requests = claims.map((claimed) => requestOf(claimed))
      const keys = requests.map(({ key }) => key).sort()
      assert.deepEqual(yield* begin(fixture, "run-1", ...requests.slice(0, 2)), recorded)
      assert.deepEqual(yield* begin(fixture, "run-1", ...requests.slice(2)), recorded)
      assert.deepEqual(yield* runs(fixture), [{ run: "run-1", id: undefined, requests: 3 }])
      yield* journal.created("run-1", "batch_1")
      assert.deepEqual(yield* runs(fixture), [{ run: "run-1", id: "batch_1", requests: 3 }])
      assert.deepEqual([...(yield* journal.unanswered("run-1"))].sort(), keys)

      const [first = "", ...others] = keys
      assert.deepEqual(yield* journal.record("run-1", [reply(first)]), [first])
      assert.deepEqual([...(yield* journal.unanswered("run-1"))].sort(), others)
      yield* journal.record(
        "run-1",
        others.map((key) => reply(key))
      )
      yield* journal.end("run-1")
      assert.deepEqual(yield* runs(fixture), [])
      assert.deepEqual(
        (yield* find(fixture, ...keys, "unknown")).map(({ answer, key }) => ({ key, answer })),
        keys.map((key) => ({ key, answer: JSON.stringify({ text: `answer to ${key}` }) }))
      )
    })),

  it("a request that is in a batch or has a reply is not in another one; without a reply, it is", (fixture) =>
    Effect.gen(function* () {
      const journal = journalOf(fixture)
      const request = requestOf(yield* claimNew(fixture, "a"))
      const { key } = request
      yield* beginOne(fixture, "first", request)
      // The answer to the first call may have been lost.
      yield* beginOne(fixture, "first", request)
      assert.deepEqual(yield* runs(fixture), [{ run: "first", id: undefined, requests: 1 }])
      assert.deepEqual(yield* begin(fixture, "second", request), { existing: [key], lost: [] })
      yield* journal.record("first", [reply(key, { isReply: false, answer: '"expired"' })])
      yield* beginOne(fixture, "third", request)
      assert.deepEqual(yield* find(fixture, key), [
        { key, run: "third", answer: undefined, isReply: false, takenBy: undefined }
      ])
      // A late answer of the other batch.
      assert.deepEqual(yield* journal.record("first", [reply(key)]), [])
      yield* journal.record("third", [reply(key)])
      assert.deepEqual(yield* begin(fixture, "fourth", request), { existing: [key], lost: [] })
    })),

  it("a request under a lease that has ended is not recorded", (fixture) =>
    Effect.gen(function* () {
      const claimed = yield* claimNew(fixture, "a")
      yield* settle(fixture, release(claimed, "shutting down"))
      const request = requestOf(claimed)
      assert.deepEqual(yield* begin(fixture, "run", request), { existing: [], lost: [request.key] })
      assert.deepEqual(yield* runs(fixture), [])
      assert.deepEqual(yield* find(fixture, request.key), [])
    })),

  it("a reply is taken by one task, and by it again", (fixture) =>
    Effect.gen(function* () {
      const { record, take } = journalOf(fixture)
      const [a, b] = [requestOf(yield* claimNew(fixture, "a")), requestOf(yield* claimNew(fixture, "b"))]
      yield* begin(fixture, "run", a, b)
      const takenBy = (key: string, name: string) =>
        Effect.map(take([{ key, taskId: id(name) }]), ([entry]) => entry?.takenBy)
      assert.equal(yield* takenBy(a.key, "a"), undefined)
      yield* record("run", [reply(a.key, { takenBy: id("a") }), reply(b.key)])
      assert.equal(yield* takenBy(a.key, "c"), "a")
      assert.equal(yield* takenBy(b.key, "c"), "c")
      assert.equal(yield* takenBy(b.key, "b"), "c")
      assert.deepEqual(yield* take([{ key: "unknown", taskId: id("c") }]), [])
    })),

  it("a batch that does not exist is dropped, except for its answers", (fixture) =>
    Effect.gen(function* () {
      const { drop, record } = journalOf(fixture)
      const [a, b] = [requestOf(yield* claimNew(fixture, "a")), requestOf(yield* claimNew(fixture, "b"))]
      yield* begin(fixture, "run", a, b)
      yield* record("run", [reply(a.key)])
      yield* drop("run")
      assert.deepEqual(
        (yield* find(fixture, a.key, b.key)).map(({ key }) => key),
        [a.key]
      )
      assert.deepEqual(yield* runs(fixture), [])
      yield* beginOne(fixture, "again", b)
      yield* drop("again")
      assert.deepEqual(yield* find(fixture, b.key), [])
      assert.deepEqual(yield* runs(fixture), [])
      yield* drop("again")
    })),

  it("old batches that have ended are removed with their answers", (fixture) =>
    Effect.gen(function* () {
      const { end, prune, record } = journalOf(fixture)
      const old = requestOf(yield* claimNew(fixture, "old"))
      const open = requestOf(yield* claimNew(fixture, "open"))
      yield* beginOne(fixture, "old", old)
      yield* beginOne(fixture, "open", open)
      yield* record("old", [reply(old.key)])
      yield* end("old")
      yield* prune(Duration.hours(1))
      assert.equal((yield* find(fixture, old.key, open.key)).length, 2)
      yield* fixture.advance(2)
      yield* prune(fixture.seconds(1))
      assert.deepEqual(
        (yield* find(fixture, old.key, open.key)).map(({ key }) => key),
        [open.key]
      )
    }))
]

export const batchesWithBudgets: ReadonlyArray<Case> = [
  it("the end of a lease commits nothing that is in a batch; its answer commits its cost, once", (fixture) =>
    Effect.gen(function* () {
      const { record } = journalOf(fixture)
      yield* limitTo(fixture, 1000)
      const claimed = yield* claimNew(fixture, "a", fixture.seconds(10))
      yield* reserve(fixture, claimed, amount(70, 8))
      yield* beginOne(fixture, "run", requestOf(claimed, { held: amount(50, 5) }))
      yield* expect(fixture, Budget.zero, amount(70, 8))
      yield* fixture.advance(11)
      yield* sweep(fixture)
      yield* expect(fixture, amount(20, 3), amount(50, 5))
      const answer = reply("key-a", { spent: amount(7, 2) })
      assert.deepEqual(yield* record("run", [answer]), ["key-a"])
      yield* expect(fixture, amount(27, 5), Budget.zero)
      assert.deepEqual(yield* record("run", [answer]), [])
      yield* expect(fixture, amount(27, 5), Budget.zero)
    })),

  it("an answer of unknown cost commits its reservation", (fixture) =>
    Effect.gen(function* () {
      yield* limitTo(fixture, 1000)
      const claimed = yield* claimNew(fixture, "a")
      yield* reserve(fixture, claimed, amount(50, 5))
      yield* beginOne(fixture, "run", requestOf(claimed, { held: amount(50, 5) }))
      yield* journalOf(fixture).record("run", [reply("key-a", { spent: undefined })])
      yield* expect(fixture, amount(50, 5), Budget.zero)
    })),

  it("no more than the lease has reserved moves to the journal", (fixture) =>
    Effect.gen(function* () {
      yield* limitTo(fixture, 1000)
      const claimed = yield* claimNew(fixture, "a")
      yield* reserve(fixture, claimed, amount(30))
      const first = requestOf(claimed, { key: "first", held: amount(20) })
      const second = requestOf(claimed, { key: "second", held: amount(20) })
      assert.deepEqual(yield* begin(fixture, "run", first, second), recorded)
      yield* expect(fixture, Budget.zero, amount(30))
      yield* fixture.store.cancel({ ids: [id("a")] })
      yield* expect(fixture, Budget.zero, amount(30))
      yield* journalOf(fixture).drop("run")
      yield* expect(fixture, Budget.zero, Budget.zero)
    })),

  it("what a dropped batch had reserved returns to the leases that are current, and is freed otherwise", (fixture) =>
    Effect.gen(function* () {
      yield* limitTo(fixture, 1000)
      const [a, b] = [yield* claimNew(fixture, "a"), yield* claimNew(fixture, "b")]
      for (const claimed of [a, b]) yield* reserve(fixture, claimed, amount(40))
      yield* begin(fixture, "run", requestOf(a, { held: amount(40) }), requestOf(b, { held: amount(40) }))
      yield* settle(fixture, release(b, "shutting down"))
      yield* expect(fixture, Budget.zero, amount(80))
      yield* journalOf(fixture).drop("run")
      yield* expect(fixture, Budget.zero, amount(40))
      yield* fixture.store.cancel({ ids: [id("a")] })
      yield* expect(fixture, amount(40), Budget.zero)
    })),

  it("a settlement does not commit again what the journal has committed", (fixture) =>
    Effect.gen(function* () {
      yield* limitTo(fixture, 1000)
      const claimed = yield* claimNew(fixture, "a")
      yield* reserve(fixture, claimed, amount(50, 9))
      yield* beginOne(fixture, "run", requestOf(claimed, { held: amount(50, 9) }))
      yield* journalOf(fixture).record("run", [reply("key-a", { spent: amount(30, 4) })])
      const usage = { inputTokens: 0, outputTokens: 6, cacheReadTokens: 0, cacheWriteTokens: 0, costUsd: 45e-9 }
      yield* settle(fixture, { ...complete(claimed), attemptUsage: usage, usage, committed: amount(30, 4) })
      yield* expect(fixture, amount(45, 6), Budget.zero)
    })),

  it("in a queue without a budget, nothing is counted", (fixture) =>
    Effect.gen(function* () {
      yield* budgetsOf(fixture).set("other", { limit: { nanoUsd: 5 } })
      const claimed = yield* claimNew(fixture, "a")
      yield* beginOne(fixture, "run", requestOf(claimed, { held: amount(9) }))
      yield* journalOf(fixture).record("run", [reply("key-a", { spent: amount(7) })])
      yield* expect(fixture, Budget.zero, Budget.zero, "other")
    })),

  it(
    "in any order of crashes, answers and failures, the committed amount is the bill",
    (fixture) => Effect.forEach([1, 2], (seed) => interleave(fixture, `bill-${seed}`, seed), { discard: true }),
    {
      inOneSession: true
    }
  )
]

/** A request of the model: under its lease, or in a batch that has not answered it. */
interface Modelled {
  readonly claimed: Claim
  readonly key: string
  readonly reserved: Budget.Amount
  run: string | undefined
  isLeased: boolean
}

/** Carries out random operations against a model, in which the workers die at any time. */
const interleave = Effect.fnUntraced(function* (fixture: Fixture, name: string, seed: number) {
  const { drop, record } = journalOf(fixture)
  yield* budgetsOf(fixture).set(name, { limit: { nanoUsd: 1_000, tokens: 500 } })
  let state = seed
  const dice = (sides: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * sides)
  }
  const open = new Set<Modelled>()
  let bill = Budget.zero
  let count = 0

  const start = Effect.gen(function* () {
    yield* fixture.store.add([task(`${name}-${count++}`, { queue: name })])
    const claims = yield* fixture.store.claim({ queues: [name], limit: 1, owner: "w", lease: longLease })
    for (const claimed of claims) {
      const reserved = amount(dice(80), dice(40))
      const spending = { ...leaseOf(claimed), committed: Budget.zero, held: Budget.zero, wanted: reserved }
      const { refused } = yield* budgetsOf(fixture).reserve([spending])
      const granted = refused.length === 0 ? reserved : Budget.zero
      open.add({
        claimed,
        key: `${claimed.token}-${claimed.task.id}`,
        reserved: granted,
        run: undefined,
        isLeased: true
      })
    }
  })

  const send = Effect.fnUntraced(function* (each: Modelled) {
    if (each.run !== undefined || !each.isLeased) return
    each.run = `${name}-run-${count++}`
    const { claimed, key, reserved, run } = each
    const reply = yield* journalOf(fixture).begin({ run, queue: name }, [requestOf(claimed, { key, held: reserved })])
    assert.deepEqual(reply, recorded)
  })

  const answer = Effect.fnUntraced(function* (each: Modelled) {
    if (each.run === undefined) return
    const spent = dice(4) === 0 ? undefined : amount(dice(each.reserved.nanoUsd + 1), dice(each.reserved.tokens + 1))
    bill = Budget.add(bill, spent ?? each.reserved)
    const given = reply(each.key, { spent })
    // Two workers collect the same batch.
    const both = yield* Effect.all([record(each.run, [given]), record(each.run, [given])], { concurrency: 2 })
    assert.deepEqual(both.flat(), [each.key])
    open.delete(each)
    if (each.isLeased) yield* settle(fixture, release(each.claimed, "shutting down"))
  })

  /** A call that is not in a batch may have been made. */
  const die = Effect.fnUntraced(function* (each: Modelled) {
    if (!each.isLeased) return
    each.isLeased = false
    yield* fixture.store.cancel({ ids: [each.claimed.task.id] })
    if (each.run !== undefined) return
    bill = Budget.add(bill, each.reserved)
    open.delete(each)
  })

  const lose = Effect.fnUntraced(function* (each: Modelled) {
    if (each.run === undefined) return
    yield* drop(each.run)
    each.run = undefined
    if (!each.isLeased) open.delete(each)
  })

  const operations = [send, send, answer, die, lose]
  for (let round = 0; round < 15; round++) {
    if (open.size < 6) yield* start
    const each = [...open][dice(open.size)]
    const operation = operations[dice(operations.length)]
    if (each !== undefined && operation !== undefined) yield* operation(each)
    const reserved = [...open].reduce((sum, each) => Budget.add(sum, each.reserved), Budget.zero)
    yield* expect(fixture, bill, reserved, name)
  }
  for (const each of open) yield* Effect.andThen(send(each), answer(each))
  yield* expect(
    fixture,
    bill,
    [...open].reduce((sum, each) => Budget.add(sum, each.reserved), Budget.zero),
    name
  )
  yield* fixture.store.cancel({ status: "pending", queue: name })
})

/** For a store without a journal of batches. */
export const noBatches: ReadonlyArray<Case> = [
  it("the store says that it keeps no journal of batches", ({ store }) =>
    Effect.sync(() => assert.equal(store.batches, undefined)))
]
