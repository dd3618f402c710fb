import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Latch, Schedule, Stream, SubscriptionRef } from "effect"
import { TestClock } from "effect/testing"
import {
  Execution,
  ExecutionError,
  Executor,
  RetryPolicy,
  Task,
  Verification,
  VerificationError,
  Verifier
} from "@baton/core"
import { get, layerOf, make, memoryStore, numbered, tasks, unavailable, yields } from "./harness.ts"

const failing = (reason: ExecutionError["reason"], message: string = reason) =>
  Effect.fail(new ExecutionError({ reason, message }))

describe("Orchestrator.run", () => {
  it.effect("completes every task, and publishes its events in order", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make()
      yield* store.add(tasks("a", "b", "c"))
      const summary = yield* orchestrator.run
      assert.deepStrictEqual(summary.reason, { _tag: "Drained", waiting: 0 })
      assert.strictEqual(summary.stats.tasksCompleted, 3)
      assert.strictEqual(summary.stats.successRate, 1)
      assert.strictEqual(summary.counts.completed, 3)
      assert.strictEqual((yield* get(store, "b")).result, "Fake result for: do b")
      assert.strictEqual(journal.tags()[0], "RunStarted")
      assert.strictEqual(journal.tags().at(-1), "RunEnded")
      assert.strictEqual(journal.of("TaskCompleted").length, 3)
      assert.strictEqual(yield* orchestrator.state, "stopped")
    })
  )

  it.effect("ends at once on an empty store", () =>
    Effect.gen(function* () {
      const { orchestrator } = yield* make()
      assert.strictEqual((yield* orchestrator.run).stats.tasksStarted, 0)
    })
  )

  it.effect("runs again for tasks that were added later", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make()
      yield* store.add(tasks("a"))
      yield* orchestrator.run
      yield* store.add(tasks("b"))
      const second = yield* orchestrator.run
      assert.strictEqual(second.stats.tasksCompleted, 1)
      assert.strictEqual(second.counts.completed, 2)
    })
  )

  it.effect("reports its state and each change of it", () =>
    Effect.gen(function* () {
      const { orchestrator } = yield* make()
      const changes = yield* Effect.forkChild(
        Stream.runCollect(Stream.takeUntil(orchestrator.stateChanges, (state) => state === "stopped")),
        { startImmediately: true }
      )
      assert.strictEqual(yield* orchestrator.state, "idle")
      yield* orchestrator.run
      assert.deepStrictEqual(yield* Fiber.join(changes), ["idle", "running", "stopped"])
      // @ts-expect-error only the orchestrator can change its state
      const set = () => SubscriptionRef.set(orchestrator.state, "idle")
      assert.isFunction(set)
    })
  )

  it.effect("refuses a second run at the same time", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make({ executor: Executor.layer(() => Effect.never) })
      yield* store.add(tasks("a"))
      const first = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("TaskStarted")
      const error = yield* Effect.flip(orchestrator.run)
      assert.strictEqual(error.message, "This orchestrator is running already.")
      yield* Fiber.interrupt(first).pipe(Effect.forkChild)
      yield* journal.next("Draining")
      yield* TestClock.adjust("30 seconds")
      yield* Fiber.await(first)
    })
  )

  it.effect("runs exactly `concurrency` tasks at the same time", () =>
    Effect.gen(function* () {
      let running = 0
      let most = 0
      const gate = yield* Latch.make()
      const full = yield* Latch.make()
      const { orchestrator, store } = yield* make({
        config: { concurrency: 3 },
        executor: Executor.layer(() =>
          Effect.gen(function* () {
            most = Math.max(most, ++running)
            if (running === 3) yield* full.open
            yield* gate.await
            running--
            return Execution.make({ output: "x" })
          })
        )
      })
      yield* store.add(tasks(..."abcdefgh"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* full.await
      yield* gate.open
      assert.strictEqual((yield* Fiber.join(run)).stats.tasksCompleted, 8)
      assert.strictEqual(most, 3)
    })
  )

  it.effect("runs higher priorities first", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make()
      yield* store.add([
        Task.makeNew({ id: "low", description: "x", priority: -1 }),
        Task.makeNew({ id: "high", description: "x", priority: 5 }),
        Task.makeNew({ id: "normal", description: "x" })
      ])
      yield* orchestrator.run
      assert.deepStrictEqual(
        journal.of("TaskStarted").map(({ taskId }) => String(taskId)),
        ["high", "normal", "low"]
      )
    })
  )

  it.effect("runs a task after its dependencies, and reports a task that can never run", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make({
        config: { maxAttempts: 1, concurrency: 4 },
        executor: Executor.layer((task) =>
          task.id === "broken" ? failing("Failed") : Effect.succeed(Execution.make({ output: "x" }))
        )
      })
      yield* store.add([
        Task.makeNew({ id: "second", description: "x", dependsOn: ["first"] }),
        Task.makeNew({ id: "first", description: "x" }),
        Task.makeNew({ id: "broken", description: "x" }),
        Task.makeNew({ id: "stuck", description: "x", dependsOn: ["broken"] })
      ])
      const summary = yield* orchestrator.run
      assert.deepStrictEqual(summary.reason, { _tag: "Drained", waiting: 1 })
      const order = journal.of("TaskCompleted").map(({ taskId }) => String(taskId))
      assert.deepStrictEqual(order, ["first", "second"])
      assert.strictEqual((yield* get(store, "stuck")).status, "pending")
    })
  )

  it.effect("waits for new tasks with runForever", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make()
      const run = yield* Effect.forkChild(orchestrator.runForever)
      yield* store.add(tasks("a"))
      yield* journal.next("TaskCompleted")
      yield* store.add(tasks("b"))
      yield* journal.next("TaskCompleted")
      yield* orchestrator.stop
      assert.strictEqual((yield* Fiber.join(run)).stats.tasksCompleted, 2)
    })
  )

  it.effect("runs every task once with extreme concurrency and prefetch", () =>
    Effect.gen(function* () {
      for (const [concurrency, prefetch] of [
        [1, 1],
        [1, 1000],
        [1000, 1],
        [1000, 1000],
        [7, 3]
      ]) {
        const { orchestrator, store } = yield* make({ config: { concurrency, prefetch } })
        yield* store.add(numbered(1200))
        const { stats } = yield* orchestrator.run
        assert.deepStrictEqual([stats.tasksCompleted, stats.executions], [1200, 1200])
      }
    })
  )
})

