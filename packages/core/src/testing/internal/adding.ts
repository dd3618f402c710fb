import * as assert from "node:assert/strict"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Task from "../../Task.ts"
import type { TaskStoreError } from "../../TaskStoreError.ts"
import { TasksRefused } from "../../TaskStoreError.ts"
import {
  type Case,
  claimNew,
  claimOne,
  complete,
  find,
  id,
  ids,
  it,
  numbered,
  plainTask,
  settle,
  task,
  type Fixture
} from "./fixture.ts"

/** The refusals of an `add` that has to be refused. */
const refusals = Effect.fnUntraced(function* ({ store }: Fixture, tasks: ReadonlyArray<Task.NewTask>) {
  const error: TasksRefused | TaskStoreError = yield* Effect.flip(store.add(tasks))
  assert.ok(error instanceof TasksRefused)
  for (const { message, taskId } of error.refusals) assert.ok(message.includes(taskId), `"${message}" names its task`)
  return error.refusals.map(({ problem, taskId }) => `${taskId}: ${problem}`).toSorted()
})

const isThere = ({ store }: Fixture, name: string) => Effect.map(store.get(id(name)), Option.isSome)

export const adding: ReadonlyArray<Case> = [
  it(
    "a new task is pending, with defaults for the fields that were left out",
    Effect.fnUntraced(function* (fixture) {
      assert.deepEqual(yield* fixture.store.add([task("a")]), { added: ["a"], existing: 0, different: [] })
      const added = yield* find(fixture, "a")
      const { availableAt, createdAt, updatedAt, ...rest } = plainTask(added)
      assert.deepEqual(rest, {
        id: "a",
        queue: "default",
        description: "Do a.",
        overrides: {},
        status: "pending",
        attempts: 0,
        metadata: {},
        priority: 0,
        dependsOn: [],
        verified: false,
        requeues: 0
      })
      assert.equal(availableAt, createdAt)
      assert.equal(updatedAt, createdAt)
    })
  ),
  it(
    "a task keeps the fields it was added with",
    Effect.fnUntraced(function* (fixture) {
      const availableAt = DateTime.makeUnsafe("2030-01-02T03:04:05.678Z")
      yield* fixture.store.add([
        task("a"),
        task("b", { metadata: { kind: "x", rank: [1, { deep: true }] }, priority: -3, availableAt, dependsOn: ["a"] })
      ])
      const added = yield* find(fixture, "b")
      assert.deepEqual(added.metadata, { kind: "x", rank: [1, { deep: true }] })
      assert.equal(added.priority, -3)
      assert.deepEqual(added.dependsOn, ["a"])
      assert.equal(added.availableAt.epochMilliseconds, availableAt.epochMilliseconds)
    })
  ),
  it(
    "adding an existing task changes nothing",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a", { priority: 1 })])
      const before = yield* find(fixture, "a")
      yield* fixture.advance(1)
      const again = yield* fixture.store.add([task("a", { priority: 2, metadata: { other: true } }), task("b")])
      assert.deepEqual(again, { added: ["b"], existing: 1, different: ["a"] })
      assert.deepEqual(plainTask(yield* find(fixture, "a")), plainTask(before))
    })
  ),
  it(
    "adding existing tasks names those with other metadata, overrides, priority or dependencies, and changes none",
    Effect.fnUntraced(function* (fixture) {
      const { store } = fixture
      const overrides = { model: "small", maxAttempts: 2 }
      const given = { metadata: { kind: "x", list: [1, null] }, overrides, priority: -3, dependsOn: ["same"] }
      const plain = [task("same"), task("plain")]
      yield* store.add([...plain, task("full", given)])
      assert.deepEqual(yield* store.add([...plain, task("full", given)]), { added: [], existing: 3, different: [] })
      for (const other of [
        { ...given, metadata: { kind: "y" } },
        { ...given, metadata: {} },
        { ...given, overrides: { ...overrides, maxAttempts: 3 } },
        { ...given, overrides: { model: "small" } },
        { ...given, priority: 3 },
        { ...given, dependsOn: ["plain"] },
        {}
      ]) {
        const reply = yield* store.add([task("plain"), task("full", other)])
        assert.deepEqual(reply, { added: [], existing: 2, different: ["full"] }, JSON.stringify(other))
      }
      const reply = yield* store.add([
        task("plain", { metadata: { a: 1 } }),
        task("plain"),
        task("new", { priority: 1 })
      ])
      assert.deepEqual(reply, { added: ["new"], existing: 1, different: ["plain"] })
      assert.deepEqual((yield* find(fixture, "full")).metadata, given.metadata)
      assert.equal((yield* find(fixture, "full")).priority, -3)
    })
  ),
  it(
    "a task that is changed by a worker is the same when it is added again",
    Effect.fnUntraced(function* (fixture) {
      const given = { metadata: { kind: "x" }, overrides: { maxAttempts: 2 }, priority: 4 }
      yield* fixture.store.add([task("a", given)])
      yield* settle(fixture, complete(yield* claimOne(fixture)))
      assert.deepEqual(yield* fixture.store.add([task("a", given)]), { added: [], existing: 1, different: [] })
      assert.deepEqual((yield* fixture.store.add([task("a")])).different, ["a"])
    })
  ),
  it(
    "a task that occurs twice in a call with other metadata is one task, and is named",
    Effect.fnUntraced(function* ({ store }) {
      const reply = yield* store.add([task("a", { priority: 1 }), task("a", { priority: 2 }), task("b"), task("b")])
      assert.deepEqual(reply, { added: ["a", "b"], existing: 0, different: ["a"] })
    })
  ),
  it(
    "a completed task that is added again stays completed",
    Effect.fnUntraced(function* (fixture) {
      yield* settle(fixture, complete(yield* claimNew(fixture, "a")))
      assert.deepEqual(yield* fixture.store.add([task("a")]), { added: [], existing: 1, different: [] })
      assert.equal((yield* find(fixture, "a")).status, "completed")
    })
  ),
  it(
    "an id that occurs twice in a call with the same description is one task",
    Effect.fnUntraced(function* ({ store }) {
      assert.deepEqual(yield* store.add([task("a"), task("a")]), { added: ["a"], existing: 0, different: [] })
      assert.deepEqual(yield* store.add([task("a"), task("a")]), { added: [], existing: 1, different: [] })
      assert.equal((yield* store.counts).pending, 1)
    })
  ),
  it(
    "adding nothing adds nothing",
    Effect.fnUntraced(function* ({ store }) {
      assert.deepEqual(yield* store.add([]), { added: [], existing: 0, different: [] })
    })
  ),
  it(
    "thousands of tasks are added in one call, in their order",
    Effect.fnUntraced(function* ({ store }) {
      const tasks = numbered(2_500)
      const { added } = yield* store.add(tasks)
      assert.deepEqual(
        added,
        tasks.map((each) => each.id)
      )
      assert.equal((yield* store.counts).pending, 2_500)
      const { tasks: first } = yield* store.list({ limit: 3 })
      assert.deepEqual(
        first.map((each) => each.id),
        ["task-0", "task-1", "task-2"]
      )
    })
  ),
  it(
    "an id in use by another description refuses the whole call",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a")])
      const other = Task.makeNew({ id: "a", description: "Something else." })
      assert.deepEqual(yield* refusals(fixture, [task("b"), other, task("c")]), ["a: IdInUse"])
      assert.equal((yield* find(fixture, "a")).description, "Do a.")
      assert.equal(yield* isThere(fixture, "b"), false)
      assert.equal(yield* isThere(fixture, "c"), false)
    })
  ),
  it(
    "an id with two descriptions in one call refuses the whole call",
    Effect.fnUntraced(function* (fixture) {
      const other = Task.makeNew({ id: "a", description: "Something else." })
      assert.deepEqual(yield* refusals(fixture, [task("a"), task("b"), other]), ["a: IdInUse"])
      assert.equal((yield* fixture.store.counts).pending, 0)
    })
  ),
  it(
    "an unknown dependency refuses the whole call",
    Effect.fnUntraced(function* (fixture) {
      const tasks = [task("a"), task("b", { dependsOn: ["a", "nowhere"] })]
      assert.deepEqual(yield* refusals(fixture, tasks), ["b: UnknownDependency"])
      assert.equal(yield* isThere(fixture, "a"), false)
    })
  ),
  it(
    "a dependency can be in the store, or later in the same call",
    Effect.fnUntraced(function* ({ store }) {
      yield* store.add([task("old")])
      const { added } = yield* store.add([task("b", { dependsOn: ["a", "old"] }), task("a")])
      assert.deepEqual(added, ids("b", "a"))
    })
  ),
  it(
    "tasks that wait for each other are refused, and tasks that depend on them are not",
    Effect.fnUntraced(function* (fixture) {
      const tasks = [
        task("behind", { dependsOn: ["c"] }),
        task("a", { dependsOn: ["c"] }),
        task("b", { dependsOn: ["a"] }),
        task("c", { dependsOn: ["b"] }),
        task("apart")
      ]
      const cycle = ["a: DependencyCycle", "b: DependencyCycle", "c: DependencyCycle"]
      assert.deepEqual(yield* refusals(fixture, tasks), cycle)
      assert.equal(yield* isThere(fixture, "apart"), false)
    })
  ),
  it(
    "a task that waits for itself is refused",
    Effect.fnUntraced(function* (fixture) {
      assert.deepEqual(yield* refusals(fixture, [task("a", { dependsOn: ["a"] })]), ["a: DependencyCycle"])
    })
  ),
  it(
    "a refusal names every problem of the call",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a")])
      const found = yield* refusals(fixture, [
        Task.makeNew({ id: "a", description: "Something else." }),
        task("b", { dependsOn: ["nowhere"] }),
        task("c", { dependsOn: ["c"] })
      ])
      assert.deepEqual(found, ["a: IdInUse", "b: UnknownDependency", "c: DependencyCycle"])
    })
  ),
  it(
    "a chain of thousands of tasks is added",
    Effect.fnUntraced(function* ({ store }) {
      const length = 2_500
      yield* store.add(
        Array.from({ length }, (_, index) =>
          task(`link-${index}`, index + 1 < length ? { dependsOn: [`link-${index + 1}`] } : {})
        )
      )
      assert.equal((yield* store.counts).waiting, length - 1)
      const claims = yield* store.claim({ limit: 10, owner: "worker", lease: Duration.minutes(1) })
      assert.deepEqual(
        claims.map((claimed) => claimed.task.id),
        [`link-${length - 1}`]
      )
    })
  ),
  it(
    "a priority that is not a whole number is refused, with the tasks of the same call",
    Effect.fnUntraced(function* ({ store }) {
      const invalid = [1.5, Number.NaN, Infinity, 2 ** 60]
      const tasks = invalid.map((priority, index) => task(`t${index}`, { priority }))
      const refused = yield* Effect.flip(store.add([task("fine"), ...tasks]))
      assert.ok(refused instanceof TasksRefused)
      assert.deepEqual(
        refused.refusals.map(({ problem, taskId }) => [taskId, problem]),
        invalid.map((_, index) => [`t${index}`, "InvalidPriority"])
      )
      assert.equal((yield* store.counts).pending, 0)
    })
  )
]
