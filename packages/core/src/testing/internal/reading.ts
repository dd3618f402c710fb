import * as assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ListQuery } from "../../TaskStore.ts"
import {
  type Case,
  claim,
  claimOne,
  complete,
  fail,
  id,
  ids,
  it,
  numbered,
  plainTask,
  settle,
  task,
  type Fixture
} from "./fixture.ts"

/** All pages of a query, each as ids. */
const pages = Effect.fnUntraced(function* ({ store }: Fixture, query: ListQuery) {
  const found: Array<ReadonlyArray<string>> = []
  let cursor: string | undefined
  do {
    const page = yield* store.list({ ...query, cursor })
    found.push(page.tasks.map((each) => each.id))
    cursor = page.next
  } while (cursor !== undefined)
  return found
})

export const reading: ReadonlyArray<Case> = [
  it(
    "an unknown task is not found, and has no attempts",
    Effect.fnUntraced(function* ({ store }) {
      assert.ok(Option.isNone(yield* store.get(id("nowhere"))))
      assert.deepEqual(yield* store.attempts(id("nowhere")), [])
    })
  ),
  it(
    "a task that was never claimed has no attempts",
    Effect.fnUntraced(function* ({ store }) {
      yield* store.add([task("a")])
      assert.deepEqual(yield* store.attempts(id("a")), [])
    })
  ),
  it(
    "counts are per status, and include waiting tasks",
    Effect.fnUntraced(function* (fixture) {
      const none = { pending: 0, in_progress: 0, in_review: 0, completed: 0, failed: 0, cancelled: 0, waiting: 0 }
      assert.deepEqual({ ...(yield* fixture.store.counts) }, none)
      yield* fixture.store.add([...numbered(6), task("waiting", { dependsOn: ["task-5"] })])
      assert.deepEqual({ ...(yield* fixture.store.counts) }, { ...none, pending: 7, waiting: 1 })
      const [first, second, third] = yield* claim(fixture, { limit: 4 })
      assert.ok(first && second && third)
      yield* settle(fixture, complete(first), complete(second), fail(third))
      yield* fixture.store.cancel({ ids: ids("task-4") })
      assert.deepEqual(
        { ...(yield* fixture.store.counts) },
        {
          pending: 2,
          in_progress: 1,
          in_review: 0,
          completed: 2,
          failed: 1,
          cancelled: 1,
          waiting: 1
        }
      )
      yield* fixture.store.prune({ statuses: ["completed", "failed", "cancelled"] })
      assert.deepEqual({ ...(yield* fixture.store.counts) }, { ...none, pending: 2, in_progress: 1, waiting: 1 })
    })
  ),
  it(
    "an empty store lists an empty page",
    Effect.fnUntraced(function* ({ store }) {
      const { next, tasks } = yield* store.list()
      assert.deepEqual([tasks, next], [[], undefined])
    })
  ),
  it(
    "tasks are listed in the order they were added, whatever their status",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("b"), task("urgent", { priority: 5 }), task("a")])
      yield* settle(fixture, complete(yield* claimOne(fixture)))
      yield* claimOne(fixture)
      const { next, tasks } = yield* fixture.store.list()
      assert.deepEqual(
        tasks.map((each) => [each.id, each.status]),
        [
          ["b", "in_progress"],
          ["urgent", "completed"],
          ["a", "pending"]
        ]
      )
      assert.equal(next, undefined)
      for (const listed of tasks) {
        assert.deepEqual(Option.map(yield* fixture.store.get(listed.id), plainTask), Option.some(plainTask(listed)))
      }
    })
  ),
  it(
    "a list without results has none, and differs in nothing else",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(numbered(5))
      const [first, second] = yield* claim(fixture, { limit: 3 })
      assert.ok(first && second)
      yield* settle(fixture, complete(first), fail(second))
      for (const query of [{}, { status: "completed" }, { text: "task" }] as const) {
        const { tasks } = yield* fixture.store.list(query)
        assert.ok(tasks.some(({ result }) => result !== undefined))
        const bare = yield* fixture.store.list({ ...query, results: false })
        assert.deepEqual(
          bare.tasks.map((each) => plainTask(each)),
          tasks.map((each) => plainTask({ ...each, result: undefined }))
        )
      }
    })
  ),
  it(
    "a page has a hundred tasks by default",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(numbered(150))
      assert.deepEqual(
        (yield* pages(fixture, {})).map((page) => page.length),
        [100, 50]
      )
    })
  ),
  it(
    "pages follow one another without gap or overlap, and the last one has no cursor",
    Effect.fnUntraced(function* (fixture) {
      const tasks = numbered(12)
      yield* fixture.store.add(tasks)
      const all = tasks.map((each) => each.id)
      const inFives = yield* pages(fixture, { limit: 5 })
      assert.deepEqual(inFives, [all.slice(0, 5), all.slice(5, 10), all.slice(10)])
      assert.deepEqual(yield* pages(fixture, { limit: 6 }), [all.slice(0, 6), all.slice(6)])
    })
  ),
  it(
    "tasks that are added, changed or deleted between two pages shift no others",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(numbered(6))
      const first = yield* fixture.store.list({ limit: 3 })
      assert.ok(first.next)
      const [done] = yield* claim(fixture, { limit: 2 })
      assert.ok(done)
      yield* settle(fixture, complete(done))
      yield* fixture.store.prune({ statuses: ["completed"] })
      yield* fixture.store.add([task("new", { priority: 9 })])
      const second = yield* fixture.store.list({ cursor: first.next })
      assert.deepEqual(
        second.tasks.map((each) => each.id),
        ["task-3", "task-4", "task-5", "new"]
      )
    })
  ),
  it(
    "a list can be limited to one status, page by page",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(numbered(10))
      const claims = yield* claim(fixture, { limit: 7 })
      yield* settle(fixture, ...claims.map((claimed, index) => (index % 2 === 0 ? complete(claimed) : fail(claimed))))
      assert.deepEqual(yield* pages(fixture, { status: "completed", limit: 2 }), [
        ["task-0", "task-2"],
        ["task-4", "task-6"]
      ])
      assert.deepEqual(yield* pages(fixture, { status: "failed" }), [["task-1", "task-3", "task-5"]])
      assert.deepEqual(yield* pages(fixture, { status: "pending" }), [["task-7", "task-8", "task-9"]])
      assert.deepEqual(yield* pages(fixture, { status: "cancelled" }), [[]])
    })
  )
]
