import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Latch } from "effect"
import { TestClock } from "effect/testing"
import { Execution, Executor, Safety, Task, type TaskStore, Verifier } from "@baton/core"
import { get, layerOf, make, memoryStore, numbered, tasks, yields } from "./harness.ts"

const never = Executor.layer(() => Effect.never)

const ledger = (store: TaskStore.TaskStore["Service"], id: string) =>
  Effect.map(store.attempts(Task.TaskId.make(id)), (attempts) => attempts.map(({ outcome }) => outcome))

/** A store whose calls do nothing any more once its worker is dead. */
const mortal = (real: TaskStore.TaskStore["Service"]) => {
  let isDead = false
  const call = <A, E>(effect: Effect.Effect<A, E>) =>
    Effect.suspend(() => (isDead ? Effect.interruptible(Effect.never) : effect))
  const store: TaskStore.TaskStore["Service"] = {
    ...real,
    claim: (options) => call(real.claim(options)),
    start: (leases) => call(real.start(leases)),
    settle: (settlements) => call(real.settle(settlements)),
    extend: (leases, lease) => call(real.extend(leases, lease)),
    sweep: (options) => call(real.sweep(options))
  }
  return { store, kill: () => void (isDead = true) }
}

/** A worker with two tasks running and the others claimed ahead, which is killed; then another sweeps its tasks. */
const killed = Effect.fnUntraced(function* (onCrash: "retry" | "dead-letter") {
  const real = yield* memoryStore
  const { kill, store } = mortal(real)
  const config = { concurrency: 2, prefetch: 8, maxAttempts: 1, onCrash } as const
  const first = yield* make({ config, executor: never, store: layerOf(store) })
  yield* real.add(numbered(6))
  const dead = yield* Effect.forkDetach(first.orchestrator.run)
  yield* first.journal.next("TaskStarted")
  yield* first.journal.next("TaskStarted")
  yield* yields()
  assert.strictEqual((yield* real.counts).in_progress, 6)
  assert.deepStrictEqual(yield* ledger(real, "t1"), ["running"])
  assert.deepStrictEqual(yield* ledger(real, "t2"), ["claimed"])
  kill()
  const second = yield* make({ config: { ...config, maxAttempts: 1 }, store: layerOf(real) })
  const run = yield* Effect.forkChild(second.orchestrator.run)
  yield* TestClock.adjust("1 minute")
  yield* Fiber.join(run)
  const ending = yield* Effect.forkChild(Fiber.interrupt(dead))
  yield* TestClock.adjust("5 minutes")
  yield* Fiber.join(ending)
  return { real, second }
})

describe("the tasks that a dead worker had claimed and not started", () => {
  it.effect("are run by another, and have used no attempt", () =>
    Effect.gen(function* () {
      for (const onCrash of ["retry", "dead-letter"] as const) {
        const { real, second } = yield* killed(onCrash)
        const { completed, failed } = yield* real.counts
        assert.deepStrictEqual([completed, failed], [4, 2])
        assert.deepStrictEqual(yield* ledger(real, "t0"), ["lease_expired"])
        assert.deepStrictEqual(yield* ledger(real, "t5"), ["released", "completed"])
        assert.strictEqual((yield* get(real, "t5")).attempts, 1)
        assert.deepStrictEqual(
          second.journal.of("LeaseReclaimed").map(({ attempt, status }) => [status, attempt]),
          [...Array.from({ length: 2 }, () => ["failed", 1]), ...Array.from({ length: 4 }, () => ["pending", 1])]
        )
      }
    })
  )
})

