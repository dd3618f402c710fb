import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Latch, Layer, Option, References, Schema } from "effect"
import { TestClock } from "effect/testing"
import {
  Execution,
  ExecutionError,
  Executor,
  RetryPolicy,
  Safety,
  SafetyStop,
  Task,
  Usage,
  Verification,
  Verifier
} from "@baton/core"
import { get, layerOf, make, memoryStore, tasks, yields } from "./harness.ts"
import { soak } from "./soak.ts"

const budget = (options: Parameters<typeof Safety.layerBudget>[0]) =>
  Effect.flatMap(Layer.build(Safety.layerBudget(options)), (context) => Effect.provide(Safety.Safety, context))

const cost = (costUsd: number | null): Usage.Usage => ({ ...Usage.zero, costUsd })
const tokens = (outputTokens: number): Usage.Usage => ({ ...Usage.zero, outputTokens })
const worst = (costUsd: number | null, tokens = 0): Safety.Spend => ({ costUsd, tokens, what: "model-x" })

const reserve = (safety: Safety.SafetyService, spend: Safety.Spend) =>
  Effect.forkChild(safety.reserve(spend), { startImmediately: true })

describe("Safety.layerBudget", () => {
  it.effect("grants reservations while the worst cases fit, and refuses the first that does not", () =>
    Effect.gen(function* () {
      const safety = yield* budget({ maxCostUsd: 0.05 })
      for (let call = 0; call < 5; call++) {
        const { commit } = yield* safety.reserve(worst(0.01))
        yield* commit(cost(0.01))
      }
      assert.isTrue(Option.isNone(yield* safety.stopReason))
      const stop = yield* Effect.flip(safety.reserve(worst(0.01)))
      assert.strictEqual(stop.limit, "cost")
      assert.include(stop.message, "$0.05")
      assert.include(stop.message, "model-x")
      assert.strictEqual(yield* safety.awaitStop, stop)
      assert.strictEqual(yield* Effect.flip(safety.allow), stop)
    })
  )

  it.effect("frees the part of a reservation that a call did not use", () =>
    Effect.gen(function* () {
      const safety = yield* budget({ maxCostUsd: 0.05 })
      for (let call = 0; call < 40; call++) {
        const { commit } = yield* safety.reserve(worst(0.01))
        yield* commit(cost(0.001))
      }
      const { commit } = yield* safety.reserve(worst(0.01))
      yield* commit(undefined)
      assert.strictEqual((yield* Effect.flip(safety.reserve(worst(0.000_001)))).limit, "cost")
    })
  )

  it.effect("a reservation waits while running calls may still free enough, first come, first served", () =>
    Effect.gen(function* () {
      const safety = yield* budget({ maxCostUsd: 0.05 })
      const first = yield* safety.reserve(worst(0.04))
      const large = yield* reserve(safety, worst(0.03))
      const small = yield* reserve(safety, worst(0.01))
      assert.isUndefined(small.pollUnsafe())
      yield* first.commit(cost(0.015))
      const second = yield* Fiber.join(large)
      // 0.015 committed, 0.03 reserved: the small reservation, which waited for the large one, does not fit yet.
      assert.isUndefined(small.pollUnsafe())
      yield* second.commit(cost(0.03))
      assert.strictEqual((yield* Effect.flip(Fiber.join(small))).limit, "cost")
    })
  )

  it.effect("a reservation that stops waiting makes room for the next ones", () =>
    Effect.gen(function* () {
      const safety = yield* budget({ maxCostUsd: 0.05 })
      const first = yield* safety.reserve(worst(0.04))
      const large = yield* reserve(safety, worst(0.03))
      const small = yield* reserve(safety, worst(0.01))
      yield* Fiber.interrupt(large)
      const second = yield* Fiber.join(small)
      yield* second.commit(cost(0))
      yield* first.commit(cost(0))
      yield* safety.reserve(worst(0.05))
    })
  )

  it.effect("grants a call that can be made with less its share of a short budget, and at least what it needs", () =>
    Effect.gen(function* () {
      const flexible = { ...worst(0.01, 1000), least: () => ({ costUsd: 0.001, tokens: 100 }) }
      const plenty = yield* budget({ maxCostUsd: 4 })
      assert.deepStrictEqual((yield* plenty.reserve(flexible)).granted, { costUsd: 0.01, tokens: 1000 })
      const short = yield* budget({ maxCostUsd: 0.512 })
      // A part of 256 is $0.002, which pays for a ninth of the tokens between the two.
      assert.deepStrictEqual((yield* short.reserve(flexible)).granted, { costUsd: 0.002, tokens: 200 })
      const rest = yield* budget({ maxCostUsd: 0.001 })
      const { commit, granted } = yield* rest.reserve(flexible)
      assert.deepStrictEqual(granted, { costUsd: 0.001, tokens: 100 })
      yield* commit(cost(0.0005))
      assert.include((yield* Effect.flip(rest.reserve(flexible))).message, "can cost up to $0.001")
    })
  )

  it.effect("asks a waiting call for its need when another one has ended", () =>
    Effect.gen(function* () {
      const safety = yield* budget({ maxCostUsd: 0.05 })
      const first = yield* safety.reserve(worst(0.04))
      let least: Safety.SpendAmount | undefined
      const waiting = yield* reserve(safety, { ...worst(0.04), least: () => least })
      assert.isUndefined(waiting.pollUnsafe())
      least = { costUsd: 0.002, tokens: 0 }
      yield* first.commit(cost(0.04))
      assert.strictEqual((yield* Fiber.join(waiting)).granted?.costUsd, 0.002)
    })
  )

  it.effect("an interrupted wait leaks nothing, at any moment", () =>
    Effect.gen(function* () {
      for (let moment = 0; moment < 120; moment++) {
        const safety = yield* budget({ maxCostUsd: 0.05 })
        const first = yield* safety.reserve(worst(0.05))
        const waiting = yield* Effect.uninterruptible(
          Effect.flatMap(safety.reserve(worst(0.05)), ({ commit }) => commit(Usage.zero))
        ).pipe(Effect.provideService(References.MaxOpsBeforeYield, 3), Effect.forkChild)
        yield* Effect.repeat(Effect.yieldNow, { times: moment >> 2 })
        yield* first.commit(Usage.zero)
        for (let gap = 0; gap < moment % 4; gap++) yield* Effect.yieldNow
        yield* Fiber.interrupt(waiting)
        yield* safety.reserve(worst(0.05))
      }
    })
  )

  it.effect("a call that can never fit is refused at once", () =>
    Effect.gen(function* () {
      const safety = yield* budget({ maxCostUsd: 0.05 })
      yield* safety.reserve(worst(0.01))
      assert.strictEqual((yield* Effect.flip(safety.reserve(worst(0.06)))).limit, "cost")
    })
  )

  it.effect("reports that the budget is too small when nothing was spent yet", () =>
    Effect.gen(function* () {
      const stop = yield* Effect.flip((yield* budget({ maxCostUsd: 0.05 })).reserve(worst(0.06)))
      assert.strictEqual(
        stop.message,
        "The budget of $0.05 is too small for any call: the next call (model-x) can cost up to $0.06."
      )
    })
  )

  it.effect("waiting reservations are refused when the budget stops the run", () =>
    Effect.gen(function* () {
      const safety = yield* budget({ maxCostUsd: 0.05 })
      const first = yield* safety.reserve(worst(0.05))
      const waiting = [yield* reserve(safety, worst(0.01)), yield* reserve(safety, worst(0.01))]
      yield* first.commit(undefined)
      for (const fiber of waiting) assert.strictEqual((yield* Effect.flip(Fiber.join(fiber))).limit, "cost")
    })
  )

  it.effect("running attempts may use the rest of the budget after it has stopped the run", () =>
    Effect.gen(function* () {
      const safety = yield* budget({ maxCostUsd: 0.05 })
      const first = yield* safety.reserve(worst(0.04))
      const waiting = yield* reserve(safety, worst(0.02))
      const stop = yield* Effect.flip(safety.reserve(worst(0.06)))
      yield* first.commit(cost(0.03))
      const second = yield* Fiber.join(waiting)
      assert.strictEqual(yield* Effect.flip(safety.reserve(worst(0.021))), stop)
      yield* second.commit(cost(0.01))
      yield* safety.reserve(worst(0.01))
      assert.strictEqual(yield* Effect.flip(safety.allow), stop)
    })
  )

  it.effect("a limit in USD refuses a call whose price is unknown, and names the remedy", () =>
    Effect.gen(function* () {
      const stop = yield* Effect.flip((yield* budget({ maxCostUsd: 1 })).reserve(worst(null)))
      assert.strictEqual(
        stop.message,
        "The price of model-x is unknown, so a budget in USD cannot hold. Give its price, or drop the budget."
      )
    })
  )

  it.effect("a limit in tokens does not need a price", () =>
    Effect.gen(function* () {
      const safety = yield* budget({ maxTokens: 1000 })
      const { commit } = yield* safety.reserve(worst(null, 600))
      yield* commit(tokens(400))
      const second = yield* safety.reserve(worst(null, 600))
      yield* second.commit(undefined)
      const stop = yield* Effect.flip(safety.reserve(worst(null, 1)))
      assert.strictEqual(stop.limit, "tokens")
      assert.include(stop.message, "1000 of 1000 tokens")
    })
  )

  it.effect("counts tokens of every kind", () =>
    Effect.gen(function* () {
      const safety = yield* budget({ maxTokens: 10 })
      const { commit } = yield* safety.reserve(worst(null, 10))
      yield* commit({ inputTokens: 1, outputTokens: 2, cacheReadTokens: 3, cacheWriteTokens: 4, costUsd: null })
      yield* Effect.flip(safety.reserve(worst(null, 1)))
    })
  )

  it.effect("enforces both limits", () =>
    Effect.gen(function* () {
      const safety = yield* budget({ maxCostUsd: 1, maxTokens: 10 })
      assert.strictEqual((yield* Effect.flip(safety.reserve(worst(0.1, 11)))).limit, "tokens")
    })
  )

  it.effect("charges the worst case when the cost of a call is unknown", () =>
    Effect.gen(function* () {
      const safety = yield* budget({ maxCostUsd: 0.05 })
      const unknown = yield* safety.reserve(worst(0.03))
      yield* unknown.commit(undefined)
      const priceless = yield* safety.reserve(worst(0.02))
      yield* priceless.commit(cost(null))
      yield* Effect.flip(safety.reserve(worst(0.000_001)))
    })
  )

  it.effect("refuses a worst case of NaN, and every call after a cost of NaN", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* Effect.flip((yield* budget({ maxCostUsd: 1 })).reserve(worst(NaN)))).limit, "cost")
      const tokens = yield* budget({ maxTokens: 1 })
      assert.strictEqual((yield* Effect.flip(tokens.reserve(worst(0, NaN)))).limit, "tokens")
      const spent = yield* budget({ maxCostUsd: 1 })
      yield* (yield* spent.reserve(worst(0.5))).commit(cost(NaN))
      yield* Effect.flip(spent.reserve(worst(0.1)))
    })
  )

  it.effect("counts usage without a reservation, and stops when the limit is reached", () =>
    Effect.gen(function* () {
      const safety = yield* budget({ maxCostUsd: 0.05 })
      yield* safety.recordSuccess(cost(0.02))
      yield* safety.recordFailure("no", cost(0.02))
      yield* safety.recordFailure("nothing metered", undefined)
      yield* safety.allow
      yield* safety.recordSuccess(cost(0.02))
      assert.strictEqual((yield* Effect.flip(safety.allow)).limit, "cost")
    })
  )

  it.effect("stops after usage without a price and without a reservation", () =>
    Effect.gen(function* () {
      const safety = yield* budget({ maxCostUsd: 1 })
      yield* safety.recordSuccess(cost(null))
      assert.include((yield* Effect.flip(safety.allow)).message, "without a price")
    })
  )

  it.effect("does not drift: a thousand calls of a tenth of a cent cost a dollar", () =>
    Effect.gen(function* () {
      // As floating-point numbers, these costs add up to more than a dollar.
      const safety = yield* budget({ maxCostUsd: 1 })
      const call = Effect.flatMap(safety.reserve(worst(0.001)), ({ commit }) => commit(cost(0.001)))
      yield* Effect.repeat(call, { times: 999 })
      assert.isTrue(Option.isNone(yield* safety.stopReason))
      yield* Effect.flip(safety.reserve(worst(0.000_000_001)))
    })
  )

  it.effect("does not drift when a cost is a sum of floating-point numbers", () =>
    Effect.gen(function* () {
      const safety = yield* budget({ maxCostUsd: 0.3 })
      yield* safety.reserve(worst(0.1 + 0.2))
    })
  )
})

