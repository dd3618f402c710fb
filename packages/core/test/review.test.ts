import { Execution, Executor, Task, type TaskStore, Verification, Verifier } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, type Layer } from "effect"
import { TestClock } from "effect/testing"
import { get, hasEnded, layerOf, make, memoryStore, numbered, tasks, yields } from "./harness.ts"

const decide = (store: TaskStore.TaskStore["Service"], decision: TaskStore.ReviewDecision) =>
  Effect.flatMap(Effect.fromNullishOr(store.reviews), (reviews) => reviews.decide([decision]))

const approve = (store: TaskStore.TaskStore["Service"], id: string) =>
  decide(store, { _tag: "Approve", taskId: Task.TaskId.make(id), by: "ann" })

/** A verifier that is this sure that an output passes. */
const judge = (confidence: number, passed = true) =>
  Verifier.layerPure(() => (passed ? Verification.pass({ confidence }) : Verification.reject("No.", { confidence })))

/** The outcome of a task whose output is the only one that a run verifies. */
const statusUnder = Effect.fnUntraced(function* (verifier: Layer.Layer<Verifier.Verifier>) {
  const { orchestrator, store } = yield* make({ verifier, config: { maxAttempts: 1 } })
  yield* store.add(tasks("a"))
  yield* orchestrator.run
  return (yield* get(store, "a")).status
})

describe("a run with outputs for people", () => {
  it.effect("ends with all of them in review, without leases, and their cost is spent", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make({
        verifier: Verifier.layerReview,
        config: { concurrency: 8 }
      })
      yield* store.add(numbered(1000))
      const { counts, reason, stats } = yield* orchestrator.run
      assert.strictEqual(reason._tag, "Drained")
      assert.deepStrictEqual([counts.in_review, counts.in_progress], [1000, 0])
      assert.strictEqual(stats.tasksInReview, 1000)
      const [first] = journal.of("TaskInReview")
      assert.strictEqual(first?.outcome, "in_review")
      assert.strictEqual(first?.reason, "Every output is reviewed by a person.")
      assert.isUndefined((yield* store.dump({ limit: 1 })).records[0]?.leaseUntil)
    })
  )

  it.effect(
    "gives the comment of a rejection to the next attempt, with the output, and beyond the limit of attempts",
    () =>
      Effect.gen(function* () {
        const seen: Array<unknown> = []
        const { orchestrator, store } = yield* make({
          verifier: Verifier.layerReview,
          config: { maxAttempts: 1 },
          executor: Executor.layer((_, context) =>
            Effect.sync(() => {
              seen.push(context.previous)
              return Execution.make({ output: `draft ${context.attempt}` })
            })
          )
        })
        yield* store.add(tasks("a"))
        yield* orchestrator.run
        const comment = 'Say "why".\n\n  Keep it short.'
        yield* decide(store, { _tag: "Reject", taskId: Task.TaskId.make("a"), by: "ann", comment })
        yield* orchestrator.run
        assert.deepStrictEqual(seen, [undefined, { output: "draft 1", feedback: comment }])
        yield* approve(store, "a")
        assert.strictEqual((yield* get(store, "a")).result, "draft 2")
      })
  )

  it.effect("claims no more while as many wait as maxInReview says, and continues after a decision", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make({
        verifier: Verifier.layerReview,
        config: { concurrency: 3, maxInReview: 4 }
      })
      yield* store.add(numbered(6))
      const run = yield* Effect.forkChild(orchestrator.run)
      for (let index = 0; index < 4; index++) yield* journal.next("TaskInReview")
      yield* TestClock.adjust("10 minutes")
      yield* yields()
      const { in_review, pending } = yield* store.counts
      assert.deepStrictEqual([in_review, pending], [4, 2])
      yield* approve(store, "t0")
      yield* journal.next("TaskInReview")
      yield* yields()
      assert.strictEqual((yield* store.counts).in_review, 4)
      assert.isFalse(hasEnded(run))
      yield* approve(store, "t1")
      const { counts } = yield* Fiber.join(run)
      assert.deepStrictEqual([counts.completed, counts.in_review], [2, 4])
    })
  )

  it.effect("ends when the tasks that are left wait for one in review", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({ verifier: Verifier.layerReview, config: { maxInReview: 1 } })
      yield* store.add([...tasks("a"), Task.makeNew({ id: "b", description: "do b", dependsOn: ["a"] })])
      const { counts, reason } = yield* orchestrator.run
      assert.strictEqual(reason._tag, "Drained")
      assert.deepStrictEqual([counts.in_review, counts.waiting], [1, 1])
    })
  )

  it.effect("stops with a sentence on a store that holds no tasks for people", () =>
    Effect.gen(function* () {
      const { reviews: _, ...store } = yield* memoryStore
      const { orchestrator } = yield* make({ verifier: Verifier.layerReview, store: layerOf(store) })
      yield* store.add(tasks("a"))
      const error = yield* Effect.flip(orchestrator.run)
      assert.include(error.message, "cannot hold tasks for people")
      assert.strictEqual((yield* get(store, "a")).status, "pending")
    })
  )
})

describe("a verifier that leaves the decision to a person", () => {
  const unsure = ({ confidence }: Verification.Verification) => (confidence < 0.8 ? "It is unsure." : undefined)

  it.effect("sends what another one is unsure about to review, and lets it decide about the rest", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* statusUnder(Verifier.layerReviewIf(unsure, judge(0.5))), "in_review")
      assert.strictEqual(yield* statusUnder(Verifier.layerReviewIf(unsure, judge(0.5, false))), "in_review")
      assert.strictEqual(yield* statusUnder(Verifier.layerReviewIf(unsure, judge(0.9))), "completed")
      assert.strictEqual(yield* statusUnder(Verifier.layerReviewIf(unsure, judge(0.9, false))), "failed")
      assert.strictEqual(yield* statusUnder(Verifier.layerReviewIf(() => "All.", Verifier.layerNone)), "in_review")
    })
  )

  it.effect("is asked only where the others do not decide", () =>
    Effect.gen(function* () {
      const { layerAll, layerAny, layerQuorum, layerReview } = Verifier
      assert.strictEqual(yield* statusUnder(layerAll(judge(1), layerReview)), "in_review")
      assert.strictEqual(yield* statusUnder(layerAll(judge(1, false), layerReview)), "failed")
      assert.strictEqual(yield* statusUnder(layerAny(judge(1), layerReview)), "completed")
      assert.strictEqual(yield* statusUnder(layerAny(judge(1, false), layerReview)), "in_review")
      assert.strictEqual(yield* statusUnder(layerQuorum(2, judge(1), judge(1, false), layerReview)), "in_review")
    })
  )
})
