import { assert, describe, it } from "@effect/vitest"
import { Clock, DateTime, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import {
  Execution,
  ExecutionError,
  Executor,
  type TaskStore,
  Verification,
  VerificationError,
  Verifier
} from "@baton/core"
import { get, layerOf, make, memoryStore, numbered, tasks, yields } from "./harness.ts"

const minute = 60_000

/** A service with a usage limit: it refuses all requests until the limit ends. */
const makeService = () => {
  const service = { calls: [] as Array<number>, refused: 0, limitedUntil: 0, running: 0, mostRunning: 0 }
  const limited = () =>
    Effect.map(Effect.andThen(Effect.sleep("100 millis"), Clock.currentTimeMillis), (now) => {
      service.calls.push(now)
      if (now >= service.limitedUntil) return undefined
      service.refused++
      return {
        reason: "RateLimited" as const,
        message: "The usage limit is reached.",
        retryAt: DateTime.makeUnsafe(service.limitedUntil)
      }
    })
  const executor = Executor.layer(() =>
    Effect.gen(function* () {
      const refusal = yield* limited()
      if (refusal !== undefined) return yield* new ExecutionError(refusal)
      service.running++
      service.mostRunning = Math.max(service.mostRunning, service.running)
      yield* Effect.sleep("900 millis")
      service.running--
      return Execution.make({ output: "x" })
    })
  )
  return { service, limited, executor }
}

const attemptsOf = Effect.fnUntraced(function* (store: TaskStore.TaskStore["Service"]) {
  const { tasks } = yield* store.list()
  return tasks.map(({ attempts }) => attempts)
})

const pass = Effect.fnUntraced(function* (millis: number) {
  for (let left = millis; left > 0; left -= 1000) {
    yield* TestClock.adjust(Math.min(1000, left))
    yield* yields(30)
  }
})

describe("a usage limit", () => {
  it.effect("is waited out: the attempts do not count, one task goes first, and the others follow", () =>
    Effect.gen(function* () {
      const { executor, service } = makeService()
      const { journal, orchestrator, store } = yield* make({ config: { concurrency: 4, maxAttempts: 1 }, executor })
      yield* store.add(numbered(20))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* pass(1500)
      service.limitedUntil = 10 * minute
      yield* pass(10 * minute - 2500)
      const callsBefore = service.calls.length
      service.running = service.mostRunning = 0
      assert.strictEqual(
        service.refused,
        4,
        "one request of each worker was refused, and none while the queue was paused"
      )
      const paused = journal
        .of("QueuePaused")
        .map(({ cause, queue, until }) => ({ cause, queue, at: until?.epochMilliseconds }))
      assert.deepStrictEqual(paused, [{ cause: "usage-limit", queue: "default", at: 10 * minute }])
      yield* pass(1900)
      assert.strictEqual(service.calls.length, callsBefore + 1, "the probe goes first")
      yield* pass(5000)
      const summary = yield* Fiber.join(run)
      assert.strictEqual(summary.counts.completed, 20)
      assert.strictEqual(service.mostRunning, 4, "all workers work again")
      assert.strictEqual(service.refused, 4)
      assert.deepStrictEqual(
        yield* attemptsOf(store),
        Array.from({ length: 20 }, () => 1)
      )
      assert.strictEqual(journal.of("QueueResumed").length, 1)
      assert.isAtMost(summary.stats.elapsedSeconds, 10 * 60 + 10)
    })
  )

  it.effect("pauses the queue again when the first task is refused", () =>
    Effect.gen(function* () {
      const { executor, service } = makeService()
      const { journal, orchestrator, store } = yield* make({ config: { concurrency: 4, maxAttempts: 1 }, executor })
      service.limitedUntil = 5 * minute
      yield* store.add(numbered(8))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* pass(2 * minute)
      service.limitedUntil = 9 * minute
      yield* pass(5 * minute)
      assert.strictEqual(service.refused, 5, "four at first, and then the probe alone")
      yield* pass(3 * minute)
      assert.strictEqual((yield* Fiber.join(run)).counts.completed, 8)
      assert.strictEqual(journal.of("QueuePaused").length, 2)
    })
  )

  it.effect("that names a time which has passed does not make the run ask all the time", () =>
    Effect.gen(function* () {
      let calls = 0
      const { orchestrator, store } = yield* make({
        executor: Executor.layer(() =>
          Effect.suspend(() => {
            calls++
            return Effect.fail(
              new ExecutionError({ reason: "RateLimited", message: "Wait.", retryAt: DateTime.makeUnsafe(0) })
            )
          })
        )
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* pass(minute)
      assert.isAtLeast(calls, 2)
      assert.isAtMost(calls, 7)
      yield* Fiber.interrupt(run)
    })
  )

  it.effect("that a verifier meets keeps the output, so that nothing is executed again", () =>
    Effect.gen(function* () {
      const { limited, service } = makeService()
      service.limitedUntil = 3 * minute
      let executions = 0
      const { orchestrator, store } = yield* make({
        config: { maxAttempts: 1 },
        executor: Executor.layer(() =>
          Effect.sync(() => {
            executions++
            return Execution.make({ output: "paid" })
          })
        ),
        verifier: Verifier.layer(() =>
          Effect.flatMap(limited(), (refusal) =>
            refusal === undefined ? Effect.succeed(Verification.pass()) : Effect.fail(new VerificationError(refusal))
          )
        )
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* pass(4 * minute)
      assert.strictEqual((yield* Fiber.join(run)).counts.completed, 1)
      assert.deepStrictEqual([executions, service.refused], [1, 1])
      assert.strictEqual((yield* get(store, "a")).attempts, 1)
    })
  )

  it.effect("ends the run if it is to stop, and its tasks stay pending", () =>
    Effect.gen(function* () {
      const { executor, service } = makeService()
      service.limitedUntil = 3 * minute
      const { orchestrator, store } = yield* make({ config: { onUsageLimit: "stop", concurrency: 2 }, executor })
      yield* store.add(numbered(3))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* pass(1000)
      const { counts, reason } = yield* Fiber.join(run)
      assert.strictEqual(reason._tag, "LimitReached")
      assert.deepInclude(reason, {
        limit: "usage",
        message: "The usage limit is reached. Run this again after 1970-01-01T00:03:00.000Z, or let the run wait."
      })
      assert.strictEqual(counts.pending, 3)
      assert.deepStrictEqual(yield* store.pauses?.list ?? [], [])
    })
  )

  it.effect("ends the run if the store keeps no pauses", () =>
    Effect.gen(function* () {
      const { executor, service } = makeService()
      service.limitedUntil = 3 * minute
      const { pauses: _, ...withoutPauses } = yield* memoryStore
      const { orchestrator, store } = yield* make({ executor, store: layerOf(withoutPauses) })
      yield* store.add(numbered(1))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* pass(1000)
      assert.strictEqual((yield* Fiber.join(run)).reason._tag, "LimitReached")
    })
  )

  it.effect("is waited out by the next run when the first one ends while it waits", () =>
    Effect.gen(function* () {
      const { executor, service } = makeService()
      service.limitedUntil = 10 * minute
      const shared = yield* memoryStore
      const first = yield* make({ config: { maxAttempts: 1 }, executor, store: layerOf(shared) })
      yield* shared.add(numbered(3))
      const killed = yield* Effect.forkChild(first.orchestrator.run)
      yield* pass(minute)
      yield* Fiber.interrupt(killed)
      const second = yield* make({ config: { maxAttempts: 1 }, executor, store: layerOf(shared) })
      const run = yield* Effect.forkChild(second.orchestrator.run)
      yield* pass(8 * minute)
      assert.deepStrictEqual([service.refused, second.journal.of("QueuePaused").length], [1, 1])
      yield* pass(2 * minute)
      assert.strictEqual((yield* Fiber.join(run)).counts.completed, 3)
      assert.deepStrictEqual(yield* attemptsOf(shared), [1, 1, 1])
    })
  )

  it.effect("of a probe that cannot connect leaves the queue to the next probe", () =>
    Effect.gen(function* () {
      const { executor, service } = makeService()
      service.limitedUntil = minute
      const shared = yield* memoryStore
      yield* shared.add(numbered(3))
      yield* (
        shared.pauses?.pause("default", {
          cause: "usage-limit",
          until: DateTime.makeUnsafe(minute),
          reason: "A limit."
        }) ?? Effect.void
      )
      let offline = true
      const { orchestrator } = yield* make({
        config: { concurrency: 3, maxAttempts: 9, leaseDuration: "30 seconds" },
        executor: Executor.layer((task, context) =>
          offline
            ? Effect.fail(new ExecutionError({ reason: "TimedOut", message: "No answer." }))
            : Effect.flatMap(Effect.service(Executor.Executor), (inner) => inner.execute(task, context)).pipe(
                Effect.provide(executor)
              )
        ),
        store: layerOf(shared)
      })
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* pass(minute + 10_000)
      assert.strictEqual((yield* shared.pauses?.list ?? Effect.succeed([])).length, 1)
      offline = false
      yield* pass(minute)
      assert.strictEqual((yield* Fiber.join(run)).counts.completed, 3)
    })
  )
})

describe("a queue that another process pauses", () => {
  it.effect("starts nothing and releases what waits, until it is resumed", () =>
    Effect.gen(function* () {
      const shared = yield* memoryStore
      const { journal, orchestrator } = yield* make({
        config: { prefetch: 2 },
        store: layerOf(shared),
        executor: Executor.layer(() => Effect.as(Effect.sleep("5 seconds"), Execution.make({ output: "x" })))
      })
      yield* shared.add(numbered(4))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("TaskStarted")
      yield* shared.pauses?.pause("default", { cause: "requested", reason: "Stop for lunch." }) ?? Effect.void
      yield* journal.next("QueuePaused")
      yield* yields()
      const { in_progress, pending } = yield* shared.counts
      assert.deepStrictEqual([in_progress, pending], [1, 3], "tasks claimed ahead are back")
      yield* pass(minute)
      assert.strictEqual(journal.of("TaskStarted").length, 1)
      yield* shared.pauses?.resume("default") ?? Effect.void
      yield* pass(minute)
      assert.strictEqual((yield* Fiber.join(run)).counts.completed, 4)
      assert.strictEqual(journal.of("QueueResumed").length, 1)
    })
  )
})
