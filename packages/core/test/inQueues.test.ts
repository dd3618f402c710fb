import { assert, describe, it } from "@effect/vitest"
import { Execution, Executor, Task, TasksRefused, TaskStore, type TaskStoreError } from "@baton/core"
import { TaskStoreSuite } from "@baton/core/testing"
import { Duration, Effect, Layer, Option } from "effect"
import { make } from "./harness.ts"

const layerOf = (...queues: readonly [string, ...ReadonlyArray<string>]) =>
  Layer.effect(
    TaskStore.TaskStore,
    Effect.map(TaskStore.TaskStore, (store) => TaskStore.inQueues(store, queues))
  )

/** They name queues themselves, and a journal of batches names tasks by their ids in the whole store. */
const namesQueues = new Set([
  "queues",
  "bad input in queues",
  "budgets",
  "batches",
  "pauses",
  "concurrency of workers",
  "workers"
])

const suiteOf = (queue: string) =>
  TaskStoreSuite.cases({
    name: queue,
    makePlace: Effect.void,
    open: () => Layer.provide(layerOf(queue), TaskStore.layerMemory),
    capabilities: { places: "once" }
  }).filter(({ group }) => !namesQueues.has(group))

/** Two lists with the same ids. */
const twoLists = Effect.gen(function* () {
  const store = yield* TaskStore.TaskStore
  const lists = { a: TaskStore.inQueues(store, ["a"]), b: TaskStore.inQueues(store, ["b"]) }
  yield* lists.a.add([
    Task.makeNew({ id: "1", description: "one" }),
    Task.makeNew({ id: "2", description: "two", dependsOn: ["1"] })
  ])
  yield* lists.b.add([Task.makeNew({ id: "1", description: "eins" })])
  return { store, ...lists }
})

const idsIn = (store: TaskStore.TaskStore["Service"]) =>
  Effect.map(store.list(), ({ tasks }) => tasks.map(({ dependsOn, id }) => [id, ...dependsOn].join(" after ")))

/** They expect the queue default, another queue, and a message that names the id in the whole store. */
const exceptions = [
  "a new task is pending, with defaults",
  "tasks in review are counted and listed",
  "a queue whose tasks are all in review",
  "an attempt in review has spent its cost",
  "a record that contradicts itself refuses"
]

/** They name other queues, which do not exist in a part. */
const ofOtherQueues = [
  "the name of a queue that is too long",
  "the same key in two queues",
  "tasks of several queues are started"
]

const recording = (keys: Array<string>) =>
  Executor.layer((task, { idempotencyKey }) =>
    Effect.sync(() => {
      keys.push(`${task.id} ${idempotencyKey}`)
      return Execution.make({ output: "done" })
    })
  )

