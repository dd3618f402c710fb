import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Latch } from "effect"
import { TestClock } from "effect/testing"
import {
  Budget,
  Execution,
  ExecutionError,
  Executor,
  RetryPolicy,
  type Safety,
  type TaskStore,
  TaskStoreError,
  Usage,
  Verification,
  Verifier
} from "@baton/core"
import { get, hasEnded, layerOf, make, memoryStore, numbered, tasks, yields } from "./harness.ts"

type Store = TaskStore.TaskStore["Service"]

const cost = (costUsd: number | null, outputTokens = 0): Usage.Usage => ({ ...Usage.zero, outputTokens, costUsd })
const worst = (costUsd: number | null, tokens = 0): Safety.Spend => ({ costUsd, tokens, what: "model-x" })

const budgetsOf = ({ budgets }: Store) => Effect.orDie(Effect.fromNullishOr(budgets))

const limitTo = (store: Store, usd: number, queue = "default") =>
  Effect.flatMap(budgetsOf(store), ({ set }) => set(queue, { limit: { nanoUsd: Budget.toNanoUsd(usd) } }))

const spentIn = (store: Store) =>
  Effect.map(
    Effect.flatMap(budgetsOf(store), ({ list }) => list),
    (budgets) =>
      budgets.map(({ committed, reserved }) => [Budget.toUsd(committed.nanoUsd), Budget.toUsd(reserved.nanoUsd)])
  )

/** Reserves `worstCase`, pays `usage`, and adds it to the bill. */
const paying = (
  worstCase: Safety.Spend,
  usage: Usage.Usage,
  bill: Array<number>,
  call: Effect.Effect<void> = Effect.void
) =>
  Executor.layer((_task, { spend }) =>
    spend({
      worstCase,
      call: Effect.as(
        Effect.tap(call, () => Effect.sync(() => void bill.push(usage.costUsd ?? 0))),
        Execution.make({ output: "x", usage })
      ),
      spent: () => usage
    })
  )

const config = { retryPolicy: RetryPolicy.immediate, maxAttempts: 10 }

/** A run whose next call does not fit, because another owner holds a part of the budget. */
const runWhileOtherHolds = Effect.gen(function* () {
  const bill: Array<number> = []
  const { orchestrator, store } = yield* make({ config, executor: paying(worst(0.04), cost(0.01), bill) })
  yield* store.add(numbered(2))
  yield* limitTo(store, 0.05)
  const [other] = yield* store.claim({ limit: 1, owner: "other", lease: Duration.hours(10) })
  assert.isDefined(other)
  const spending = { taskId: other.task.id, token: other.token, committed: Budget.zero, held: Budget.zero }
  const budgets = yield* budgetsOf(store)
  yield* budgets.reserve([{ ...spending, wanted: { nanoUsd: 2e7, tokens: 0 } }])
  const running = yield* Effect.forkChild(orchestrator.run)
  yield* yields()
  return { bill, other, running, store }
})

