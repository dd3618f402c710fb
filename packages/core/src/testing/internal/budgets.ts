import * as assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import * as Budget from "../../Budget.ts"
import type { Budgets, Claim, Reserved, Settlement, Spending } from "../../TaskStore.ts"
import type { Usage } from "../../Usage.ts"
import {
  type Case,
  claim,
  claimNew,
  claimOne,
  complete,
  fail,
  type Fixture,
  id,
  it,
  leaseOf,
  longLease,
  numbered,
  patient,
  release,
  retry,
  settle,
  task
} from "./fixture.ts"

const queue = "default"

const budgetsOf = ({ store }: Fixture): Budgets => {
  assert.ok(store.budgets, "the store keeps budgets")
  return store.budgets
}

const amount = (nanoUsd: number, tokens = 0): Budget.Amount => ({ nanoUsd, tokens })

const used = (nanoUsd: number, outputTokens = 0): Usage => ({
  inputTokens: 0,
  outputTokens,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  costUsd: nanoUsd / 1e9
})

const limitTo = (fixture: Fixture, nanoUsd?: number, tokens?: number, name = queue) =>
  budgetsOf(fixture).set(name, { limit: { nanoUsd: nanoUsd ?? null, tokens: tokens ?? null } })

const spending = (claimed: Claim, wanted: Budget.Amount, options?: Partial<Spending>): Spending => ({
  ...leaseOf(claimed),
  committed: Budget.zero,
  held: Budget.zero,
  wanted,
  ...options
})

const reserve = (fixture: Fixture, ...rows: ReadonlyArray<Spending>): Effect.Effect<Reserved, unknown> =>
  budgetsOf(fixture).reserve(rows)

const grant = Effect.fnUntraced(function* (fixture: Fixture, ...rows: ReadonlyArray<Spending>) {
  const { lost, refused } = yield* reserve(fixture, ...rows)
  assert.deepEqual({ lost, refused }, { lost: [], refused: [] })
})

const refusedIds = ({ refused }: Reserved) => refused.map(({ taskId }) => taskId)

const budgetOf = (fixture: Fixture, name = queue) =>
  Effect.map(budgetsOf(fixture).list, (budgets) => budgets.find((budget) => budget.queue === name))

const expect = Effect.fnUntraced(function* (fixture: Fixture, committed: Budget.Amount, reserved: Budget.Amount) {
  const budget = yield* budgetOf(fixture)
  assert.deepEqual({ committed: budget?.committed, reserved: budget?.reserved }, { committed, reserved })
})

/** Each way to settle, with this usage. */
const endings: ReadonlyArray<readonly [name: string, end: (claimed: Claim, usage: Usage) => Settlement]> = [
  ["completed", (claimed, usage) => ({ ...complete(claimed), attemptUsage: usage, usage })],
  ["retried", (claimed, usage) => ({ ...retry(claimed), attemptUsage: usage, usage })],
  ["failed", (claimed, usage) => ({ ...fail(claimed), attemptUsage: usage, usage })],
  ["released", (claimed, usage) => release(claimed, "shutting down", { attemptUsage: usage, usage })]
]