describe("retries", () => {
  it.effect("receive the verifier's feedback and the rejected output", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const { journal, orchestrator, store } = yield* make({
        config: { retryPolicy: RetryPolicy.immediate },
        executor: Executor.layer((_task, { attempt, previous }) =>
          Effect.sync(() => {
            seen.push(previous)
            return Execution.make({ output: `try ${attempt}` })
          })
        ),
        verifier: Verifier.layerPure((_task, { output }) =>
          output === "try 2" ? Verification.pass() : Verification.reject("too short")
        )
      })
      yield* store.add(tasks("a"))
      const summary = yield* orchestrator.run
      assert.strictEqual(summary.stats.tasksRetried, 1)
      assert.deepStrictEqual(seen, [undefined, { output: "try 1", feedback: "too short" }])
      assert.deepStrictEqual(
        journal.tags().filter((tag) => tag !== "RunStarted" && tag !== "RunEnded"),
        ["TaskStarted", "VerificationFailed", "TaskRetried", "TaskStarted", "TaskCompleted"]
      )
      const attempts = yield* store.attempts(Task.TaskId.make("a"))
      assert.deepStrictEqual(
        attempts.map(({ number, outcome }) => [number, outcome]),
        [
          [1, "retried"],
          [2, "completed"]
        ]
      )
    })
  )

  it.effect("know the lease token, and the earlier attempts in the ledger", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const { orchestrator, store } = yield* make({
        config: { retryPolicy: RetryPolicy.immediate },
        executor: Executor.layer(
          Effect.fnUntraced(function* (_task, { attempt, earlierAttempts, leaseToken }) {
            const earlier = yield* earlierAttempts
            seen.push([
              leaseToken,
              earlier.map(({ execution, outcome, token }) => [token, outcome, execution?.metadata])
            ])
            const metadata = { exitCode: attempt }
            return attempt < 3
              ? yield* new ExecutionError({ reason: "Failed", message: "no", metadata })
              : Execution.make({ output: "x" })
          })
        )
      })
      yield* store.add(tasks("a"))
      yield* orchestrator.run
      const first = [1, "retried", { exitCode: 1 }]
      assert.deepStrictEqual(seen, [
        [1, []],
        [2, [first]],
        [3, [first, [2, "retried", { exitCode: 2 }]]]
      ])
    })
  )

  it.effect("wait for the delay of the policy", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make({
        config: { retryPolicy: RetryPolicy.exponential({ base: "10 seconds" }) },
        executor: Executor.layerFake({ failures: 1 })
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      const retried = yield* journal.next("TaskRetried")
      assert.isTrue(retried._tag === "TaskRetried" && retried.delayMillis >= 8_000 && retried.delayMillis <= 12_000)
      yield* TestClock.adjust("7 seconds")
      assert.strictEqual((yield* get(store, "a")).status, "pending")
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(run)).stats.tasksCompleted, 1)
    })
  )

  it.effect("end in the dead-letter queue after `maxAttempts`, with the feedback", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({
        config: { maxAttempts: 2, retryPolicy: RetryPolicy.immediate },
        executor: Executor.layerFake({ success: false })
      })
      yield* store.add(tasks("a"))
      const summary = yield* orchestrator.run
      assert.strictEqual(summary.stats.executions, 2)
      assert.strictEqual(summary.counts.failed, 1)
      const task = yield* get(store, "a")
      assert.deepStrictEqual([task.status, task.attempts, task.feedback], ["failed", 2, "Fake failure"])
    })
  )

  it.effect("do not happen without `retryOnFailure` or after a permanent error", () =>
    Effect.gen(function* () {
      const once = yield* make({ config: { retryOnFailure: false }, executor: Executor.layerFake({ success: false }) })
      yield* once.store.add(tasks("a"))
      assert.strictEqual((yield* once.orchestrator.run).stats.executions, 1)
      const permanent = yield* make({ executor: Executor.layer(() => failing("Permanent", "refused")) })
      yield* permanent.store.add(tasks("a"))
      assert.strictEqual((yield* permanent.orchestrator.run).stats.executions, 1)
      assert.strictEqual((yield* get(permanent.store, "a")).status, "failed")
    })
  )

  it.effect("happen within the attempt after a transient error, not before its retryAfter", () =>
    Effect.gen(function* () {
      let calls = 0
      const retryAfter = Duration.seconds(60)
      const { journal, orchestrator, store } = yield* make({
        executor: Executor.layer(() =>
          Effect.suspend(() =>
            ++calls === 1
              ? Effect.fail(new ExecutionError({ reason: "Transient", message: "429", retryAfter }))
              : Effect.succeed(Execution.make({ output: "x" }))
          )
        )
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      assert.deepInclude(yield* journal.next("ExecutionRetried"), { reason: "429", delayMillis: 60_000 })
      yield* TestClock.adjust("59 seconds")
      assert.strictEqual(calls, 1)
      yield* TestClock.adjust("1 second")
      const summary = yield* Fiber.join(run)
      assert.deepStrictEqual([summary.stats.tasksCompleted, summary.stats.executions, calls], [1, 1, 2])
      assert.strictEqual((yield* get(store, "a")).attempts, 1)
    })
  )

  it.effect("do not happen within the attempt if retryAfter is longer than allowed", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({
        config: { maxAttempts: 1, maxRetryAfter: "1 minute" },
        executor: Executor.layer(() =>
          Effect.fail(new ExecutionError({ reason: "Transient", message: "429", retryAfter: Duration.days(1) }))
        )
      })
      yield* store.add(tasks("a"))
      assert.strictEqual((yield* orchestrator.run).stats.tasksFailed, 1)
    })
  )

  it.effect("use up the attempt if transient errors continue", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make({
        config: { maxAttempts: 1 },
        executor: Executor.layer(() => failing("Transient", "overloaded"))
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      for (let tries = 0; tries < 5; tries++) {
        yield* journal.next("ExecutionRetried")
        yield* TestClock.adjust("30 seconds")
      }
      const summary = yield* Fiber.join(run)
      assert.strictEqual(summary.stats.tasksFailed, 1)
      assert.strictEqual((yield* get(store, "a")).attempts, 1)
    })
  )

  it.effect("happen after an executor died: the task fails, and the run continues", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({
        config: { maxAttempts: 1 },
        executor: Executor.layer((task) =>
          task.id === "a" ? Effect.die(new Error("boom")) : Effect.succeed(Execution.make({ output: "x" }))
        )
      })
      yield* store.add(tasks("a", "b"))
      const summary = yield* orchestrator.run
      assert.deepStrictEqual([summary.counts.failed, summary.counts.completed], [1, 1])
      assert.include((yield* get(store, "a")).feedback, "boom")
    })
  )
})