describe("a budget of a queue", () => {
  it.effect("stops the run before a call that could exceed it, and gives the task back without an attempt", () =>
    Effect.gen(function* () {
      const bill: Array<number> = []
      const { orchestrator, store } = yield* make({ config, executor: paying(worst(0.02), cost(0.015), bill) })
      yield* store.add(numbered(9))
      yield* limitTo(store, 0.05)
      const { counts, reason } = yield* orchestrator.run
      assert.deepInclude(reason, { _tag: "LimitReached", limit: "cost" })
      assert.strictEqual(
        reason._tag === "LimitReached" && reason.message,
        'The budget of queue "default" is used up: $0.045 of $0.05 spent, and the next call (model-x) can cost up to $0.02.'
      )
      assert.strictEqual(bill.length, 3)
      assert.deepInclude(counts, { completed: 3, pending: 6, in_progress: 0 })
      assert.strictEqual((yield* get(store, "t3")).attempts, 0)
      assert.deepStrictEqual(yield* spentIn(store), [[0.045, 0]])
    })
  )

  it.effect("counts what earlier runs have spent; a higher limit lets the next run continue", () =>
    Effect.gen(function* () {
      const bill: Array<number> = []
      const { orchestrator, store } = yield* make({ config, executor: paying(worst(0.02), cost(0.015), bill) })
      yield* store.add(numbered(9))
      yield* limitTo(store, 0.05)
      yield* orchestrator.run
      yield* limitTo(store, 0.05)
      yield* orchestrator.run
      assert.strictEqual(bill.length, 3)
      yield* limitTo(store, 0.1)
      yield* orchestrator.run
      assert.strictEqual(bill.length, 6)
      yield* limitTo(store, 1)
      assert.strictEqual((yield* orchestrator.run).reason._tag, "Drained")
      assert.deepStrictEqual(yield* spentIn(store), [[0.135, 0]])
    })
  )

  it.live("is shared by two runs at the same time", () =>
    Effect.gen(function* () {
      const bill: Array<number> = []
      const store = yield* memoryStore
      const run = Effect.gen(function* () {
        const { orchestrator } = yield* make({
          config: { ...config, concurrency: 8 },
          executor: paying(worst(0.02), cost(0.01), bill, Effect.yieldNow),
          store: layerOf(store)
        })
        return yield* orchestrator.run
      })
      yield* store.add(numbered(100))
      yield* limitTo(store, 0.25)
      const summaries = yield* Effect.all([run, run], { concurrency: "unbounded" })
      assert.isTrue(summaries.every(({ reason }) => reason._tag === "LimitReached"))
      // The last call reserves $0.02 on top of the amount spent.
      assert.isAtLeast(bill.length, 23)
      assert.isAtMost(bill.length, 24)
      assert.deepStrictEqual(yield* spentIn(store), [[bill.length / 100, 0]])
    })
  )

  it.effect("lets a call wait while running calls may free enough", () =>
    Effect.gen(function* () {
      const release = yield* Latch.make()
      const bill: Array<number> = []
      const { orchestrator, store } = yield* make({
        config: { ...config, concurrency: 2 },
        executor: paying(worst(0.04), cost(0.01), bill, release.await)
      })
      yield* store.add(numbered(2))
      yield* limitTo(store, 0.05)
      const running = yield* Effect.forkChild(orchestrator.run)
      yield* yields()
      assert.deepStrictEqual(yield* spentIn(store), [[0, 0.04]])
      yield* release.open
      assert.strictEqual((yield* Fiber.join(running)).reason._tag, "Drained")
      assert.deepStrictEqual(yield* spentIn(store), [[0.02, 0]])
    })
  )

  it.effect("asks again while another process holds what a call needs", () =>
    Effect.gen(function* () {
      const { bill, other, running, store } = yield* runWhileOtherHolds
      assert.strictEqual(bill.length, 0)
      yield* store.settle([{ _tag: "Release", taskId: other.task.id, token: other.token, reason: "over" }])
      yield* Effect.repeat(Effect.andThen(TestClock.adjust("1 second"), yields(50)), {
        until: () => hasEnded(running),
        times: 20
      })
      assert.strictEqual((yield* Fiber.join(running)).reason._tag, "Drained")
      assert.strictEqual(bill.length, 2)
    })
  )

  it.effect("counts a verifier's calls, and calls that failed without usage with their worst case", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({
        config: { ...config, maxAttempts: 1 },
        executor: paying(worst(0.02), cost(0.01), []),
        verifier: Verifier.layer((_task, _execution, { spend }) =>
          spend({
            worstCase: worst(0.02),
            call: Effect.succeed(Verification.pass()),
            spent: () => undefined
          })
        )
      })
      yield* store.add(numbered(1))
      yield* limitTo(store, 1)
      yield* orchestrator.run
      assert.deepStrictEqual(yield* spentIn(store), [[0.03, 0]])
    })
  )

  it.effect("an executor that reserves nothing stops the run once the limit is reached", () =>
    Effect.gen(function* () {
      let calls = 0
      const { orchestrator, store } = yield* make({
        config,
        executor: Executor.layer(() =>
          Effect.sync(() => {
            calls++
            return Execution.make({ output: "x", usage: cost(0.02) })
          })
        )
      })
      yield* store.add(numbered(9))
      yield* limitTo(store, 0.05)
      const { reason } = yield* orchestrator.run
      assert.deepInclude(reason, { _tag: "LimitReached", limit: "cost" })
      assert.strictEqual(calls, 3)
      assert.deepStrictEqual(yield* spentIn(store), [[0.06, 0]])
      yield* orchestrator.run
      assert.strictEqual(calls, 3)
    })
  )

  it.effect("counts failed attempts, and tokens as well as money", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({
        config,
        executor: Executor.layer(() =>
          Effect.fail(new ExecutionError({ reason: "Failed", message: "no", usage: cost(null, 40) }))
        )
      })
      yield* store.add(numbered(1))
      const budgets = yield* budgetsOf(store)
      yield* budgets.set("default", { limit: { tokens: 100 } })
      const { reason } = yield* orchestrator.run
      assert.deepInclude(reason, { _tag: "LimitReached", limit: "tokens" })
      assert.strictEqual((yield* get(store, "t0")).attempts, 3)
    })
  )

  it.effect("refuses a call whose price is unknown", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({ config, executor: paying(worst(null), cost(null), []) })
      yield* store.add(numbered(1))
      yield* limitTo(store, 1)
      const { reason } = yield* orchestrator.run
      assert.include(reason._tag === "LimitReached" ? reason.message : "", "The price of model-x is unknown")
    })
  )

  it.effect("that is set or raised during a run is in force at once", () =>
    Effect.gen(function* () {
      const started = yield* Deferred.make<void>()
      const release = yield* Latch.make()
      const bill: Array<number> = []
      const { orchestrator, store } = yield* make({
        config,
        executor: paying(
          worst(0.02),
          cost(0.01),
          bill,
          Effect.andThen(Deferred.succeed(started, undefined), release.await)
        )
      })
      yield* store.add(numbered(9))
      const running = yield* Effect.forkChild(orchestrator.run)
      yield* Deferred.await(started)
      yield* limitTo(store, 0.03)
      yield* yields()
      yield* release.open
      assert.strictEqual((yield* Fiber.join(running)).reason._tag, "LimitReached")
      assert.isAtMost(bill.length, 3)
    })
  )

  it.effect("an attempt whose call is interrupted by a stop commits its worst case", () =>
    Effect.gen(function* () {
      const started = yield* Deferred.make<void>()
      const { orchestrator, store } = yield* make({
        config: { ...config, drainTimeout: 0 },
        executor: Executor.layer((_task, { spend }) =>
          spend({
            worstCase: worst(0.02),
            call: Effect.andThen(Deferred.succeed(started, undefined), Effect.never),
            spent: () => undefined
          })
        )
      })
      yield* store.add(numbered(1))
      yield* limitTo(store, 1)
      const running = yield* Effect.forkChild(orchestrator.run)
      yield* Deferred.await(started)
      yield* orchestrator.stop
      yield* Fiber.join(running)
      assert.deepStrictEqual(yield* spentIn(store), [[0.02, 0]])
    })
  )

  it.effect("many calls reserve with few operations of the store", () =>
    Effect.gen(function* () {
      let operations = 0
      const inner = yield* memoryStore
      const budgets = yield* budgetsOf(inner)
      const store: Store = {
        ...inner,
        budgets: {
          ...budgets,
          reserve: (spending) =>
            Effect.suspend(() => {
              operations++
              return Effect.andThen(yields(20), budgets.reserve(spending))
            })
        }
      }
      const { orchestrator } = yield* make({
        config: { ...config, concurrency: 100 },
        executor: paying(worst(0.02), cost(0.01), []),
        store: layerOf(store)
      })
      yield* store.add(numbered(1000))
      yield* limitTo(store, 100)
      yield* orchestrator.run
      assert.deepStrictEqual(yield* spentIn(store), [[10, 0]])
      assert.isBelow(operations, 200)
    })
  )

  it.effect("of many calls that wait, only the first asks again, and all are refused together", () =>
    Effect.gen(function* () {
      const sizes: Array<number> = []
      const release = yield* Latch.make()
      const inner = yield* memoryStore
      const budgets = yield* budgetsOf(inner)
      const store: Store = {
        ...inner,
        budgets: {
          ...budgets,
          reserve: (spending) =>
            Effect.suspend(() => {
              sizes.push(spending.length)
              return budgets.reserve(spending)
            })
        }
      }
      const bill: Array<number> = []
      const { orchestrator } = yield* make({
        config: { ...config, concurrency: 50 },
        executor: paying(worst(0.03), cost(0.03), bill, release.await),
        store: layerOf(store)
      })
      yield* store.add(numbered(50))
      yield* limitTo(store, 0.05)
      const running = yield* Effect.forkChild(orchestrator.run)
      yield* yields(1000)
      const before = sizes.length
      for (let second = 0; second < 5; second++) yield* Effect.andThen(TestClock.adjust("1 second"), yields(50))
      assert.isAtLeast(sizes.length, before + 4)
      assert.isTrue(sizes.slice(before).every((size) => size === 1))
      const last = sizes.length
      yield* release.open
      assert.strictEqual((yield* Fiber.join(running)).reason._tag, "LimitReached")
      assert.isBelow(sizes.length - last, 5)
      assert.strictEqual(bill.length, 1)
      assert.strictEqual((yield* get(store, "t49")).attempts, 0)
    })
  )

  it.effect("a store that refuses to reserve ends the run, and the task keeps its attempt", () =>
    Effect.gen(function* () {
      const inner = yield* memoryStore
      const budgets = yield* budgetsOf(inner)
      const broken = new TaskStoreError({ reason: "Unusable", message: "The table budgets is missing." })
      const store: Store = { ...inner, budgets: { ...budgets, reserve: () => Effect.fail(broken) } }
      const { orchestrator } = yield* make({
        config,
        executor: paying(worst(0.02), cost(0.01), []),
        store: layerOf(store)
      })
      yield* store.add(tasks("a"))
      yield* limitTo(store, 1)
      const error = yield* Effect.flip(orchestrator.run)
      assert.include(error.message, "The table budgets is missing.")
      assert.strictEqual((yield* get(store, "a")).attempts, 0)
    })
  )

  it.effect("a lease that is lost while a call waits cuts the attempt off", () =>
    Effect.gen(function* () {
      const { bill, running, store } = yield* runWhileOtherHolds
      yield* store.cancel({ ids: ["t0", "t1"] })
      yield* Effect.repeat(Effect.andThen(TestClock.adjust("1 second"), yields(50)), {
        until: () => hasEnded(running),
        times: 20
      })
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(running)))
      assert.strictEqual(bill.length, 0)
      assert.deepStrictEqual(yield* spentIn(store), [[0.02, 0]])
    })
  )
})