describe("the budget, as a property", () => {
  const Call = Schema.Struct({
    /** In millionths of a dollar. */
    worst: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9000 })),
    /** Of the worst case, in percent. */
    used: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100 })),
    ends: Schema.Literals(["success", "failure", "unknown", "interrupted waiting", "interrupted calling"]),
    ticks: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4 }))
  })
  const Fibers = Schema.Array(Schema.Array(Call).check(Schema.isMaxLength(6))).check(
    Schema.isMinLength(64),
    Schema.isMaxLength(64)
  )
  const limit = 50_000
  const usd = (micros: number) => micros / 1e6
  const ticks = (times: number) => Effect.repeat(Effect.yieldNow, { times })

  it.effect.prop(
    "with 64 fibers and random costs, failures and interruptions, at most $0.05 are committed",
    [Fibers, Schema.Literals([1, 10, 100])],
    ([fibers, divisor]) =>
      Effect.gen(function* () {
        const safety = yield* budget({ maxCostUsd: usd(limit) })
        let committed = 0
        let reserved = 0

        const call = (call: typeof Call.Type) =>
          Effect.uninterruptibleMask((restore) =>
            Effect.gen(function* () {
              const { commit } = yield* safety.reserve(worst(usd(call.worst)))
              reserved += call.worst
              assert.isAtMost(committed + reserved, limit)
              const exit = yield* Effect.exit(restore(Effect.andThen(ticks(call.ticks), ended(call))))
              const known = Exit.isSuccess(exit) || call.ends === "failure"
              const spent = known ? Math.floor((call.worst * call.used) / 100) : call.worst
              reserved -= call.worst
              committed += spent
              assert.isAtMost(committed, limit)
              yield* commit(known ? cost(usd(spent)) : undefined)
            })
          )

        const ended = ({ ends }: typeof Call.Type) =>
          ends === "failure" || ends === "unknown"
            ? Effect.fail(ends)
            : ends === "interrupted calling"
              ? Effect.interrupt
              : Effect.void

        const carryOut = (script: typeof Call.Type) =>
          script.ends === "interrupted waiting"
            ? Effect.gen(function* () {
                const fiber = yield* Effect.forkChild(call(script), { startImmediately: true })
                yield* ticks(script.ticks)
                yield* Fiber.interrupt(fiber)
              })
            : call(script)

        yield* Effect.forEach(
          fibers,
          (script) =>
            Effect.ignore(
              Effect.forEach(script, (one) =>
                Effect.andThen(ticks(one.ticks), carryOut({ ...one, worst: Math.ceil(one.worst / divisor) }))
              )
            ),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(reserved, 0)
        if (Option.isSome(yield* safety.stopReason)) return
        // Nothing leaked: the rest can still be reserved, to the last millionth.
        const rest = yield* safety.reserve(worst(usd(limit - committed)))
        yield* rest.commit(undefined)
        yield* Effect.flip(safety.reserve(worst(usd(1))))
      }),
    { timeout: soak * 600_000, arbitrary: { runs: soak * 20 } }
  )
})