describe("timeouts", () => {
  it.effect("cut off an execution that takes too long, which uses up the attempt", () =>
    Effect.gen(function* () {
      const interrupted = yield* Deferred.make<void>()
      const { journal, orchestrator, store } = yield* make({
        config: { maxAttempts: 1, executionTimeout: "1 minute" },
        executor: Executor.layer(() => Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined)))
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("TaskStarted")
      yield* TestClock.adjust("1 minute")
      yield* Deferred.await(interrupted)
      assert.strictEqual((yield* Fiber.join(run)).stats.tasksFailed, 1)
      assert.include((yield* get(store, "a")).feedback, "took too long")
    })
  )

  it.effect("cut off each of many executions at its deadline, and the worker continues with the next task", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make({
        config: { maxAttempts: 1, executionTimeout: "1 minute", concurrency: 2 },
        executor: Executor.layer((task) =>
          task.id.startsWith("slow") ? Effect.never : Effect.succeed(Execution.make({ output: "x" }))
        )
      })
      yield* store.add(tasks("slow-1", "slow-2", "quick-1", "slow-3", "quick-2"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("TaskStarted")
      yield* journal.next("TaskStarted")
      yield* TestClock.adjust("1 minute")
      yield* journal.next("TaskCompleted")
      yield* TestClock.adjust("1 minute")
      const summary = yield* Fiber.join(run)
      assert.deepStrictEqual([summary.counts.failed, summary.counts.completed], [3, 2])
    })
  )

  it.effect("of a verification keep the output, which is verified again without an execution", () =>
    Effect.gen(function* () {
      let verifications = 0
      const { journal, orchestrator, store } = yield* make({
        config: { verificationTimeout: "1 minute", retryPolicy: RetryPolicy.immediate },
        verifier: Verifier.layer(() =>
          Effect.suspend(() => (++verifications === 1 ? Effect.never : Effect.succeed(Verification.pass())))
        )
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("TaskExecuted")
      yield* TestClock.adjust("1 minute")
      const summary = yield* Fiber.join(run)
      assert.deepStrictEqual([summary.stats.executions, summary.stats.tasksCompleted, verifications], [1, 1, 2])
    })
  )
})

describe("verification", () => {
  it.effect("happens after the output is saved, if the verifier is effectful", () =>
    Effect.gen(function* () {
      const gate = yield* Latch.make()
      const { journal, orchestrator, store } = yield* make({
        verifier: Verifier.layer(() => Effect.as(gate.await, Verification.pass()))
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("TaskExecuted")
      const [attempt] = yield* store.attempts(Task.TaskId.make("a"))
      assert.strictEqual(attempt?.execution?.output, "Fake result for: do a")
      yield* gate.open
      yield* Fiber.join(run)
    })
  )

  it.effect("is retried once per attempt if the verifier returns no verdict", () =>
    Effect.gen(function* () {
      let verifications = 0
      const { orchestrator, store } = yield* make({
        config: { maxAttempts: 3, retryPolicy: RetryPolicy.immediate, transientRetry: Schedule.recurs(5) },
        verifier: Verifier.layer(() =>
          Effect.suspend(() => {
            verifications++
            return Effect.fail(new VerificationError({ reason: "Failed", message: "no clear verdict" }))
          })
        )
      })
      yield* store.add(tasks("a"))
      const summary = yield* orchestrator.run
      assert.deepStrictEqual([summary.stats.executions, summary.counts.failed, verifications], [1, 1, 6])
    })
  )

  it.effect("is retried for the same output if the verifier cannot be reached; nothing is executed again", () =>
    Effect.gen(function* () {
      let verifications = 0
      const { journal, orchestrator, store } = yield* make({
        verifier: Verifier.layer(() =>
          Effect.suspend(() =>
            ++verifications < 3
              ? Effect.fail(new VerificationError({ reason: "Transient", message: "judge is away" }))
              : Effect.succeed(Verification.pass())
          )
        )
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      for (let retried = 0; retried < 2; retried++) {
        yield* journal.next("VerificationRetried")
        yield* TestClock.adjust("1 minute")
      }
      const summary = yield* Fiber.join(run)
      assert.deepStrictEqual([summary.stats.executions, summary.stats.tasksCompleted], [1, 1])
      assert.strictEqual((yield* get(store, "a")).attempts, 1)
    })
  )

  it.effect("that never succeeds sends the task to the dead-letter queue, with its output saved", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({
        config: { maxAttempts: 2, retryPolicy: RetryPolicy.immediate, transientRetry: Schedule.recurs(0) },
        verifier: Verifier.layer(() => Effect.fail(new VerificationError({ reason: "Failed", message: "no judge" })))
      })
      yield* store.add(tasks("a"))
      const summary = yield* orchestrator.run
      assert.deepStrictEqual([summary.stats.executions, summary.counts.failed], [1, 1])
      assert.include((yield* get(store, "a")).feedback, "could not be verified: no judge")
    })
  )

  it.effect("that can never succeed sends the task there at once, and is repeated when the task is requeued", () =>
    Effect.gen(function* () {
      let verifications = 0
      const { orchestrator, store } = yield* make({
        verifier: Verifier.layer(() =>
          Effect.suspend(() =>
            ++verifications === 1
              ? Effect.fail(new VerificationError({ reason: "Permanent", message: "too long to judge" }))
              : Effect.succeed(Verification.pass())
          )
        )
      })
      yield* store.add(tasks("a"))
      const first = yield* orchestrator.run
      assert.deepStrictEqual([first.counts.failed, verifications], [1, 1])
      assert.deepInclude(yield* get(store, "a"), { status: "failed", attempts: 1 })
      yield* store.requeue({ ids: [Task.TaskId.make("a")] })
      const second = yield* orchestrator.run
      assert.deepStrictEqual([second.counts.completed, second.stats.executions], [1, 0])
    })
  )

  it.effect("can be absent: tasks complete as unverified, and are counted", () =>
    Effect.gen(function* () {
      const none = yield* make({ verifier: Verifier.layerNone })
      yield* none.store.add(tasks("a"))
      assert.strictEqual((yield* none.orchestrator.run).stats.tasksUnverified, 1)
      assert.isFalse((yield* get(none.store, "a")).verified)
      const off = yield* make({ config: { verifyResults: false } })
      yield* off.store.add(tasks("a"))
      assert.strictEqual((yield* off.orchestrator.run).stats.tasksUnverified, 1)
    })
  )
})

describe("fatal errors", () => {
  it.effect("end the run, release the task and leave the others pending", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make({
        executor: Executor.layer(() => failing("Fatal", "the key was refused"))
      })
      yield* store.add(tasks("a", "b"))
      const error = yield* Effect.flip(orchestrator.run)
      assert.strictEqual(error.message, "the key was refused")
      assert.strictEqual(yield* orchestrator.state, "error")
      const counts = yield* store.counts
      assert.deepStrictEqual([counts.pending, counts.in_progress], [2, 0])
      assert.strictEqual((yield* get(store, "a")).attempts, 0)
      assert.strictEqual(journal.of("RunEnded")[0]?.reason._tag, "Failed")
    })
  )

  it.effect("end the run after transient errors as well", () =>
    Effect.gen(function* () {
      let calls = 0
      const { journal, orchestrator, store } = yield* make({
        executor: Executor.layer(() =>
          Effect.suspend(() =>
            Effect.fail(new ExecutionError({ reason: ++calls === 1 ? "Transient" : "Fatal", message: "no" }))
          )
        )
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(Effect.flip(orchestrator.run))
      yield* journal.next("ExecutionRetried")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Fiber.join(run)).message, "no")
      assert.strictEqual((yield* get(store, "a")).attempts, 0)
    })
  )

  it.effect("start no other claimed task", () =>
    Effect.gen(function* () {
      let calls = 0
      const { orchestrator, store } = yield* make({
        config: { prefetch: 50 },
        executor: Executor.layer(() =>
          Effect.suspend(() => {
            calls++
            return failing("Fatal", "the key was refused")
          })
        )
      })
      yield* store.add(tasks(...Array.from({ length: 50 }, (_, index) => `task-${index}`)))
      yield* Effect.flip(orchestrator.run)
      assert.strictEqual(calls, 1)
      assert.strictEqual((yield* store.counts).pending, 50)
    })
  )
})

describe("the summary of a run", () => {
  it.effect("is returned even if the store is briefly unavailable at the end", () =>
    Effect.gen(function* () {
      const real = yield* memoryStore
      let asked = 0
      const { orchestrator, store } = yield* make({
        store: layerOf({
          ...real,
          counts: Effect.suspend(() => (++asked === 2 ? Effect.fail(unavailable) : real.counts))
        })
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* yields()
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.join(run)).counts.completed, 1)
    })
  )

  it.effect("does not count executions that were not started", () =>
    Effect.gen(function* () {
      let executions = 0
      const { journal, orchestrator, store } = yield* make({
        config: { retryPolicy: RetryPolicy.immediate },
        executor: Executor.layer(() =>
          Effect.sync(() => {
            executions++
            return Execution.make({ output: "x" })
          })
        ),
        verifier: Verifier.layerPure(() => (executions < 3 ? Verification.reject("no") : Verification.pass()))
      })
      yield* store.add(tasks("a"))
      const { stats } = yield* orchestrator.run
      assert.deepStrictEqual(
        [stats.tasksStarted, stats.executions, stats.tasksRetried, stats.tasksCompleted, stats.tasksReleased],
        [3, 3, 2, 1, 0]
      )
      assert.strictEqual(journal.of("TaskStarted").length, 3)
    })
  )
})