describe("the part of a store in one queue", () => {
  for (const queue of ["default", "letters"]) {
    describe(`keeps the contract of stores in the queue ${queue}`, () => {
      for (const { group, name, run } of suiteOf(queue)) {
        const left = queue === "default" ? ofOtherQueues : [...ofOtherQueues, ...exceptions]
        if (left.some((start) => name.startsWith(start))) continue
        it.effect(`${group}: ${name}`, () => run)
      }
    })
  }

  it.effect("has the workers of its own queues", () =>
    Effect.gen(function* () {
      const { a, b } = yield* twoLists
      const lease = Duration.minutes(1)
      yield* a.claim({ owner: "one", limit: 1, lease })
      yield* b.claim({ owner: "two", limit: 1, lease })
      const names = Effect.map(a.workers, (workers) => workers.map(({ name, queue }) => [queue, name]))
      assert.deepStrictEqual(yield* names, [["a", "one"]])
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )

  it.effect("has its own ids, whatever other queues contain", () =>
    Effect.gen(function* () {
      const { a, b, store } = yield* twoLists
      assert.deepStrictEqual(yield* idsIn(a), ["1", "2 after 1"])
      assert.deepStrictEqual(yield* idsIn(b), ["1"])
      assert.deepStrictEqual(yield* idsIn(store), ["a/1", "a/2 after a/1", "b/1"])
      assert.strictEqual(Option.getOrThrow(yield* b.get(Task.TaskId.make("1"))).description, "eins")
      assert.isTrue(Option.isNone(yield* b.get(Task.TaskId.make("2"))))
      assert.strictEqual((yield* a.counts).pending, 2)
      assert.deepStrictEqual(
        (yield* b.queues).map(({ queue }) => queue),
        ["b"]
      )
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )

  it.effect("reserves under its own ids, and shows the budgets of its queue alone", () =>
    Effect.gen(function* () {
      const { a, b, store } = yield* twoLists
      yield* Effect.forEach(["a", "b"], (queue) => store.budgets?.set(queue, { limit: { nanoUsd: 5 } }) ?? Effect.void)
      const [claimed] = yield* a.claim({ limit: 1, owner: "w", lease: Duration.minutes(1) })
      assert.isDefined(claimed)
      const zero = { nanoUsd: 0, tokens: 0 }
      const spending = { taskId: claimed.task.id, token: claimed.token, committed: zero, held: zero }
      const reserve = (nanoUsd: number) => a.budgets?.reserve([{ ...spending, wanted: { nanoUsd, tokens: 0 } }])
      assert.deepStrictEqual((yield* reserve(6) ?? Effect.never).refused, [
        { taskId: claimed.task.id, token: claimed.token }
      ])
      yield* reserve(5) ?? Effect.never
      const reservedIn = (list: TaskStore.TaskStore["Service"]) =>
        Effect.map(list.budgets?.list ?? Effect.never, (budgets) =>
          budgets.map(({ queue, reserved }) => [queue, reserved.nanoUsd])
        )
      assert.deepStrictEqual(yield* reservedIn(a), [["a", 5]])
      assert.deepStrictEqual(yield* reservedIn(b), [["b", 0]])
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )

  it.effect("shows the pauses of its queue alone", () =>
    Effect.gen(function* () {
      const { a, b, store } = yield* twoLists
      yield* store.pauses?.pause("a", { cause: "requested", reason: "" }) ?? Effect.never
      const pausedIn = (list: TaskStore.TaskStore["Service"]) =>
        Effect.map(list.pauses?.list ?? Effect.never, (pauses) => pauses.map(({ queue }) => queue))
      assert.deepStrictEqual([yield* pausedIn(a), yield* pausedIn(b)], [["a"], []])
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )

  it.effect("claims, changes and deletes nothing of other queues", () =>
    Effect.gen(function* () {
      const { a, b, store } = yield* twoLists
      const claims = yield* b.claim({ limit: 9, owner: "w", lease: Duration.minutes(1) })
      assert.deepStrictEqual(
        claims.map(({ task }) => [task.id, task.queue]),
        [["1", "b"]]
      )
      assert.deepStrictEqual(yield* a.cancel({ status: "pending" }), [Task.TaskId.make("1"), Task.TaskId.make("2")])
      assert.strictEqual(yield* b.prune({ statuses: ["cancelled"] }), 0)
      assert.strictEqual(yield* a.prune({ statuses: ["cancelled"], ids: [Task.TaskId.make("1")] }), 1)
      assert.deepStrictEqual(yield* idsIn(store), ["a/2 after a/1", "b/1"])
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )

  it.effect("refuses tasks, limits and pauses of other queues, and selects, lists and claims none of them", () =>
    Effect.gen(function* () {
      const { b, store } = yield* twoLists
      const before = yield* store.dump()
      for (const part of [b, TaskStore.inQueues(store, ["b", "c"])]) {
        const error = yield* Effect.flip(
          part.add([
            Task.makeNew({ id: "mine", description: "mine" }),
            Task.makeNew({ id: "x", queue: "a", description: "x" })
          ])
        )
        assert.instanceOf(error, TasksRefused)
        assert.deepStrictEqual(
          error.refusals.map(({ problem, taskId }) => [taskId, problem]),
          [["x", "OtherQueue"]]
        )
        assert.include(error.message, 'names the queue "a"')
        assert.deepStrictEqual(yield* part.cancel({ status: "pending", queue: "a" }), [])
        assert.deepStrictEqual(yield* part.requeue({ status: "failed", queue: "a" }), [])
        assert.strictEqual(yield* part.prune({ statuses: ["failed"], queue: "a" }), 0)
        assert.deepStrictEqual(yield* part.list({ queue: "a" }), { tasks: [] })
        const options = { queues: ["a"], limit: 9, owner: "w", lease: Duration.minutes(1) }
        assert.deepStrictEqual(yield* part.claim(options), [])
        for (const refused of [
          part.budgets?.set("a", { limit: { nanoUsd: 1 } }),
          part.pauses?.pause("a", { cause: "requested", reason: "" }),
          part.pauses?.resume("a"),
          part.concurrency?.set({ queue: "a", concurrency: 9 })
        ]) {
          const error = yield* Effect.flip<unknown, TaskStoreError, never>(refused ?? Effect.never)
          assert.include(error.message, 'The queue "a" is not')
        }
      }
      assert.deepStrictEqual(yield* store.dump(), before)
      assert.deepStrictEqual(yield* store.budgets?.list ?? Effect.never, [])
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )

  it.effect("names its own ids in refusals", () =>
    Effect.gen(function* () {
      const { a } = yield* twoLists
      const error = yield* Effect.flip(a.add([Task.makeNew({ id: "1", description: "another" })]))
      assert.instanceOf(error, TasksRefused)
      assert.deepStrictEqual(
        error.refusals.map(({ taskId }) => taskId),
        [Task.TaskId.make("1")]
      )
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )

  it.effect("runs its tasks under their own ids, with keys that other queues do not have", () =>
    Effect.gen(function* () {
      const { a, b, store } = yield* twoLists
      const keys: Array<string> = []
      for (const [queue, part] of [
        ["a", a],
        ["b", b]
      ] as const) {
        const run = yield* make({
          store: Layer.succeed(TaskStore.TaskStore, part),
          config: { queues: [queue] },
          executor: recording(keys)
        })
        yield* run.orchestrator.run
      }
      assert.deepStrictEqual(keys, ["1 a/1/1", "2 a/2/1", "1 b/1/1"])
      assert.strictEqual((yield* store.counts).completed, 3)
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )
})