describe("a run under a budget", () => {
  const spending = (worstUsd: number, usedUsd: number | null) =>
    Executor.layer((_task, { spend }) =>
      spend({
        worstCase: worst(worstUsd),
        call: Effect.as(Effect.yieldNow, Execution.make({ output: "x", usage: cost(usedUsd) })),
        spent: (exit) => (Exit.isSuccess(exit) ? exit.value.usage : undefined)
      })
    )

  it.effect("stops before it would exceed the budget, and leaves the remaining tasks pending", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({
        config: { concurrency: 16 },
        executor: spending(0.01, 0.01),
        safety: Safety.layerBudget({ maxCostUsd: 0.05 })
      })
      yield* store.add(tasks(...Array.from({ length: 40 }, (_, index) => `t${index}`)))
      const summary = yield* orchestrator.run
      assert.deepInclude(summary.reason, { _tag: "LimitReached", limit: "cost" })
      assert.deepStrictEqual([summary.counts.completed, summary.counts.pending, summary.counts.in_progress], [5, 35, 0])
      assert.strictEqual(summary.stats.usage?.costUsd, 0.05)
    })
  )

  it.effect("counts verification and retries, and does not count reserved usage a second time", () =>
    Effect.gen(function* () {
      let executions = 0
      const { orchestrator, store } = yield* make({
        config: { retryPolicy: RetryPolicy.immediate },
        executor: Executor.layer((_task, { spend }) =>
          spend({
            worstCase: worst(0.01),
            call: Effect.suspend(() =>
              ++executions === 1
                ? Effect.fail(new ExecutionError({ reason: "Failed", message: "cut off", usage: cost(0.004) }))
                : Effect.succeed(Execution.make({ output: "x", usage: cost(0.01) }))
            ),
            spent: (exit) => (Exit.isSuccess(exit) ? exit.value.usage : cost(0.004))
          })
        ),
        verifier: Verifier.layer((_task, _execution, { spend }) =>
          spend({
            worstCase: worst(0.006),
            call: Effect.succeed(Verification.pass({ usage: cost(0.006) })),
            spent: () => cost(0.006)
          })
        ),
        safety: Safety.layerBudget({ maxCostUsd: 0.036 })
      })
      yield* store.add(tasks("a", "b"))
      const summary = yield* orchestrator.run
      assert.strictEqual(summary.counts.completed, 2)
      assert.strictEqual(summary.reason._tag, "Drained")
      assert.closeTo(summary.stats.usage?.costUsd ?? 0, 0.036, 1e-12)
      assert.closeTo((yield* get(store, "a")).usage?.costUsd ?? 0, 0.02, 1e-12)
    })
  )

  it.effect("counts usage that an executor reports without a reservation", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({
        executor: Executor.layer(() => Effect.succeed(Execution.make({ output: "x", usage: cost(0.03) }))),
        safety: Safety.layerBudget({ maxCostUsd: 0.05 })
      })
      yield* store.add(tasks("a", "b", "c"))
      const summary = yield* orchestrator.run
      assert.deepInclude(summary.reason, { _tag: "LimitReached", limit: "cost" })
      assert.deepStrictEqual([summary.counts.completed, summary.counts.pending], [2, 1])
    })
  )

  it.effect("a call whose price turns out to be unknown is charged its worst case and does not stop the run", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({
        executor: spending(0.01, null),
        safety: Safety.layerBudget({ maxCostUsd: 0.03 })
      })
      yield* store.add(tasks("a", "b", "c", "d"))
      const summary = yield* orchestrator.run
      assert.deepStrictEqual([summary.counts.completed, summary.counts.pending], [3, 1])
      assert.isNull(summary.stats.usage?.costUsd)
    })
  )

  it.effect("charges a call that was cut off with its worst case", () =>
    Effect.gen(function* () {
      const called = yield* Latch.make()
      const { journal, orchestrator, store } = yield* make({
        config: { executionTimeout: "1 minute", retryPolicy: RetryPolicy.immediate },
        executor: Executor.layer((_task, { spend }) =>
          spend({
            worstCase: worst(0.03),
            call: Effect.andThen(called.open, Effect.never),
            spent: () => undefined
          })
        ),
        safety: Safety.layerBudget({ maxCostUsd: 0.05 })
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* called.await
      yield* TestClock.adjust("1 minute")
      const { reason } = yield* Fiber.join(run)
      assert.deepInclude(reason, { _tag: "LimitReached", limit: "cost" })
      assert.strictEqual(journal.of("TaskStarted").length, 2)
      // The attempt that was refused does not count.
      assert.strictEqual((yield* get(store, "a")).attempts, 1)
    })
  )

  it.effect("charges a resumable call only if no later attempt makes it again", () =>
    Effect.gen(function* () {
      const ends = [
        ({ orchestrator }: Effect.Success<ReturnType<typeof make>>) => orchestrator.stop,
        ({ store }: Effect.Success<ReturnType<typeof make>>) => store.cancel({ ids: [Task.TaskId.make("a")] })
      ]
      const booked = yield* Effect.forEach(ends, (end) =>
        Effect.gen(function* () {
          const called = yield* Latch.make()
          const parts = yield* make({
            config: { drainTimeout: 0 },
            executor: Executor.layer((_task, { spend }) =>
              spend({
                worstCase: worst(0.03),
                call: Effect.andThen(called.open, Effect.never),
                spent: () => undefined,
                isResumable: true
              })
            )
          })
          yield* parts.store.add(tasks("a"))
          const run = yield* Effect.forkChild(parts.orchestrator.run)
          yield* called.await
          yield* end(parts)
          const { stats } = yield* Fiber.join(run)
          return Usage.maxUsd(stats.usage ?? Usage.zero)
        })
      )
      assert.deepStrictEqual(booked, [0, 0.03])
    })
  )

  it.effect("a refused reservation is a SafetyStop for the executor, not a failed attempt", () =>
    Effect.gen(function* () {
      let seen: unknown
      const { orchestrator, store } = yield* make({
        executor: Executor.layer((_task, { spend }) =>
          Effect.tapError(
            spend({
              worstCase: worst(null),
              call: Effect.succeed(Execution.make({ output: "x" })),
              spent: () => undefined
            }),
            (error) => Effect.sync(() => (seen = error))
          )
        ),
        safety: Safety.layerBudget({ maxCostUsd: 1 })
      })
      yield* store.add(tasks("a"))
      assert.strictEqual((yield* orchestrator.run).reason._tag, "LimitReached")
      assert.instanceOf(seen, SafetyStop)
      assert.strictEqual((yield* get(store, "a")).attempts, 0)
    })
  )
})