export const budgets: ReadonlyArray<Case> = [
  it("a queue has no budget until one is set; fields that are left out stay", (fixture) =>
    Effect.gen(function* () {
      const { list, set } = budgetsOf(fixture)
      assert.deepEqual(yield* list, [])
      const first = yield* set("b", { limit: { nanoUsd: 5 } })
      const zero = { committed: Budget.zero, reserved: Budget.zero }
      assert.deepEqual(first, { queue: "b", limit: { nanoUsd: 5 }, ...zero })
      yield* set("a", { limit: { tokens: 7 } })
      yield* set("b", { limit: { tokens: 100 }, committed: amount(3, 4) })
      const last = yield* set("b", { limit: { nanoUsd: 9 } })
      assert.deepEqual(last, { ...first, limit: { nanoUsd: 9, tokens: 100 }, committed: amount(3, 4) })
      yield* set("b", { limit: { nanoUsd: null } })
      assert.deepEqual(yield* list, [
        { queue: "a", limit: { tokens: 7 }, ...zero },
        { ...last, limit: { tokens: 100 } }
      ])
    })),

  it("setting a budget is a change that runs see", (fixture) =>
    Effect.gen(function* () {
      const { revision } = yield* fixture.store.control
      yield* limitTo(fixture, 5)
      assert.ok((yield* fixture.store.control).revision > revision)
    })),

  it("holds amounts that are larger than 32 bits", (fixture) =>
    Effect.gen(function* () {
      const large = 2 ** 49
      yield* limitTo(fixture, large, large)
      const a = yield* claimNew(fixture, "a")
      yield* grant(fixture, spending(a, amount(large, large)))
      yield* expect(fixture, Budget.zero, amount(large, large))
    })),

  it("without a budget, everything is granted and nothing is kept", (fixture) =>
    Effect.gen(function* () {
      const a = yield* claimNew(fixture, "a")
      yield* grant(fixture, spending(a, amount(1e9, 1e6)))
      assert.deepEqual(yield* budgetsOf(fixture).list, [])
      yield* settle(fixture, { ...complete(a), attemptUsage: used(5), usage: used(5) })
      assert.deepEqual(yield* budgetsOf(fixture).list, [])
    })),

  it("reserves up to the limit of cost and of tokens, and nothing beyond", (fixture) =>
    Effect.gen(function* () {
      yield* limitTo(fixture, 100, 10)
      yield* fixture.store.add(numbered(3))
      const [a, b, c] = yield* claim(fixture)
      assert.ok(a && b && c)
      yield* grant(fixture, spending(a, amount(60, 2)))
      assert.deepEqual(refusedIds(yield* reserve(fixture, spending(b, amount(41, 0)))), [b.task.id])
      assert.deepEqual(refusedIds(yield* reserve(fixture, spending(b, amount(0, 9)))), [b.task.id])
      yield* expect(fixture, Budget.zero, amount(60, 2))
      const { budgets } = yield* reserve(fixture, spending(b, amount(40, 8)))
      assert.deepEqual(
        budgets.map(({ queue, reserved }) => ({ queue, reserved })),
        [{ queue, reserved: amount(100, 10) }]
      )
      assert.deepEqual(refusedIds(yield* reserve(fixture, spending(c, amount(1, 0)))), [c.task.id])
    })),

  it("a refused request keeps later ones of its queue from overtaking it, and those of other queues not", (fixture) =>
    Effect.gen(function* () {
      yield* limitTo(fixture, 100)
      yield* limitTo(fixture, 100, undefined, "other")
      yield* fixture.store.add([task("a"), task("b"), task("c"), task("d", { queue: "other" })])
      const [a, b, c] = yield* claim(fixture)
      const [d] = yield* fixture.store.claim({ queues: ["other"], limit: 1, owner: "w", lease: longLease })
      assert.ok(a && b && c && d)
      const reply = yield* reserve(
        fixture,
        spending(a, amount(60)),
        spending(b, amount(50)),
        spending(c, amount(1)),
        spending(d, amount(100))
      )
      assert.deepEqual(refusedIds(reply), [b.task.id, c.task.id])
      assert.deepEqual(reply.budgets.map(({ reserved }) => reserved.nanoUsd).sort(), [100, 60])
      // A row that wants nothing is not a request.
      yield* grant(fixture, spending(c, Budget.zero, { committed: amount(3) }), spending(b, amount(37)))
      yield* expect(fixture, amount(3), amount(97))
    })),

  it("repeating a call changes nothing", (fixture) =>
    Effect.gen(function* () {
      yield* limitTo(fixture, 100)
      const a = yield* claimNew(fixture, "a")
      const row = spending(a, amount(30), { committed: amount(20), held: amount(40) })
      for (let call = 0; call < 3; call++) {
        yield* grant(fixture, row)
        yield* expect(fixture, amount(20), amount(70))
      }
    })),

  it("a refused request still counts the amounts spent and freed", (fixture) =>
    Effect.gen(function* () {
      yield* limitTo(fixture, 100)
      const a = yield* claimNew(fixture, "a")
      yield* grant(fixture, spending(a, amount(80)))
      const row = spending(a, amount(50), { committed: amount(60) })
      assert.deepEqual(refusedIds(yield* reserve(fixture, row)), [a.task.id])
      yield* expect(fixture, amount(60), Budget.zero)
      // A repeated call of earlier takes nothing back.
      yield* grant(fixture, spending(a, Budget.zero, { committed: amount(10) }))
      yield* expect(fixture, amount(60), Budget.zero)
    })),

  ...endings.map(([name, end]) =>
    it(`an attempt that is ${name} commits its usage, once, and frees the rest`, (fixture) =>
      Effect.gen(function* () {
        yield* limitTo(fixture, 1000)
        yield* fixture.store.add(numbered(3))
        const [a, b, c] = yield* claim(fixture)
        assert.ok(a && b && c)
        yield* grant(fixture, spending(a, amount(100, 10)), spending(b, amount(200)))
        yield* grant(fixture, spending(a, amount(50), { committed: amount(70, 8) }))
        yield* expect(fixture, amount(70, 8), amount(250))
        yield* settle(fixture, end(a, used(90, 11)))
        yield* expect(fixture, amount(90, 11), amount(200))
        // More than it reserved, and without a reservation.
        yield* settle(fixture, end(b, used(300, 1)), end(c, used(5)))
        yield* expect(fixture, amount(395, 12), Budget.zero)
      }))
  ),

  it("settling never lowers the committed amount, and commits nothing without usage", (fixture) =>
    Effect.gen(function* () {
      yield* limitTo(fixture, 1000)
      yield* fixture.store.add(numbered(2))
      const [a, b] = yield* claim(fixture)
      assert.ok(a && b)
      yield* grant(fixture, spending(a, amount(30), { committed: amount(100) }), spending(b, amount(50)))
      yield* settle(fixture, complete(a), release(b))
      yield* expect(fixture, amount(100), Budget.zero)
    })),

  it("sweeping a dead worker's lease commits its reservation in full", (fixture) =>
    Effect.gen(function* () {
      yield* limitTo(fixture, 1000)
      const a = yield* claimNew(fixture, "a", fixture.seconds(1))
      yield* grant(fixture, spending(a, amount(40, 4), { committed: amount(10, 1), held: amount(20, 2) }))
      yield* fixture.advance(2)
      assert.equal((yield* fixture.store.sweep(patient)).length, 1)
      yield* expect(fixture, amount(70, 7), Budget.zero)
      // The next attempt starts with nothing spent.
      const again = yield* claimOne(fixture)
      yield* grant(fixture, spending(again, amount(5), { committed: amount(1) }))
      yield* expect(fixture, amount(71, 7), amount(5))
    })),

  it("cancelling a running task commits its reservation in full, and a pending one nothing", (fixture) =>
    Effect.gen(function* () {
      yield* limitTo(fixture, 1000)
      const a = yield* claimNew(fixture, "a")
      yield* grant(fixture, spending(a, amount(40)))
      yield* fixture.store.add([task("b")])
      yield* fixture.store.cancel({ ids: ["a", "b"] })
      yield* expect(fixture, amount(40), Budget.zero)
      yield* fixture.store.requeue({ ids: ["a"] })
      const again = yield* claimOne(fixture)
      yield* fixture.store.cancel({ status: "in_progress" })
      yield* expect(fixture, amount(40), Budget.zero)
      assert.equal((yield* reserve(fixture, spending(again, amount(1)))).lost.length, 1)
    })),

  it("a lease that is not current reserves and commits nothing", (fixture) =>
    Effect.gen(function* () {
      yield* limitTo(fixture, 1000)
      const a = yield* claimNew(fixture, "a")
      yield* settle(fixture, { ...retry(a), attemptUsage: used(10), usage: used(10) })
      const again = yield* claimOne(fixture)
      yield* grant(fixture, spending(again, amount(7)))
      const { lost, refused } = yield* reserve(fixture, spending(a, amount(1), { committed: amount(500) }))
      assert.deepEqual(refused, [])
      assert.deepEqual(lost, [{ ...leaseOf(a), status: "in_progress" }])
      assert.equal((yield* fixture.store.settle([{ ...fail(a), attemptUsage: used(10) }])).lost.length, 1)
      assert.equal(
        (yield* reserve(fixture, { ...spending(a, amount(1)), taskId: id("unknown") })).lost[0]?.status,
        undefined
      )
      yield* expect(fixture, amount(10), amount(7))
    })),

  it("a lower limit grants nothing more; a higher one does, and counts the amount spent", (fixture) =>
    Effect.gen(function* () {
      yield* limitTo(fixture, 100)
      yield* fixture.store.add(numbered(2))
      const [a, b] = yield* claim(fixture)
      assert.ok(a && b)
      yield* settle(fixture, { ...complete(a), attemptUsage: used(60), usage: used(60) })
      yield* limitTo(fixture, 50)
      assert.equal((yield* reserve(fixture, spending(b, amount(1)))).refused.length, 1)
      yield* expect(fixture, amount(60), Budget.zero)
      yield* limitTo(fixture, 150)
      assert.equal((yield* reserve(fixture, spending(b, amount(91)))).refused.length, 1)
      yield* grant(fixture, spending(b, amount(90)))
      yield* budgetsOf(fixture).set(queue, { committed: Budget.zero })
      yield* expect(fixture, Budget.zero, amount(90))
    })),

  it("a budget outlives the tasks of its queue", (fixture) =>
    Effect.gen(function* () {
      yield* limitTo(fixture, 100)
      const a = yield* claimNew(fixture, "a")
      yield* settle(fixture, { ...complete(a), attemptUsage: used(60), usage: used(60) })
      yield* fixture.store.prune({ statuses: ["completed"] })
      yield* expect(fixture, amount(60), Budget.zero)
    })),

  it("of many workers that race for the rest of a budget, only as many win as it has room for", (fixture) =>
    Effect.gen(function* () {
      yield* limitTo(fixture, 100)
      yield* fixture.store.add(numbered(30))
      const claims = yield* claim(fixture)
      const replies = yield* Effect.forEach(claims, (claimed) => reserve(fixture, spending(claimed, amount(9))), {
        concurrency: "unbounded"
      })
      assert.equal(replies.filter(({ refused }) => refused.length === 0).length, 11)
      yield* expect(fixture, Budget.zero, amount(99))
    })),

  it("in any order of operations, the limit holds and the committed amount is the booked amount", (fixture) =>
    Effect.forEach([1, 2, 3], (seed) => interleave(fixture, `order-${seed}`, seed), { discard: true }))
]

