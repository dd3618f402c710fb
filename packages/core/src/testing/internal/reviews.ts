import * as assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Struct from "effect/Struct"
import * as Budget from "../../Budget.ts"
import type { Claim, ReviewDecision, ReviewReply, Reviews } from "../../TaskStore.ts"
import * as Verification from "../../Verification.ts"
import {
  type Case,
  claim,
  claimedIds,
  claimNew,
  claimOne,
  complete,
  execution,
  find,
  type Fixture,
  id,
  ids,
  it,
  lastAttempt,
  leaseOf,
  outcomes,
  patient,
  retry,
  sendToReview,
  settle,
  statusOf,
  task,
  usage
} from "./fixture.ts"
import { transfer } from "./transferring.ts"

const reviewsOf = ({ store }: Fixture): Reviews => {
  assert.ok(store.reviews, "the store holds tasks for review")
  return store.reviews
}

const about = (claimed: Claim, by = "ann") => ({ ...leaseOf(claimed), by })

const approve = (claimed: Claim, by?: string): ReviewDecision => ({ _tag: "Approve", ...about(claimed, by) })

const reject = (claimed: Claim, comment: string, by?: string): ReviewDecision => ({
  _tag: "Reject",
  ...about(claimed, by),
  comment
})

const tryTo = (fixture: Fixture, ...decisions: ReadonlyArray<ReviewDecision>): Effect.Effect<ReviewReply, unknown> =>
  reviewsOf(fixture).decide(decisions)

/** Decides, and insists that every decision changed its task. */
const decide = Effect.fnUntraced(function* (fixture: Fixture, ...decisions: ReadonlyArray<ReviewDecision>) {
  const { decided, refused } = yield* tryTo(fixture, ...decisions)
  assert.deepEqual(refused, [])
  assert.deepEqual(
    decided,
    decisions.map(({ taskId }) => taskId)
  )
})

/** Adds a task whose output is in review. */
const reviewNew = Effect.fnUntraced(function* (fixture: Fixture, name: string, output?: string) {
  const claimed = yield* claimNew(fixture, name)
  yield* settle(fixture, sendToReview(claimed, output))
  return claimed
})

/** What people say about verdicts after the fact. */
const audits: ReadonlyArray<Case> = [
  it(
    "what a person says about a verdict stays with its attempt, and nothing else changes",
    Effect.fnUntraced(function* (fixture) {
      const first = yield* claimNew(fixture, "a")
      const rejection = Verification.reject("Too long.", { models: ["judge"] })
      yield* settle(fixture, { ...retry(first, { output: "a draft" }), verification: rejection })
      const second = yield* claimOne(fixture)
      yield* settle(fixture, complete(second, "done"))
      const before = yield* find(fixture, "a")
      const history = yield* fixture.store.attempts(id("a"))
      yield* fixture.advance(1)
      const comment = 'Not too long.\n\t"quoted" 🦊'
      const { audit } = reviewsOf(fixture)
      assert.equal((yield* audit({ ...about(first), agrees: false, comment })).kept, true)
      assert.equal((yield* audit({ ...about(second, "bob"), agrees: true })).kept, true)
      assert.deepEqual(yield* find(fixture, "a"), before)
      const audited = yield* fixture.store.attempts(id("a"))
      assert.deepEqual(
        audited.map(({ verification }) => verification?.audit && { ...verification.audit, at: undefined }),
        [
          { agrees: false, by: "ann", at: undefined, comment },
          { agrees: true, by: "bob", at: undefined, comment: "" }
        ]
      )
      const withoutAudits = audited.map(({ verification, ...attempt }) => [
        attempt,
        verification && Struct.omit(verification, ["audit"])
      ])
      assert.deepEqual(
        withoutAudits,
        history.map(({ verification, ...attempt }) => [attempt, verification])
      )
      yield* transfer(fixture)
    })
  ),
  it(
    "of two people who audit a verdict, the first one counts, and saying the same again changes nothing",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "a")
      yield* settle(fixture, complete(claimed))
      const { audit } = reviewsOf(fixture)
      const replies = yield* Effect.all(
        [audit({ ...about(claimed, "ann"), agrees: true }), audit({ ...about(claimed, "bob"), agrees: false })],
        { concurrency: "unbounded" }
      )
      const winner = replies.find(({ kept }) => kept)?.audit
      assert.ok(winner)
      assert.deepEqual(
        replies.map(({ audit }) => audit?.by),
        [winner.by, winner.by]
      )
      assert.equal(replies.filter(({ kept }) => kept).length, 1)
      const again = yield* audit({ ...about(claimed, winner.by), agrees: winner.agrees })
      assert.equal(again.kept, true)
      assert.deepEqual((yield* lastAttempt(fixture, "a")).verification?.audit, winner)
    })
  ),
  it(
    "a verdict on an attempt that is under way, in review, gone, or was not verified cannot be audited",
    Effect.fnUntraced(function* (fixture) {
      const { audit } = reviewsOf(fixture)
      const running = yield* claimNew(fixture, "a")
      const nothing = { kept: false }
      assert.deepEqual(yield* audit({ ...about(running), agrees: true }), nothing)
      yield* settle(fixture, sendToReview(running))
      assert.deepEqual(yield* audit({ ...about(running), agrees: true }), nothing)
      assert.deepEqual(yield* audit({ ...about(running), taskId: id("nowhere"), agrees: true }), nothing)
      const unverified = yield* claimNew(fixture, "b")
      yield* settle(fixture, { ...complete(unverified), verification: undefined, verified: false })
      assert.deepEqual(yield* audit({ ...about(unverified), agrees: true }), nothing)
      assert.equal(yield* statusOf(fixture, "a"), "in_review")
    })
  )
]