describe("the usage of an attempt", () => {
  it.effect("counts against the budget without a reservation, even if the lease was lost", () =>
    Effect.gen(function* () {
      const real = yield* memoryStore
      const judged = yield* Latch.make()
      const { journal, orchestrator, store } = yield* make({
        config: { drainTimeout: 0 },
        executor: Executor.layer(() => Effect.succeed(Execution.make({ output: "x", usage: cost(1) }))),
        verifier: Verifier.layer(() => Effect.andThen(judged.open, Effect.never)),
        safety: Safety.layerBudget({ maxCostUsd: 0.5 }),
        store: layerOf({
          ...real,
          extend: (leases) =>
            Effect.succeed({ lost: leases.map((lease) => ({ ...lease, status: "in_progress" as const })) }),
          sweep: () => Effect.succeed([])
        })
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.runForever)
      yield* judged.await
      yield* TestClock.adjust("10 seconds")
      yield* journal.next("LeaseLost")
      yield* store.add(tasks("b"))
      yield* yields()
      yield* orchestrator.stop
      const summary = yield* Fiber.join(run)
      assert.strictEqual(summary.reason._tag, "LimitReached")
      assert.strictEqual(summary.stats.usage?.costUsd, 1)
    })
  )

  it.effect("stays in the task's usage if the attempt is released", () =>
    Effect.gen(function* () {
      let executions = 0
      const { orchestrator, store } = yield* make({
        executor: Executor.layer(() =>
          Effect.suspend(() =>
            ++executions === 1
              ? Effect.fail(new ExecutionError({ reason: "Fatal", message: "spend limit", usage: cost(1) }))
              : Effect.succeed(Execution.make({ output: "x", usage: cost(2) }))
          )
        )
      })
      yield* store.add(tasks("a"))
      yield* Effect.flip(orchestrator.run)
      yield* orchestrator.run
      assert.strictEqual((yield* get(store, "a")).usage?.costUsd, 3)
    })
  )

  it.effect("is freed when the call is interrupted between its reservation and its start", () =>
    Effect.gen(function* () {
      const leaked: Array<string> = []
      const worstCase = { costUsd: 1, tokens: 0, what: "model-x" }
      const context = yield* Layer.build(Safety.layerBudget({ maxCostUsd: 1000 }))
      const safety = yield* Effect.provide(Safety.Safety, context)
      const { orchestrator, store } = yield* make({
        executor: Executor.layer(
          Effect.fnUntraced(function* (_task, { spend }) {
            for (const operations of [3, 4, 5, 6, 7]) {
              for (let moment = 0; moment < 40; moment++) {
                const whole = { ...worstCase, costUsd: 1000 - leaked.length }
                const calling = yield* spend({ worstCase, call: Effect.never, spent: () => Usage.zero }).pipe(
                  Effect.provideService(References.MaxOpsBeforeYield, operations),
                  Effect.forkChild
                )
                for (let turn = 0; turn < moment; turn++) yield* Effect.yieldNow
                yield* Fiber.interrupt(calling)
                const all = yield* Effect.forkChild(safety.reserve(whole), { startImmediately: true })
                const granted = all.pollUnsafe()
                if (granted?._tag === "Success") yield* granted.value.commit(Usage.zero)
                else leaked.push(`after ${moment} yields of ${operations} operations`)
                yield* Fiber.interrupt(all)
              }
            }
            return Execution.make({ output: "x" })
          })
        ),
        safety: Layer.succeed(Safety.Safety, safety)
      })
      yield* store.add(tasks("a"))
      yield* orchestrator.run
      assert.deepStrictEqual(leaked, [])
    })
  )
})