/** A claim, and what a model of the store says about it. */
interface Modelled {
  readonly claimed: Claim
  committed: Budget.Amount
  reserved: Budget.Amount
}

/** Carries out random operations, several at a time, against a model. */
const interleave = Effect.fnUntraced(function* (fixture: Fixture, name: string, seed: number) {
  const limit = amount(1_000, 500)
  yield* limitTo(fixture, limit.nanoUsd, limit.tokens, name)
  let state = seed
  const dice = (sides: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * sides)
  }
  const open: Array<Modelled> = []
  let booked = Budget.zero
  let count = 0

  const begin = Effect.gen(function* () {
    yield* fixture.store.add([task(`${name}-${count++}`, { queue: name })])
    const claims = yield* fixture.store.claim({ queues: [name], limit: 1, owner: "w", lease: longLease })
    for (const claimed of claims) open.push({ claimed, committed: Budget.zero, reserved: Budget.zero })
  })

  const spend = Effect.fnUntraced(function* (each: Modelled) {
    const wanted = amount(dice(80), dice(40))
    // A call that was under way used a part of its reservation.
    const spent = amount(dice(each.reserved.nanoUsd + 1), dice(each.reserved.tokens + 1))
    const committed = Budget.add(each.committed, spent)
    booked = Budget.add(booked, spent)
    const { refused } = yield* reserve(fixture, spending(each.claimed, wanted, { committed }))
    each.committed = committed
    each.reserved = refused.length === 0 ? wanted : Budget.zero
  })

  const end = Effect.fnUntraced(function* (each: Modelled) {
    open.splice(open.indexOf(each), 1)
    if (dice(4) === 0) {
      booked = Budget.add(booked, each.reserved)
      yield* fixture.store.cancel({ ids: [each.claimed.task.id] })
      return
    }
    const spent = amount(dice(each.reserved.nanoUsd + 1), dice(each.reserved.tokens + 1))
    booked = Budget.add(booked, spent)
    const total = Budget.add(each.committed, spent)
    const [, ending] = endings[dice(endings.length)] ?? endings[0] ?? assert.fail("there are endings")
    yield* settle(fixture, ending(each.claimed, used(total.nanoUsd, total.tokens)))
  })

  for (let round = 0; round < 25; round++) {
    if (open.length < 5) yield* begin
    const spenders = open.filter(() => dice(2) === 0)
    yield* Effect.forEach(spenders, spend, { concurrency: "unbounded", discard: true })
    const last = open[dice(open.length + 2)]
    if (last !== undefined) yield* end(last)
    const budget = yield* budgetOf(fixture, name)
    assert.ok(budget)
    const reserved = open.reduce((sum, each) => Budget.add(sum, each.reserved), Budget.zero)
    assert.deepEqual({ committed: budget.committed, reserved: budget.reserved }, { committed: booked, reserved })
    assert.equal(Budget.exceeded(limit, Budget.add(budget.committed, budget.reserved)), undefined)
  }
  yield* Effect.forEach([...open], end, { discard: true })
  yield* fixture.store.cancel({ status: "pending", queue: name })
})

/** For a store without budgets. */
export const noBudgets: ReadonlyArray<Case> = [
  it("the store says that it keeps no budgets", ({ store }) =>
    Effect.sync(() => assert.equal(store.budgets, undefined)))
]
