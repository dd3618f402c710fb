import * as assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import type { Claim } from "../../TaskStore.ts"
import { atMost, type Usage, zero } from "../../Usage.ts"
import * as UsageSum from "../../UsageSum.ts"
import {
  type Case,
  claim,
  claimNew,
  claimOne,
  complete,
  execution,
  fail,
  type Fixture,
  ids,
  it,
  leaseOf,
  numbered,
  patient,
  release,
  retry,
  sendToReview,
  settle,
  task,
  usage
} from "./fixture.ts"

/** The usage that the store reports for each queue. */
export const reportedUsage = ({ store }: Fixture) =>
  Effect.map(store.queues, (queues) => new Map(queues.map(({ queue, usage }) => [queue, usage])))

/** The usage of each queue, added up from all of its tasks. */
const addedUp = Effect.fnUntraced(function* ({ store }: Fixture) {
  const sums = new Map<string, UsageSum.UsageSum>()
  let cursor: string | undefined
  do {
    const page = yield* store.list({ cursor, results: false })
    for (const { queue, usage } of page.tasks) {
      sums.set(queue, UsageSum.add(sums.get(queue) ?? UsageSum.zero, UsageSum.of(usage)))
    }
    cursor = page.next ?? undefined
  } while (cursor !== undefined)
  return new Map(Array.from(sums, ([queue, sum]) => [queue, UsageSum.toUsage(sum)]))
})

/** Holds what the store reports against what its tasks say. */
export const compareUsage = Effect.fnUntraced(function* (fixture: Fixture) {
  assert.deepEqual(yield* reportedUsage(fixture), yield* addedUp(fixture))
})

/** The store reports this usage of the only queue, and its tasks have the same. */
const isUsed = Effect.fnUntraced(function* (fixture: Fixture, expected: Usage | undefined) {
  assert.deepEqual(Array.from((yield* reportedUsage(fixture)).values()), [expected])
  yield* compareUsage(fixture)
})

const save = Effect.fnUntraced(function* ({ store }: Fixture, claimed: Claim, used: Usage | undefined) {
  const saved = { ...leaseOf(claimed), execution: execution("saved"), usage: used }
  assert.deepEqual((yield* store.checkpoint([saved])).lost, [])
})

/** Completes a task that used this much. */
const using = (claimed: Claim, used: Usage) => ({ ...complete(claimed), usage: used })

const times = (count: number, { costUsd, inputTokens, outputTokens }: Usage): Usage => ({
  ...zero,
  inputTokens: count * inputTokens,
  outputTokens: count * outputTokens,
  costUsd: costUsd === null ? null : (count * UsageSum.nanoUsd(costUsd)) / 1e9
})