export const reviews: ReadonlyArray<Case> = [
  ...audits,
  it(
    "a task in review keeps its output, has no result and no lease, and is not claimed",
    Effect.fnUntraced(function* (fixture) {
      yield* reviewNew(fixture, "a", "a draft")
      const found = yield* find(fixture, "a")
      assert.equal(found.status, "in_review")
      assert.equal(found.result, undefined)
      assert.equal(found.attempts, 1)
      assert.equal(found.verified, false)
      const attempt = yield* lastAttempt(fixture, "a")
      assert.equal(attempt.outcome, "in_review")
      assert.equal(attempt.execution?.output, "a draft")
      assert.equal(attempt.verification?.review, "The judge was unsure.")
      assert.notEqual(attempt.endedAt, undefined)
      assert.deepEqual(yield* claim(fixture), [])
      yield* fixture.advance(1)
      assert.deepEqual(yield* fixture.store.sweep({ ...patient, onCrash: "dead-letter" }), [])
      assert.equal(yield* statusOf(fixture, "a"), "in_review")
    })
  ),
  it(
    "tasks in review are counted and listed",
    Effect.fnUntraced(function* (fixture) {
      yield* reviewNew(fixture, "a")
      yield* reviewNew(fixture, "b")
      yield* fixture.store.add([task("c")])
      assert.deepEqual(
        (yield* fixture.store.list({ status: "in_review" })).tasks.map(({ id }) => id),
        ["a", "b"]
      )
      assert.deepEqual(
        (yield* fixture.store.list({ status: "in_review", queue: "default", limit: 1 })).tasks.map(({ id }) => id),
        ["a"]
      )
      const { in_review, pending } = yield* fixture.store.counts
      assert.deepEqual([in_review, pending], [2, 1])
      assert.equal((yield* fixture.store.queues)[0]?.in_review, 2)
    })
  ),
  it(
    "a queue whose tasks are all in review is drained, and still has tasks",
    Effect.fnUntraced(function* (fixture) {
      yield* reviewNew(fixture, "a")
      assert.equal(yield* fixture.store.awaitWork({ untilDrained: true }), "drained")
      assert.deepEqual(
        (yield* fixture.store.queues).map(({ in_review, queue }) => [queue, in_review]),
        [["default", 1]]
      )
    })
  ),
  it(
    "an approved output is the result of its task",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* reviewNew(fixture, "a", "a draft")
      yield* decide(fixture, approve(claimed))
      const found = yield* find(fixture, "a")
      assert.equal(found.status, "completed")
      assert.equal(found.result, "a draft")
      assert.equal(found.verified, true)
      assert.equal(found.attempts, 1)
      const attempt = yield* lastAttempt(fixture, "a")
      assert.equal(attempt.outcome, "completed")
      assert.equal(attempt.error, undefined)
      assert.equal(attempt.verification?.decision?.kind, "approved")
      assert.equal(attempt.verification.decision.by, "ann")
      assert.deepEqual(attempt.verification.models, ["judge"])
      assert.deepEqual(yield* outcomes(fixture, "a"), ["completed"])
    })
  ),
  it(
    "the comment of a rejection is the feedback of the next attempt, character by character",
    Effect.fnUntraced(function* (fixture) {
      const comment = 'Zu lang.\n\n  Keep the "quotes", the \\ and the 🦊.\t'
      const claimed = yield* reviewNew(fixture, "a", "a draft")
      yield* decide(fixture, reject(claimed, comment))
      const found = yield* find(fixture, "a")
      assert.equal(found.status, "pending")
      assert.equal(found.feedback, comment)
      const again = yield* claimOne(fixture)
      assert.equal(again.task.feedback, comment)
      assert.equal(again.previousOutput, "a draft")
      assert.equal(again.task.attempts, 2)
      assert.equal(again.token, 2)
      assert.deepEqual(yield* outcomes(fixture, "a"), ["retried", "running"])
      const [first] = yield* fixture.store.attempts(id("a"))
      assert.equal(first?.error, comment)
      assert.equal(first.execution?.output, "a draft")
    })
  ),
  it(
    "an edited text is the result, and the attempt keeps the output that it replaces",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* reviewNew(fixture, "a", "a draft")
      yield* decide(fixture, { _tag: "Edit", ...about(claimed), text: "a better text" })
      const found = yield* find(fixture, "a")
      assert.equal(found.status, "completed")
      assert.equal(found.result, "a better text")
      const attempt = yield* lastAttempt(fixture, "a")
      assert.equal(attempt.execution?.output, "a better text")
      assert.equal(attempt.execution.metadata.editedBy, "ann")
      assert.equal(attempt.verification?.decision?.kind, "edited")
      assert.equal(attempt.verification.decision.output, "a draft")
    })
  ),
  it(
    "a task that a person gives up, or without a decision in time, is in the dead-letter queue",
    Effect.fnUntraced(function* (fixture) {
      const given = yield* reviewNew(fixture, "a")
      const late = yield* reviewNew(fixture, "b")
      yield* decide(
        fixture,
        { _tag: "Reject", ...about(given), comment: "Impossible.", giveUp: true },
        { _tag: "Expire", ...about(late) }
      )
      assert.equal((yield* find(fixture, "a")).feedback, "Impossible.")
      assert.equal(yield* statusOf(fixture, "a"), "failed")
      assert.equal(yield* statusOf(fixture, "b"), "failed")
      assert.deepEqual(yield* outcomes(fixture, "b"), ["failed"])
      assert.deepEqual(yield* fixture.store.requeue({ ids: ids("a", "b") }), ["a", "b"])
      assert.equal((yield* claimOne(fixture)).previousOutput, "a draft")
    })
  ),
  it(
    "of two people who decide about an output, the second gets the first decision",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* reviewNew(fixture, "a", "a draft")
      const replies = yield* Effect.all(
        [tryTo(fixture, approve(claimed, "ann")), tryTo(fixture, reject(claimed, "Too short.", "bob"))],
        { concurrency: "unbounded" }
      )
      const won = replies.flatMap(({ decided }, index) => (decided.length > 0 ? index : []))
      assert.equal(won.length, 1)
      const refused = replies.flatMap(({ refused }) => refused)
      assert.equal(refused.length, 1)
      const isAnn = won[0] === 0
      assert.equal(refused[0]?.taskId, "a")
      assert.equal(refused[0].status, isAnn ? "completed" : "pending")
      assert.equal(refused[0].decision?.by, isAnn ? "ann" : "bob")
      assert.equal(refused[0].decision.kind, isAnn ? "approved" : "rejected")
      assert.deepEqual(yield* outcomes(fixture, "a"), [isAnn ? "completed" : "retried"])
    })
  ),
  it(
    "a decision about an earlier attempt changes nothing",
    Effect.fnUntraced(function* (fixture) {
      const first = yield* reviewNew(fixture, "a", "a draft")
      yield* decide(fixture, reject(first, "Again."))
      const second = yield* claimOne(fixture)
      yield* settle(fixture, sendToReview(second, "another draft"))
      const { decided, refused } = yield* tryTo(fixture, approve(first, "bob"))
      assert.deepEqual(decided, [])
      assert.deepEqual(
        refused.map(({ decision, status }) => [status, decision?.by]),
        [["in_review", "ann"]]
      )
      yield* decide(fixture, approve(second, "bob"))
      assert.equal((yield* find(fixture, "a")).result, "another draft")
    })
  ),
  it(
    "a decision about a task that is not in review, or does not exist, changes nothing",
    Effect.fnUntraced(function* (fixture) {
      const running = yield* claimNew(fixture, "a")
      const { decided, refused } = yield* tryTo(
        fixture,
        { _tag: "Approve", taskId: running.task.id, by: "ann" },
        { _tag: "Approve", taskId: id("nowhere"), by: "ann" }
      )
      assert.deepEqual(decided, [])
      assert.deepEqual(
        refused.map(({ decision, status, taskId }) => [taskId, status, decision]),
        [
          ["a", "in_progress", undefined],
          ["nowhere", undefined, undefined]
        ]
      )
      yield* settle(fixture, retry(running))
    })
  ),
  it(
    "the same decision again succeeds and changes nothing",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* reviewNew(fixture, "a")
      yield* decide(fixture, approve(claimed))
      const before = yield* find(fixture, "a")
      yield* fixture.advance(1)
      yield* decide(fixture, approve(claimed))
      assert.deepEqual(yield* find(fixture, "a"), before)
    })
  ),
  it(
    "a lease ends with the review: a late write under it is lost",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* reviewNew(fixture, "a")
      const lost = [{ ...leaseOf(claimed), status: "in_review" }]
      assert.deepEqual((yield* fixture.store.settle([retry(claimed)])).lost, lost)
      assert.deepEqual((yield* fixture.store.extend([leaseOf(claimed)], fixture.seconds(9))).lost, lost)
      const saved = { ...leaseOf(claimed), execution: execution("late") }
      assert.deepEqual((yield* fixture.store.checkpoint([saved])).lost, lost)
    })
  ),
  it(
    "tasks that depend on a task in review wait until it is approved",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "a")
      yield* fixture.store.add([task("b", { dependsOn: ["a"] })])
      yield* settle(fixture, sendToReview(claimed))
      assert.equal((yield* fixture.store.counts).waiting, 1)
      assert.equal(yield* fixture.store.awaitWork({ untilDrained: true }), "drained")
      yield* decide(fixture, approve(claimed))
      assert.equal((yield* fixture.store.counts).waiting, 0)
      assert.deepEqual(claimedIds(yield* claim(fixture)), ["b"])
    })
  ),
  it(
    "a rejection wakes a worker that waits for work",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* reviewNew(fixture, "a")
      const signal = yield* Effect.forkChild(fixture.store.awaitWork({ untilDrained: false }), {
        startImmediately: true
      })
      yield* decide(fixture, reject(claimed, "Again."))
      assert.equal(yield* Fiber.join(signal), "claimable")
    })
  ),
  it(
    "waiting for a task ends with the decision that completes it",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* reviewNew(fixture, "a", "a draft")
      const waiting = yield* Effect.forkChild(fixture.store.awaitSettled(id("a")), { startImmediately: true })
      yield* decide(fixture, approve(claimed))
      const found = yield* Fiber.join(waiting)
      assert.equal(Option.getOrThrow(found).result, "a draft")
    })
  ),
  it(
    "a task in review is not cancelled, requeued or pruned",
    Effect.fnUntraced(function* (fixture) {
      yield* reviewNew(fixture, "a")
      assert.deepEqual(yield* fixture.store.cancel({ ids: ids("a") }), [])
      assert.deepEqual(yield* fixture.store.requeue({ ids: ids("a") }), [])
      assert.deepEqual(yield* fixture.store.cancel({ status: "in_review" }), [])
      assert.equal(yield* fixture.store.prune({ statuses: ["completed", "failed", "cancelled"] }), 0)
      assert.equal(yield* statusOf(fixture, "a"), "in_review")
    })
  ),
  it(
    "what an attempt used stays with it, and with its task, through review",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "a")
      yield* settle(fixture, { ...sendToReview(claimed), attemptUsage: usage(3), usage: usage(3) })
      yield* decide(fixture, reject(claimed, "Again."))
      assert.deepEqual((yield* find(fixture, "a")).usage, usage(3))
      const again = yield* claimOne(fixture)
      yield* settle(fixture, { ...sendToReview(again), attemptUsage: usage(4), usage: usage(7) })
      yield* decide(fixture, approve(again))
      assert.deepEqual((yield* find(fixture, "a")).usage, usage(7))
      assert.deepEqual(
        (yield* fixture.store.attempts(id("a"))).map((attempt) => attempt.usage),
        [usage(3), usage(4)]
      )
    })
  ),
  it(
    "an attempt in review has spent its cost, and its decision costs nothing",
    Effect.fnUntraced(function* (fixture) {
      const { budgets } = fixture.store
      if (budgets === undefined) return
      yield* budgets.set("default", { limit: { nanoUsd: 1_000_000_000 } })
      const claimed = yield* claimNew(fixture, "a")
      const wanted = { nanoUsd: 500_000_000, tokens: 10 }
      const held = { ...leaseOf(claimed), committed: Budget.zero, held: Budget.zero, wanted }
      assert.deepEqual((yield* budgets.reserve([held])).refused, [])
      const used = usage(3, 0.25)
      yield* settle(fixture, { ...sendToReview(claimed), attemptUsage: used, usage: used })
      const [spent] = yield* budgets.list
      assert.equal(spent?.committed.nanoUsd, 250_000_000)
      assert.equal(spent.reserved.nanoUsd, 0)
      yield* decide(fixture, reject(claimed, "Again."))
      assert.deepEqual(yield* budgets.list, [spent])
    })
  ),
  it(
    "a task with a concurrency key lets the next one begin while it is in review",
    Effect.fnUntraced(function* (fixture) {
      const added = yield* Effect.result(
        fixture.store.add([task("a", { concurrencyKey: "key" }), task("b", { concurrencyKey: "key" })])
      )
      if (added._tag === "Failure") return
      const claimed = yield* claimOne(fixture)
      yield* settle(fixture, sendToReview(claimed))
      const next = yield* claimOne(fixture)
      assert.equal(next.task.id, "b")
      yield* decide(fixture, reject(claimed, "Again."))
      assert.deepEqual(yield* claim(fixture), [])
      yield* settle(fixture, sendToReview(next))
      assert.deepEqual(claimedIds(yield* claim(fixture)), ["a"])
    })
  ),
  it(
    "a store with tasks in review and decided tasks moves into another store without loss",
    Effect.fnUntraced(function* (fixture) {
      const first = yield* reviewNew(fixture, "a")
      yield* decide(fixture, reject(first, "Again."))
      yield* settle(fixture, sendToReview(yield* claimOne(fixture), "another draft"))
      const edited = yield* reviewNew(fixture, "b")
      yield* decide(fixture, { _tag: "Edit", ...about(edited), text: "edited" })
      yield* transfer(fixture)
    })
  ),
  it(
    "a hundred decisions are made in one call, and the first about a task counts",
    Effect.fnUntraced(function* (fixture) {
      const names = Array.from({ length: 100 }, (_, index) => `task ${index}`)
      yield* fixture.store.add(names.map((name) => task(name)))
      const claims = yield* claim(fixture)
      yield* settle(fixture, ...claims.map((claimed) => sendToReview(claimed)))
      assert.equal((yield* fixture.store.counts).in_review, 100)
      const first = claims[0]
      assert.ok(first)
      const { decided, refused } = yield* tryTo(
        fixture,
        ...claims.map((claimed) => approve(claimed)),
        reject(first, "Too late.", "bob")
      )
      assert.equal(decided.length, 100)
      assert.deepEqual(refused, [])
      const counts = yield* fixture.store.counts
      assert.deepEqual([counts.completed, counts.in_review], [100, 0])
    })
  )
]

/** For a store that holds no tasks for review. */
export const noReviews: ReadonlyArray<Case> = [
  it("the store says that it holds no tasks for review", ({ store }) =>
    Effect.sync(() => assert.equal(store.reviews, undefined))),
  it(
    "an attempt that is sent to review is refused, and stays under way",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "a")
      const result = yield* Effect.result(fixture.store.settle([sendToReview(claimed)]))
      assert.equal(result._tag, "Failure")
      assert.equal(yield* statusOf(fixture, "a"), "in_progress")
    })
  )
]
