import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { ExecutionError, Executor, RetryPolicy, Task } from "@baton/core"
import { get, make, tasks } from "./harness.ts"

const inQueue = (queue: string, ...ids: ReadonlyArray<string>) =>
  ids.map((id) => Task.makeNew({ id, description: `do ${id}`, queue }))

describe("queues", () => {
  it.effect("a run executes the tasks of its queues, and ends when none of these is left", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make({ config: { queues: ["mine", "ours"] } })
      yield* store.add([...inQueue("theirs", "a", "b"), ...inQueue("mine", "c", "d"), ...inQueue("ours", "e")])
      yield* store.add(tasks("f"))
      const summary = yield* orchestrator.run
      assert.deepStrictEqual(summary.reason, { _tag: "Drained", waiting: 0 })
      assert.deepStrictEqual(
        journal
          .of("TaskCompleted")
          .map(({ taskId }) => taskId)
          .toSorted(),
        ["c", "d", "e"]
      )
      assert.strictEqual(summary.counts.completed, 3)
      assert.strictEqual(summary.counts.pending, 0)
      assert.strictEqual((yield* store.counts).pending, 3)
    })
  )

  it.effect("a run that names no queues executes the queue default", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make()
      yield* store.add([...inQueue("other", "a"), ...tasks("b")])
      assert.strictEqual((yield* orchestrator.run).stats.tasksCompleted, 1)
      assert.strictEqual((yield* get(store, "a")).status, "pending")
      assert.strictEqual((yield* get(store, "b")).status, "completed")
    })
  )

  it.effect("a run reports how many of its tasks wait for tasks of another queue", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({ config: { queues: ["reduces"] } })
      yield* store.add([
        ...inQueue("maps", "map"),
        Task.makeNew({ id: "reduce", description: "reduce", queue: "reduces", dependsOn: ["map"] })
      ])
      const { reason } = yield* orchestrator.run
      assert.deepStrictEqual(reason, { _tag: "Drained", waiting: 1 })
    })
  )

  it.effect("the number of attempts of a task goes before that of the run", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({
        config: { maxAttempts: 2, retryPolicy: RetryPolicy.immediate },
        executor: Executor.layer(() => Effect.fail(new ExecutionError({ reason: "Failed", message: "no" })))
      })
      yield* store.add([
        Task.makeNew({ id: "once", description: "x", overrides: { maxAttempts: 1 } }),
        Task.makeNew({ id: "often", description: "x", overrides: { maxAttempts: 4 } }),
        Task.makeNew({ id: "usual", description: "x" })
      ])
      yield* orchestrator.run
      const failed = yield* Effect.forEach(["once", "often", "usual"], (id) => get(store, id))
      assert.deepStrictEqual(
        failed.map(({ attempts, status }) => [status, attempts]),
        [
          ["failed", 1],
          ["failed", 4],
          ["failed", 2]
        ]
      )
    })
  )
})