export const usageOfQueues: ReadonlyArray<Case> = [
  it(
    "the usage of a queue is that of all its tasks, however their attempts ended",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(numbered(6))
      yield* isUsed(fixture, undefined)
      const [completed, retried, failed, released, reviewed] = yield* claim(fixture, { limit: 5 })
      assert.ok(completed && retried && failed && released && reviewed)
      yield* settle(
        fixture,
        { ...complete(completed), usage: usage(1) },
        { ...retry(retried), usage: usage(2) },
        { ...fail(failed), usage: usage(3) },
        release(released, "stopping", { attemptUsage: usage(4), usage: usage(4) })
      )
      yield* isUsed(fixture, { ...usage(10), inputTokens: 40 })
      const inReview = fixture.store.reviews === undefined ? complete(reviewed) : sendToReview(reviewed)
      yield* settle(fixture, { ...inReview, usage: usage(5) })
      yield* isUsed(fixture, { ...usage(15), inputTokens: 50 })
    })
  ),
  it(
    "the usage of a later attempt takes the place of the former, and a release without usage keeps it",
    Effect.fnUntraced(function* (fixture) {
      yield* settle(fixture, { ...retry(yield* claimNew(fixture, "a")), usage: usage(1) })
      yield* isUsed(fixture, usage(1))
      yield* settle(fixture, release(yield* claimOne(fixture)))
      yield* isUsed(fixture, usage(1))
      yield* settle(fixture, { ...retry(yield* claimOne(fixture)), usage: usage(20) })
      yield* isUsed(fixture, usage(20))
      yield* settle(fixture, { ...complete(yield* claimOne(fixture)), usage: usage(30) })
      yield* isUsed(fixture, usage(30))
    })
  ),
  it(
    "usage that a checkpoint has saved counts once, also when the attempt is settled, swept or cancelled",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "a", fixture.seconds(2))
      yield* save(fixture, claimed, usage(1))
      yield* save(fixture, claimed, usage(2))
      yield* isUsed(fixture, usage(2))
      yield* fixture.advance(3)
      yield* fixture.store.sweep(patient)
      yield* isUsed(fixture, usage(2))
      const second = yield* claimOne(fixture)
      yield* save(fixture, second, usage(5))
      yield* settle(fixture, { ...complete(second), usage: usage(7) })
      yield* isUsed(fixture, usage(7))
      const other = yield* claimNew(fixture, "b")
      yield* save(fixture, other, usage(1))
      yield* fixture.store.cancel({ ids: ids("b") })
      yield* isUsed(fixture, { ...usage(8), inputTokens: 20 })
    })
  ),
  it(
    "tasks that are requeued keep their usage",
    Effect.fnUntraced(function* (fixture) {
      yield* settle(fixture, { ...fail(yield* claimNew(fixture, "a")), usage: usage(3) })
      yield* fixture.store.requeue({ ids: ids("a") })
      yield* isUsed(fixture, usage(3))
      yield* settle(fixture, { ...complete(yield* claimOne(fixture)), usage: usage(9) })
      yield* isUsed(fixture, usage(9))
    })
  ),
  it(
    "the usage of pruned tasks is gone, and that of the others stays",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(numbered(4))
      const claims = yield* claim(fixture)
      yield* settle(fixture, ...claims.map((claimed, index) => using(claimed, usage(index + 1))))
      yield* isUsed(fixture, { ...usage(10), inputTokens: 40 })
      yield* fixture.store.prune({ statuses: ["completed"], ids: ids("task-1", "task-3") })
      yield* isUsed(fixture, { ...usage(4), inputTokens: 20 })
      yield* fixture.store.add([task("new")])
      yield* fixture.store.prune({ statuses: ["completed"] })
      yield* isUsed(fixture, undefined)
    })
  ),
  it(
    "a cost is known again once the tasks with unknown costs are gone",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(numbered(3))
      const [known, bounded, unpriced] = yield* claim(fixture)
      assert.ok(known && bounded && unpriced)
      yield* settle(fixture, { ...complete(known), usage: { ...zero, outputTokens: 4, costUsd: 0.25 } })
      yield* settle(fixture, { ...complete(bounded), usage: atMost({ costUsd: 0.5, tokens: 30 }) })
      const bounds = { minUsd: 0.25, maxUsd: 0.75, maxTokens: 34 }
      yield* isUsed(fixture, { ...zero, outputTokens: 4, costUsd: null, bounds })
      yield* settle(fixture, { ...complete(unpriced), usage: { ...zero, inputTokens: 1, costUsd: null } })
      const unbounded = { minUsd: 0.25, maxUsd: null, maxTokens: 35 }
      yield* isUsed(fixture, { ...zero, inputTokens: 1, outputTokens: 4, costUsd: null, bounds: unbounded })
      yield* fixture.store.prune({ statuses: ["completed"], ids: [bounded.task.id, unpriced.task.id] })
      yield* isUsed(fixture, { ...zero, outputTokens: 4, costUsd: 0.25 })
    })
  ),
  it(
    "writes under a lost lease do not change the usage",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "a")
      yield* settle(fixture, { ...complete(claimed), usage: usage(1) })
      yield* fixture.store.checkpoint([{ ...leaseOf(claimed), execution: execution("late"), usage: usage(50) }])
      yield* fixture.store.settle([{ ...fail(claimed), usage: usage(60) }])
      yield* isUsed(fixture, usage(1))
    })
  ),
  it(
    "costs of fractions of a cent add up exactly",
    Effect.fnUntraced(function* (fixture) {
      const count = 1_000
      const each = { ...usage(1), costUsd: 0.000_000_1 }
      yield* fixture.store.add(numbered(count))
      const claims = yield* claim(fixture, { limit: count })
      yield* settle(fixture, ...claims.map((claimed) => using(claimed, each)))
      yield* isUsed(fixture, times(count, each))
      yield* fixture.store.prune({ statuses: ["completed"], ids: claims.slice(1).map(({ task }) => task.id) })
      yield* isUsed(fixture, each)
    })
  ),
  it(
    "tasks bring their usage into another store",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a"), task("b")])
      const [first, second] = yield* claim(fixture)
      assert.ok(first && second)
      yield* settle(fixture, { ...complete(first), usage: usage(1) })
      yield* save(fixture, second, usage(2))
      const { records } = yield* fixture.store.dump()
      const store = yield* fixture.another
      yield* store.restore(records)
      const there = { ...fixture, store }
      yield* isUsed(there, { ...usage(3), inputTokens: 20 })
      yield* fixture.advance(1)
      yield* store.sweep(patient)
      yield* isUsed(there, { ...usage(3), inputTokens: 20 })
    })
  ),
  it(
    "many settlements at the same time add up",
    Effect.fnUntraced(function* (fixture) {
      const count = 60
      yield* fixture.store.add(numbered(count))
      const claims = yield* claim(fixture)
      yield* Effect.forEach(
        claims,
        (claimed) =>
          Effect.andThen(save(fixture, claimed, usage(1)), settle(fixture, { ...complete(claimed), usage: usage(3) })),
        { concurrency: "unbounded", discard: true }
      )
      yield* isUsed(fixture, times(count, usage(3)))
    })
  )
]

/** For stores that can revise tasks. */
export const usageOfRevised: ReadonlyArray<Case> = [
  it(
    "tasks that are revised keep their usage",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "a")
      yield* settle(fixture, { ...complete(claimed), usage: usage(3) })
      yield* fixture.store.revise([{ taskId: claimed.task.id, feedback: "again" }])
      yield* isUsed(fixture, usage(3))
      yield* settle(fixture, { ...complete(yield* claimOne(fixture)), usage: usage(9) })
      yield* isUsed(fixture, usage(9))
    })
  )
]
