import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Latch, Schedule, Schema } from "effect"
import {
  Execution,
  ExecutionError,
  Executor,
  OrchestratorConfig,
  RetryPolicy,
  Safety,
  Task,
  type TaskStore,
  Usage,
  Verification,
  Verifier
} from "@baton/core"
import { TestClock } from "effect/testing"
import { get, make, tasks } from "./harness.ts"
import { soak } from "./soak.ts"

const cost = (costUsd: number | null, outputTokens = 0): Usage.Usage => ({ ...Usage.zero, outputTokens, costUsd })
const worst = (costUsd: number | null, tokens = 0): Safety.Spend => ({ costUsd, tokens, what: "model-x" })

/** Reserves `worstCase` and pays `usage` for an output. */
const paying = (worstCase: Safety.Spend, usage: Usage.Usage) =>
  Executor.layer((_task, { spend }) =>
    spend({
      worstCase,
      call: Effect.succeed(Execution.make({ output: "x", usage })),
      spent: () => usage
    })
  )
const never = Verifier.layerPure(() => Verification.reject("no"))
const config = { retryPolicy: RetryPolicy.immediate, maxAttempts: 10 }

describe("a limit per task", () => {
  it.effect("sends a task to the dead-letter queue before a call that could exceed it, and the run continues", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({
        config: { ...config, maxCostPerTask: 0.05 },
        executor: paying(worst(0.02), cost(0.015)),
        verifier: Verifier.layerPure((task) => (task.id === "good" ? Verification.pass() : Verification.reject("no")))
      })
      yield* store.add(tasks("bad", "good"))
      const { reason } = yield* orchestrator.run
      assert.strictEqual(reason._tag, "Drained")
      const bad = yield* get(store, "bad")
      assert.deepInclude(bad, { status: "failed", attempts: 4 })
      assert.strictEqual(bad.usage?.costUsd, 0.045)
      assert.strictEqual(
        bad.feedback,
        "The task may cost $0.05, earlier attempts have cost $0.045, and the next call (model-x) can cost up to $0.02. Raise maxCostPerTask (--max-cost-per-task), and requeue it."
      )
      assert.strictEqual((yield* get(store, "good")).status, "completed")
    })
  )

  /** A worker that starts a task and never answers again. */
  const dies = Effect.fnUntraced(function* (store: TaskStore.TaskStore["Service"]) {
    const claims = yield* store.claim({ owner: "dead", limit: 1, lease: Duration.seconds(1), started: 1 })
    assert.strictEqual(claims.length, 1)
    yield* TestClock.adjust("2 seconds")
    yield* store.sweep({ maxAttempts: 10, onCrash: "retry" })
  })

  it.effect("shows what killed attempts may have cost as a range, once for each of them", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({ config, executor: paying(worst(0.02, 30), cost(0.015, 20)) })
      yield* store.add(tasks("a"))
      yield* dies(store)
      yield* dies(store)
      yield* orchestrator.run
      const task = yield* get(store, "a")
      assert.deepInclude(task, { status: "completed", attempts: 3 })
      assert.isDefined(task.usage)
      assert.isNull(task.usage?.costUsd)
      assert.deepStrictEqual(task.usage?.bounds, { minUsd: 0.015, maxUsd: 0.055, maxTokens: 80 })
      // The ledger keeps what the last attempt itself has used.
      const attempts = yield* store.attempts(task.id)
      assert.deepStrictEqual(
        attempts.map(({ usage }) => usage?.costUsd ?? null),
        [null, null, 0.015]
      )
    })
  )

  it.effect("counts killed attempts with the most that they can have cost", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({
        config: { ...config, maxCostPerTask: 0.05 },
        executor: paying(worst(0.02), cost(0.015)),
        verifier: never
      })
      yield* store.add(tasks("a"))
      yield* dies(store)
      yield* orchestrator.run
      const task = yield* get(store, "a")
      // One attempt of at most $0.02 that was killed, one of $0.015, and no room for a third.
      assert.deepInclude(task, { status: "failed", attempts: 3 })
      assert.deepInclude(task.usage?.bounds, { minUsd: 0.015, maxUsd: 0.035 })
      assert.include(task.feedback, "earlier attempts have cost $0.035")
    })
  )

  it.effect("counts tokens as well", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({
        config: { ...config, maxTokensPerTask: 100 },
        executor: paying(worst(null, 60), cost(null, 40)),
        verifier: never
      })
      yield* store.add(tasks("a"))
      yield* orchestrator.run
      const task = yield* get(store, "a")
      assert.deepInclude(task, { status: "failed", attempts: 3 })
      assert.include(task.feedback, "--max-tokens-per-task")
    })
  )

  it.effect("counts the usage of earlier runs, and of attempts before a requeue", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({
        config: { ...config, maxAttempts: 2, maxCostPerTask: 0.05 },
        executor: paying(worst(0.02), cost(0.015)),
        verifier: never
      })
      yield* store.add(tasks("a"))
      yield* orchestrator.run
      yield* store.requeue({ status: "failed" })
      yield* orchestrator.run
      assert.strictEqual((yield* get(store, "a")).usage?.costUsd, 0.045)
    })
  )

  it.effect("counts a call that was cut off with its worst case", () =>
    Effect.gen(function* () {
      let calls = 0
      const { orchestrator, store } = yield* make({
        config: { ...config, maxCostPerTask: 0.05 },
        executor: Executor.layer((_task, { spend }) =>
          spend({
            worstCase: worst(0.02, 10),
            call: Effect.suspend(() => {
              calls++
              return Effect.fail(new ExecutionError({ reason: "Failed", message: "cut off" }))
            }),
            spent: () => undefined
          })
        )
      })
      yield* store.add(tasks("a"))
      yield* orchestrator.run
      assert.strictEqual(calls, 2)
      const { usage } = yield* get(store, "a")
      assert.deepStrictEqual(usage, Usage.add(Usage.atMost(worst(0.02, 10)), Usage.atMost(worst(0.02, 10))))
    })
  )

  it.effect("counts verification; an output that it keeps from being verified is saved and not paid for again", () =>
    Effect.gen(function* () {
      let executions = 0
      const executor = Executor.layer((_task, { spend }) =>
        spend({
          worstCase: worst(0.03),
          call: Effect.sync(() => {
            executions++
            return Execution.make({ output: "x", usage: cost(0.03) })
          }),
          spent: () => cost(0.03)
        })
      )
      const verifier = Verifier.layer((_task, _execution, { spend }) =>
        spend({
          worstCase: worst(0.03),
          call: Effect.succeed(Verification.pass({ usage: cost(0.01) })),
          spent: () => cost(0.01)
        })
      )
      const { orchestrator, store } = yield* make({ config: { ...config, maxCostPerTask: 0.05 }, executor, verifier })
      yield* store.add(tasks("a"))
      yield* orchestrator.run
      const task = yield* get(store, "a")
      assert.deepInclude(task, { status: "failed", attempts: 1 })
      assert.include(task.feedback, "could not be verified: The task may cost $0.05")
      yield* store.requeue({ status: "failed" })
      const [claim] = yield* store.claim({ limit: 1, owner: "test", lease: Duration.minutes(1) })
      assert.strictEqual(claim?.checkpoint?.output, "x")
      assert.strictEqual(executions, 1)
    })
  )

  it.effect("concurrent calls of one attempt wait for each other instead of exceeding it", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({
        config: { ...config, maxCostPerTask: 0.05 },
        executor: Executor.layer(
          Effect.fnUntraced(function* (_task, { spend }) {
            const call = spend({ worstCase: worst(0.03), call: Effect.yieldNow, spent: () => cost(0.01) })
            yield* Effect.all([call, call, call], { concurrency: 3 })
            return Execution.make({ output: "x", usage: cost(0.03) })
          })
        )
      })
      yield* store.add(tasks("a"))
      yield* orchestrator.run
      assert.deepInclude(yield* get(store, "a"), { status: "completed" })
    })
  )

  it.effect("a task that reached it without reservations is not executed again", () =>
    Effect.gen(function* () {
      let executions = 0
      const { orchestrator, store } = yield* make({
        config: { ...config, maxCostPerTask: 0.05 },
        executor: Executor.layer(() =>
          Effect.sync(() => {
            executions++
            return Execution.make({ output: "x", usage: cost(0.03) })
          })
        ),
        verifier: never
      })
      yield* store.add(tasks("a"))
      yield* orchestrator.run
      assert.strictEqual(executions, 2)
      assert.include((yield* get(store, "a")).feedback, "earlier attempts have cost $0.06")
    })
  )

  it.effect("an unknown price stops the run, because it would fail every task", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({
        config: { ...config, maxCostPerTask: 0.05 },
        executor: paying(worst(null), cost(null))
      })
      yield* store.add(tasks("a", "b"))
      const summary = yield* orchestrator.run
      assert.deepInclude(summary.reason, { _tag: "LimitReached", limit: "cost" })
      assert.strictEqual(summary.counts.pending, 2)
    })
  )

  it.effect("a refused call is not taken from the run's budget, and the other way round", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({
        config: { ...config, maxCostPerTask: 0.02 },
        executor: Executor.layer((task, { spend }) =>
          spend({
            worstCase: worst(task.id === "expensive" ? 0.04 : 0.01),
            call: Effect.succeed(Execution.make({ output: "x", usage: cost(0.01) })),
            spent: () => cost(0.01)
          })
        ),
        safety: Safety.layerBudget({ maxCostUsd: 0.05 })
      })
      yield* store.add(tasks("expensive", "a", "b", "c", "d", "e"))
      const { counts, reason } = yield* orchestrator.run
      assert.strictEqual(reason._tag, "Drained")
      assert.deepInclude(counts, { completed: 5, failed: 1 })
    })
  )

  it.effect("has to be above zero", () =>
    Effect.gen(function* () {
      for (const config of [{ maxCostPerTask: 0 }, { maxTokensPerTask: NaN }]) {
        const { message } = yield* Effect.flip(OrchestratorConfig.resolve(config))
        assert.match(message, /^max(Cost|Tokens)PerTask is .* Expected a number above 0\.$/)
      }
    })
  )
})

