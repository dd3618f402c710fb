import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import { Execution, ExecutionError, Executor, type Execution as E, Task, Verification, Verifier } from "@baton/core"
import { get, layerOf, make, memoryStore } from "./harness.ts"

const task = (id: string, dependsOn: ReadonlyArray<string> = [], queue = "default") =>
  Task.makeNew({ id, description: `do ${id}`, dependsOn, queue })

const output = (output: string): Effect.Effect<E.Execution> => Effect.succeed(Execution.make({ output }))

describe("the outputs of dependencies", () => {
  it.effect("are given to the executor and the verifier, in the order of dependsOn", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make({
        config: { concurrency: 4 },
        executor: Executor.layer(({ id }, { dependencies }) =>
          Effect.flatMap(dependencies, (known) => output(id + JSON.stringify(known.map(({ output }) => output))))
        ),
        verifier: Verifier.layer(({ dependsOn }, _, { dependencies }) =>
          Effect.map(dependencies, (known) =>
            known.length === dependsOn.length ? Verification.pass() : Verification.reject("lost some")
          )
        )
      })
      yield* store.add([task("a"), task("b"), task("c", ["b", "a"])])
      yield* orchestrator.run
      assert.strictEqual(journal.of("TaskCompleted").at(-1)?.output, 'c["b[]","a[]"]')
    })
  )

  it.effect("read nothing for a task without dependencies, and have no output for a task that was deleted", () =>
    Effect.gen(function* () {
      const real = yield* memoryStore
      const read: Array<string> = []
      const { journal, orchestrator, store } = yield* make({
        store: layerOf({
          ...real,
          get: (id) => Effect.suspend(() => (read.push(id), real.get(id)))
        }),
        executor: Executor.layer((_, { dependencies }) =>
          Effect.flatMap(dependencies, (known) => output(JSON.stringify(known)))
        )
      })
      yield* store.add([task("a"), task("b")])
      yield* orchestrator.run
      assert.deepStrictEqual(read, [])
      yield* store.add([task("c", ["a", "b"])])
      yield* store.prune({ statuses: ["completed"], ids: ["b"] })
      yield* orchestrator.run
      assert.deepStrictEqual(read, ["a", "b"])
      assert.strictEqual(journal.of("TaskCompleted").at(-1)?.output, '[{"id":"a","output":"[]"},{"id":"b"}]')
    })
  )

  it.effect("of 100 mapped and verified tasks reach the task that combines them", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({
        config: { concurrency: 8 },
        executor: Executor.layer((task, { dependencies }) =>
          task.id === "total"
            ? Effect.map(dependencies, (parts) =>
                Execution.make({ output: String(parts.reduce((sum, { output }) => sum + Number(output), 0)) })
              )
            : output(String(Number(task.description) ** 2))
        ),
        verifier: Verifier.layerPure((_, { output }) =>
          /^\d+$/.test(output) ? Verification.pass() : Verification.reject("Expected a number.")
        )
      })
      const parts = Array.from({ length: 100 }, (_, n) => Task.makeNew({ id: `square-${n}`, description: String(n) }))
      yield* store.add([
        ...parts,
        task(
          "total",
          parts.map(({ id }) => id)
        )
      ])
      yield* orchestrator.run
      assert.strictEqual((yield* get(store, "total")).result, "328350")
    })
  )
})

describe("the dependents of a failed task", () => {
  const failing = Executor.layer(({ id }) =>
    id === "bad" ? Effect.fail(new ExecutionError({ reason: "Permanent", message: "no" })) : output("x")
  )
  const list = [
    task("bad"),
    task("good"),
    task("child", ["bad", "good"]),
    task("grandchild", ["child"], "other"),
    task("independent", ["good"])
  ]
  const statuses = (store: Effect.Success<typeof memoryStore>) =>
    Effect.map(store.list(), ({ tasks }) => tasks.map(({ id, status }) => `${id} ${status}`))

  it.effect("wait for it by default", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({ executor: failing })
      yield* store.add(list)
      yield* orchestrator.run
      assert.deepStrictEqual(yield* statuses(store), [
        "bad failed",
        "good completed",
        "child pending",
        "grandchild pending",
        "independent completed"
      ])
    })
  )

  const cancelled = ["bad failed", "good completed", "child cancelled", "grandchild cancelled", "independent completed"]

  it.effect("are cancelled on request, with their own dependents in all queues", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({ executor: failing, config: { onDependencyFailed: "cancel" } })
      yield* store.add(list)
      yield* orchestrator.run
      assert.deepStrictEqual(yield* statuses(store), cancelled)
    })
  )

  it.effect("go to the dead-letter queue with it on request", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({ executor: failing, config: { onDependencyFailed: "fail" } })
      yield* store.add(list)
      const { counts } = yield* orchestrator.run
      assert.deepStrictEqual(
        yield* statuses(store),
        cancelled.map((line) => line.replace("cancelled", "failed"))
      )
      assert.deepStrictEqual([counts.failed, counts.waiting], [2, 0])
      const grandchild = yield* get(store, "grandchild")
      assert.deepStrictEqual(grandchild.feedback, "A task that this one depends on failed.")
    })
  )

  it.effect("are cancelled when it fails by a crash, and when it failed before the run", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({
        executor: failing,
        config: { onDependencyFailed: "cancel", onCrash: "dead-letter" }
      })
      yield* store.add(list.filter(({ id }) => id !== "grandchild"))
      yield* store.claim({ limit: 1, owner: "dead", lease: Duration.seconds(1) })
      yield* TestClock.adjust("1 minute")
      yield* orchestrator.run
      assert.deepStrictEqual(
        yield* statuses(store),
        cancelled.filter((line) => !line.startsWith("grandchild"))
      )
      yield* store.add([task("late", ["bad"])])
      yield* orchestrator.run
      assert.strictEqual((yield* get(store, "late")).status, "cancelled")
    })
  )
})
