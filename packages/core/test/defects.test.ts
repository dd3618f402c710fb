import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Schedule } from "effect"
import { Execution, Executor, RetryPolicy, Safety, type TaskStore, Verification, Verifier } from "@baton/core"
import { anHour, get, layerOf, make, memoryStore, tasks } from "./harness.ts"

describe("a store with a bug ends the run, which does not hang", () => {
  const bug = () => Effect.die(new Error("bug in the driver"))
  const broken: ReadonlyArray<readonly [string, Partial<TaskStore.TaskStore["Service"]>]> = [
    ["claim", { claim: bug }],
    ["settle", { settle: bug }],
    ["checkpoint", { checkpoint: bug }],
    ["extend", { extend: bug }],
    ["awaitWork", { awaitWork: bug }],
    ["awaitControl", { awaitControl: bug }]
  ]
  for (const [name, overrides] of broken) {
    it.effect(name, () =>
      Effect.gen(function* () {
        const real = yield* memoryStore
        const { orchestrator, store } = yield* make({
          store: layerOf({ ...real, ...overrides }),
          executor: Executor.layerFake({ delay: "2 minutes" }),
          verifier: Verifier.layer(() => Effect.succeed(Verification.pass()))
        })
        yield* store.add(tasks("a", "b"))
        const run = yield* Effect.forkDetach(orchestrator.runForever)
        yield* anHour
        const exit = run.pollUnsafe()
        yield* Effect.forkDetach(Fiber.interrupt(run))
        yield* anHour
        assert.isDefined(exit)
      })
    )
  }
})

describe("foreign code that throws fails the attempt, and its task does not stay claimed", () => {
  const ends = Effect.fnUntraced(function* (parts: Parameters<typeof make>[0]) {
    const { orchestrator, store } = yield* make(parts)
    yield* store.add(tasks("a", "b"))
    const run = yield* Effect.forkDetach(orchestrator.run)
    yield* anHour
    const exit = run.pollUnsafe()
    yield* Effect.forkDetach(Fiber.interrupt(run))
    yield* anHour
    assert.isDefined(exit)
    assert.strictEqual((yield* store.counts).in_progress, 0)
  })

  it.effect("Safety.recordFailure", () =>
    ends({
      config: { maxAttempts: 1 },
      executor: Executor.layerFake({ success: false }),
      safety: Layer.succeed(
        Safety.Safety,
        Safety.make({ allow: Effect.void, recordFailure: () => Effect.die(new Error("bug")) })
      )
    })
  )

  it.effect("an executor in plain JavaScript that returns null", () =>
    ends({ executor: Executor.layer(() => Effect.succeed(JSON.parse("null"))) })
  )

  it.effect("a verifier in plain JavaScript that returns null", () =>
    ends({ verifier: Verifier.layer(() => Effect.succeed(JSON.parse("null"))) })
  )

  it.effect("the function `spent` of a paid call", () =>
    ends({
      config: { maxAttempts: 1 },
      executor: Executor.layer((_task, { spend }) =>
        spend({
          worstCase: { costUsd: 1, tokens: 0, what: "model-x" },
          call: Effect.succeed(Execution.make({ output: "x" })),
          spent: () => {
            throw new Error("bug")
          }
        })
      )
    })
  )

  it.effect("the retry policy", () =>
    ends({
      config: {
        maxAttempts: 2,
        retryPolicy: Schedule.modifyDelay(RetryPolicy.immediate, () => Effect.die(new Error("bug")))
      },
      executor: Executor.layerFake({ success: false })
    })
  )
})

describe("an executor that interrupts itself", () => {
  it.effect("fails the attempt, which is not released and retried forever", () =>
    Effect.gen(function* () {
      let executions = 0
      const { orchestrator, store } = yield* make({
        config: { maxAttempts: 3, retryPolicy: RetryPolicy.immediate },
        executor: Executor.layer(() =>
          Effect.suspend(() => (++executions < 50 ? Effect.interrupt : Effect.succeed(Execution.make({ output: "x" }))))
        )
      })
      yield* store.add(tasks("a"))
      yield* orchestrator.run
      assert.strictEqual(executions, 3)
      assert.strictEqual((yield* get(store, "a")).status, "failed")
    })
  )

  it.effect("fails the attempt if it is a verifier, too", () =>
    Effect.gen(function* () {
      let verifications = 0
      const { orchestrator, store } = yield* make({
        config: { maxAttempts: 3, retryPolicy: RetryPolicy.immediate },
        verifier: Verifier.layer(() =>
          Effect.suspend(() => (++verifications < 50 ? Effect.interrupt : Effect.succeed(Verification.pass())))
        )
      })
      yield* store.add(tasks("a"))
      const summary = yield* orchestrator.run
      assert.strictEqual(verifications, 3)
      assert.strictEqual(summary.stats.executions, 1)
    })
  )
})