describe("the ledger", () => {
  it.effect("contains the usage of an attempt before the call that was cut off", () =>
    Effect.gen(function* () {
      const second = yield* Latch.make()
      const { orchestrator, store } = yield* make({
        config: { drainTimeout: 0 },
        executor: Executor.layer(
          Effect.fnUntraced(function* (_task, { spend }) {
            yield* spend({ worstCase: worst(0.03), call: Effect.void, spent: () => cost(0.01, 5) })
            return yield* spend({
              worstCase: worst(0.02, 7),
              call: Effect.andThen(second.open, Effect.never),
              spent: () => undefined
            })
          })
        )
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* second.await
      yield* orchestrator.stop
      yield* Fiber.join(run)
      assert.deepStrictEqual((yield* get(store, "a")).usage, {
        ...cost(null, 5),
        bounds: { minUsd: 0.01, maxUsd: 0.03, maxTokens: 12 }
      })
    })
  )
})

describe("a run under a budget, as a property", () => {
  const Call = Schema.Struct({
    worst: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 6000 })),
    used: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100 })),
    ends: Schema.Literals(["answer", "rejected", "failure", "overload", "dropped"]),
    ticks: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3 }))
  })
  const Scripts = Schema.Array(Schema.Array(Call).check(Schema.isMinLength(1), Schema.isMaxLength(4))).check(
    Schema.isMinLength(64),
    Schema.isMaxLength(64)
  )
  const micros = (amount: number) => amount / 1e6

  it.effect.prop(
    "64 concurrent tasks with random costs and failures, many of unknown cost, spend at most $0.05, and the ledger has it all",
    [Scripts],
    ([scripts]) =>
      Effect.gen(function* () {
        let truth = 0
        const calls = new Map<string, number>()
        const next = (id: string) => {
          const count = calls.get(id) ?? 0
          calls.set(id, count + 1)
          const script = scripts[Number(id)] ?? []
          return script[count % script.length] ?? assert.fail("no script")
        }
        /** Pays for a call. `spent` is the part that a client can know. */
        const pay = (id: string, spend: Parameters<Executor.ExecutorService["execute"]>[1]["spend"]) => {
          const call = next(id)
          const real = Math.floor((call.worst * call.used) / 100)
          const usage = cost(micros(real), real)
          const known = call.ends !== "dropped"
          return spend({
            worstCase: worst(micros(call.worst), call.worst),
            call: Effect.gen(function* () {
              truth += real
              yield* Effect.repeat(Effect.yieldNow, { times: call.ticks })
              if (call.ends === "answer" || call.ends === "rejected") return { ...call, usage }
              const reason = call.ends === "failure" ? "Failed" : "Transient"
              return yield* new ExecutionError({ reason, message: call.ends, ...(known ? { usage } : undefined) })
            }),
            spent: (exit) => (Exit.isSuccess(exit) || known ? usage : undefined)
          })
        }
        const { orchestrator, store } = yield* make({
          config: {
            concurrency: 64,
            maxAttempts: 3,
            maxCostPerTask: 0.012,
            retryPolicy: RetryPolicy.immediate,
            transientRetry: Schedule.recurs(2)
          },
          executor: Executor.layer((task, { spend }) =>
            Effect.map(pay(task.id, spend), ({ ends, usage }) => Execution.make({ output: ends, usage }))
          ),
          verifier: Verifier.layerPure((_task, { output }) =>
            output === "rejected" ? Verification.reject("no") : Verification.pass()
          ),
          safety: Safety.layerBudget({ maxCostUsd: 0.05 })
        })
        yield* store.add(scripts.map((_, index) => Task.makeNew({ id: `${index}`, description: "" })))
        const { stats } = yield* orchestrator.run
        assert.isAtMost(truth, 50_000)
        const { tasks } = yield* store.list({ limit: 100 })
        for (const [index, { usage }] of tasks.entries()) {
          assert.isAtMost(Usage.maxUsd(usage ?? Usage.zero) ?? Infinity, 0.012 + 1e-9, `task ${index}`)
        }
        const ledger =
          tasks.reduce<Usage.Usage | undefined>((sum, { usage }) => Usage.add(sum, usage), undefined) ?? Usage.zero
        for (const books of [ledger, stats.usage ?? Usage.zero]) {
          assert.isAtMost(Usage.minUsd(books), micros(truth) + 1e-9)
          assert.isAtLeast((Usage.maxUsd(books) ?? Infinity) + 1e-9, micros(truth))
          assert.isAtMost(Usage.maxUsd(books) ?? Infinity, 0.05 + 1e-9)
          assert.isAtLeast(Usage.maxTokens(books), truth)
        }
      }),
    { timeout: soak * 600_000, arbitrary: { runs: soak * 15 } }
  )
})