describe("a start", () => {
  it.effect("is in the store before the executor is called", () =>
    Effect.gen(function* () {
      const real = yield* memoryStore
      const written = yield* Latch.make()
      let executions = 0
      const { journal, orchestrator } = yield* make({
        config: { prefetch: 1 },
        executor: Executor.layer(() => Effect.sync(() => Execution.make({ output: `${++executions}` }))),
        store: layerOf({ ...real, start: (leases) => Effect.andThen(written.await, real.start(leases)) })
      })
      yield* real.add(numbered(2))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("TaskCompleted")
      yield* yields()
      assert.strictEqual(executions, 1)
      assert.strictEqual(journal.of("TaskStarted").length, 1)
      yield* written.open
      yield* Fiber.join(run)
      assert.strictEqual(executions, 2)
    })
  )

  it.effect("costs no write where nothing is claimed ahead", () =>
    Effect.gen(function* () {
      const real = yield* memoryStore
      let starts = 0
      const { orchestrator } = yield* make({
        config: { concurrency: 3 },
        executor: Executor.layer(() => Effect.as(Effect.sleep("1 second"), Execution.make({ output: "x" }))),
        store: layerOf({
          ...real,
          start: (leases) => Effect.tap(real.start(leases), () => Effect.sync(() => starts++))
        })
      })
      yield* real.add(numbered(9))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* yields()
      yield* Effect.repeat(Effect.andThen(TestClock.adjust("1 second"), yields()), { times: 4 })
      yield* Fiber.join(run)
      assert.strictEqual(starts, 0)
    })
  )

  it.effect("costs no write while tasks are short and all workers take the next ones", () =>
    Effect.gen(function* () {
      const store = yield* memoryStore
      let written = 0
      const counting: TaskStore.TaskStore["Service"] = {
        ...store,
        start: (leases) => Effect.tap(store.start(leases), () => Effect.sync(() => (written += leases.length)))
      }
      const executor = Executor.layer(() => Effect.succeed(Execution.make({ output: "x" })))
      const { orchestrator } = yield* make({ config: { concurrency: 64 }, executor, store: layerOf(counting) })
      yield* store.add(numbered(5000))
      yield* orchestrator.run
      assert.isAtMost(written, 50)
    })
  )

  it.effect("is written for several workers together", () =>
    Effect.gen(function* () {
      const real = yield* memoryStore
      const sizes: Array<number> = []
      const { orchestrator } = yield* make({
        config: { concurrency: 10, prefetch: 90 },
        executor: Executor.layer(() => Effect.as(Effect.sleep("1 second"), Execution.make({ output: "x" }))),
        store: layerOf({
          ...real,
          start: (leases) => {
            sizes.push(leases.length)
            return Effect.andThen(Effect.sleep("10 millis"), real.start(leases))
          }
        })
      })
      yield* real.add(numbered(100))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* Effect.repeat(Effect.andThen(TestClock.adjust("10 millis"), yields(50)), { times: 1_100 })
      yield* Fiber.join(run)
      assert.strictEqual(
        sizes.reduce((sum, size) => sum + size, 0),
        90
      )
      assert.isAtMost(sizes.length, 20)
    })
  )

  it.effect("of a task that was cancelled while it waited for its worker does not happen", () =>
    Effect.gen(function* () {
      const executed: Array<string> = []
      const gate = yield* Latch.make()
      const { journal, orchestrator, store } = yield* make({
        config: { prefetch: 5 },
        executor: Executor.layer((task) => {
          executed.push(task.id)
          return Effect.as(gate.await, Execution.make({ output: "x" }))
        })
      })
      yield* store.add(tasks("a", "b", "c"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("TaskStarted")
      // The reply to the start says so, when the heartbeat has not yet.
      yield* store.cancel({ ids: ["b"] })
      yield* gate.open
      yield* Fiber.join(run)
      assert.deepStrictEqual(executed, ["a", "c"])
    })
  )

  it.effect("does not happen while a circuit breaker cools down", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make({
        config: { concurrency: 2, maxAttempts: 5, drainTimeout: 0 },
        executor: Executor.layer((task) =>
          task.id === "bad" ? Effect.succeed(Execution.make({ output: "bad" })) : Effect.never
        ),
        verifier: Verifier.layer((_task, { output }) =>
          Effect.succeed(output === "bad" ? { ...rejection } : { ...rejection, passed: true })
        ),
        safety: Safety.layerCircuitBreaker({ maxConsecutiveFailures: 1, coolDown: "1 minute" })
      })
      yield* store.add([...numbered(1), ...tasks("bad"), ...tasks("next", "last")])
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("CircuitOpened")
      yield* TestClock.adjust("2 seconds")
      yield* yields()
      const { tasks: held } = yield* store.list({ status: "in_progress" })
      assert.deepStrictEqual(
        held.map(({ id, startedAt }) => [id, startedAt !== undefined]),
        [
          ["t0", true],
          ["next", false]
        ]
      )
      yield* orchestrator.stop
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(run)
    })
  )
})

const rejection = { passed: false, confidence: 1, feedback: "no", issues: [], metadata: {} }

describe("with onCrash: dead-letter, the end of a run", () => {
  it.effect("sends work that it cuts off to the dead-letter queue, and releases tasks that have not started", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make({
        config: { onCrash: "dead-letter", prefetch: 2, drainTimeout: "5 seconds", maxAttempts: 9 },
        executor: never
      })
      yield* store.add(numbered(3))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("TaskStarted")
      yield* orchestrator.stop
      yield* TestClock.adjust("5 seconds")
      const { counts } = yield* Fiber.join(run)
      assert.deepStrictEqual([counts.failed, counts.pending, counts.in_progress], [1, 2, 0])
      const cutOff = yield* get(store, "t0")
      assert.deepStrictEqual([cutOff.status, cutOff.attempts], ["failed", 1])
      assert.match(cutOff.feedback ?? "", /must not run twice/)
      assert.strictEqual((yield* get(store, "t1")).attempts, 0)
      assert.deepStrictEqual(yield* ledger(store, "t1"), ["released"])
    })
  )

  it.effect("keeps an output that it saved for the next run to verify", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make({
        config: { onCrash: "dead-letter", drainTimeout: Duration.zero },
        verifier: Verifier.layer(() => Effect.never)
      })
      yield* store.add(numbered(1))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("TaskExecuted")
      yield* orchestrator.stop
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(run)
      assert.deepStrictEqual((yield* get(store, "t0")).status, "pending")
      const [claimed] = yield* store.claim({ limit: 1, owner: "next", lease: Duration.minutes(1) })
      assert.isDefined(claimed?.checkpoint)
    })
  )
})
