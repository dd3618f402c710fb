import * as assert from "node:assert/strict"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { makeNew } from "../../Task.ts"
import type { RecordPage } from "../../TaskStore.ts"
import { TasksRefused } from "../../TaskStoreError.ts"
import {
  type Case,
  claimedIds,
  complete,
  fail,
  find,
  type Fixture,
  id,
  ids,
  it,
  longLease,
  numbered,
  settle,
  statusOf,
  task,
  usage
} from "./fixture.ts"
import { compareUsage, reportedUsage } from "./usage.ts"

const claimFrom = (
  { store }: Pick<Fixture, "store">,
  queues: ReadonlyArray<string>,
  options?: { limit?: number; lease?: Duration.Duration }
) => store.claim({ queues, limit: options?.limit ?? 100, owner: "worker", lease: options?.lease ?? longLease })

const policy = { maxAttempts: 3, onCrash: "retry" } as const

const inQueue = (queue: string, ...names: ReadonlyArray<string>) => names.map((name) => task(name, { queue }))

const refusalsOf = <A>(effect: Effect.Effect<A, unknown>) =>
  Effect.flip(effect).pipe(
    Effect.map((error) => {
      assert.ok(error instanceof TasksRefused)
      return error.refusals.map(({ problem, taskId }) => [taskId, problem])
    })
  )

const nothing = {
  pending: 0,
  in_progress: 0,
  in_review: 0,
  completed: 0,
  failed: 0,
  cancelled: 0,
  waiting: 0
}

export const queues: ReadonlyArray<Case> = [
  it(
    "a task that names no queue is in the queue default",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a"), task("b", { queue: "default" }), task("c", { queue: "other" })])
      assert.equal((yield* find(fixture, "a")).queue, "default")
      assert.equal((yield* find(fixture, "c")).queue, "other")
      assert.deepEqual(claimedIds(yield* fixture.store.claim({ limit: 10, owner: "worker", lease: longLease })), [
        "a",
        "b"
      ])
    })
  ),
  it(
    "a claim takes tasks of the queues it names, and of no other",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([
        ...inQueue("letters", "a", "b"),
        ...inQueue("numbers", "1", "2"),
        ...inQueue("signs", "+")
      ])
      const letters = yield* claimFrom(fixture, ["letters"])
      assert.deepEqual(claimedIds(letters), ["a", "b"])
      assert.deepEqual(
        letters.map((each) => each.task.queue),
        ["letters", "letters"]
      )
      assert.deepEqual(yield* claimFrom(fixture, ["letters", "unknown"]), [])
      assert.deepEqual(claimedIds(yield* claimFrom(fixture, ["numbers", "signs"])).toSorted(), ["+", "1", "2"])
    })
  ),
  it(
    "queues with unusual names are kept apart",
    Effect.fnUntraced(function* (fixture) {
      const names = [
        "A",
        "a",
        "a ",
        "ä",
        "a/b",
        "a:b",
        "{a}",
        "a'b",
        "a%",
        "a_",
        "prompts.csv",
        "队列",
        "x".repeat(100)
      ]
      yield* fixture.store.add(names.map((queue, index) => task(`task-${index}`, { queue })))
      for (const [index, queue] of names.entries()) {
        assert.deepEqual(claimedIds(yield* claimFrom(fixture, [queue])), [`task-${index}`])
      }
    })
  ),
  it(
    "within a queue, tasks with a higher priority are claimed first",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([
        task("low", { queue: "q", priority: -1 }),
        task("urgent elsewhere", { queue: "other", priority: 99 }),
        task("normal", { queue: "q" }),
        task("high", { queue: "q", priority: 10 })
      ])
      assert.deepEqual(claimedIds(yield* claimFrom(fixture, ["q"])), ["high", "normal", "low"])
    })
  ),
  it(
    "several queues take turns, however many tasks one of them has",
    Effect.fnUntraced(function* (fixture) {
      // Turns start again whenever a store is opened.
      const store = yield* fixture.another
      yield* store.add([...numbered(50), ...inQueue("small", "s1", "s2", "s3")])
      const taken: Array<string> = []
      for (let round = 0; round < 8; round++) {
        const claims = yield* claimFrom({ store }, ["default", "small"], { limit: 1 })
        taken.push(...claims.map((each) => each.task.queue))
      }
      assert.equal(taken.length, 8)
      assert.equal(taken.slice(0, 6).filter((queue) => queue === "small").length, 3)
    })
  ),
  it(
    "a claim from several queues fills its limit from all of them",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([...inQueue("a", "a1", "a2"), ...inQueue("b", "b1", "b2"), ...inQueue("c", "c1", "c2")])
      assert.equal((yield* claimFrom(fixture, ["a", "b", "c", "a"], { limit: 5 })).length, 5)
      assert.equal((yield* claimFrom(fixture, ["a", "b", "c"], { limit: 5 })).length, 1)
    })
  ),
  it(
    "a task waits for a dependency in another queue",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([
        task("map", { queue: "maps" }),
        task("reduce", { queue: "reduces", dependsOn: ["map"] })
      ])
      assert.deepEqual(yield* claimFrom(fixture, ["reduces"]), [])
      const [map] = yield* claimFrom(fixture, ["maps"])
      assert.ok(map)
      yield* settle(fixture, complete(map))
      assert.deepEqual(claimedIds(yield* claimFrom(fixture, ["reduces"])), ["reduce"])
    })
  ),
  it(
    "an id belongs to one task in one queue",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(inQueue("here", "a"))
      assert.equal((yield* fixture.store.add(inQueue("here", "a"))).existing, 1)
      const refused = fixture.store.add([...inQueue("there", "a"), task("new")])
      assert.deepEqual(yield* refusalsOf(refused), [["a", "IdInUse"]])
      assert.deepEqual(yield* refusalsOf(fixture.store.add([...inQueue("x", "b"), ...inQueue("y", "b")])), [
        ["b", "IdInUse"]
      ])
      assert.deepEqual(yield* fixture.store.queues, [{ queue: "here", ...nothing, pending: 1 }])
    })
  ),
  it(
    "counts are those of all queues together, and of each queue by name",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([
        ...inQueue("b", "b1", "b2", "b3"),
        ...inQueue("a", "a1"),
        task("a2", { queue: "a", dependsOn: ["a1"] })
      ])
      const [first, second] = yield* claimFrom(fixture, ["b"], { limit: 2 })
      assert.ok(first && second)
      yield* settle(fixture, complete(first), fail(second))
      yield* claimFrom(fixture, ["a"])
      assert.deepEqual(yield* fixture.store.queues, [
        { queue: "a", ...nothing, pending: 1, in_progress: 1, waiting: 1 },
        { queue: "b", ...nothing, pending: 1, completed: 1, failed: 1 }
      ])
      assert.deepEqual(yield* fixture.store.counts, {
        pending: 2,
        in_progress: 1,
        in_review: 0,
        completed: 1,
        failed: 1,
        cancelled: 0,
        waiting: 1
      })
    })
  ),
  it(
    "each queue has its own usage",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a", { queue: "one" }), task("b", { queue: "two" }), task("c")])
      const claims = yield* claimFrom(fixture, ["one", "two"], { limit: 3 })
      for (const claimed of claims) {
        yield* settle(fixture, { ...complete(claimed), usage: usage(claimed.task.queue === "one" ? 1 : 2) })
      }
      assert.deepEqual(
        yield* reportedUsage(fixture),
        new Map<string, unknown>([
          ["default", undefined],
          ["one", usage(1)],
          ["two", usage(2)]
        ])
      )
      yield* fixture.store.prune({ statuses: ["completed"], queue: "one" })
      yield* compareUsage(fixture)
    })
  ),
  it(
    "a queue whose tasks were pruned is gone",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([...inQueue("a", "a1"), ...inQueue("b", "b1")])
      yield* fixture.store.cancel({ status: "pending" })
      assert.equal(yield* fixture.store.prune({ statuses: ["cancelled"], queue: "a" }), 1)
      assert.deepEqual(yield* fixture.store.queues, [{ queue: "b", ...nothing, cancelled: 1 }])
    })
  ),
  it(
    "a list contains the tasks of one queue, a page at a time, with one status or all",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([...inQueue("a", "a1", "a2"), ...inQueue("b", "b1"), ...inQueue("a", "a3", "a4")])
      yield* fixture.store.cancel({ ids: ids("a2", "b1") })
      const namesOf = (query: Parameters<Fixture["store"]["list"]>[0]) =>
        Effect.map(fixture.store.list(query), ({ tasks }) => tasks.map((each) => each.id))
      assert.deepEqual(yield* namesOf({ queue: "a" }), ["a1", "a2", "a3", "a4"])
      assert.deepEqual(yield* namesOf({ queue: "a", status: "pending" }), ["a1", "a3", "a4"])
      assert.deepEqual(yield* namesOf({ queue: "b", status: "pending" }), [])
      assert.deepEqual(yield* namesOf({ queue: "unknown" }), [])
      const first = yield* fixture.store.list({ queue: "a", status: "pending", limit: 2 })
      assert.ok(first.next)
      assert.deepEqual(yield* namesOf({ queue: "a", status: "pending", limit: 2, cursor: first.next }), ["a4"])
    })
  ),
  it(
    "a list is filtered by text, metadata and time of the last change",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([
        task("report-1", { metadata: { team: "blue", size: 1 } }),
        task("Report-2", { metadata: { team: "red" } }),
        task("other", { metadata: { team: "blue", tags: ["x"] } })
      ])
      yield* fixture.advance(1)
      const since = DateTime.makeUnsafe(yield* Clock.currentTimeMillis)
      yield* fixture.advance(1)
      yield* fixture.store.cancel({ ids: ids("other") })
      const namesOf = (query: Parameters<Fixture["store"]["list"]>[0]) =>
        Effect.map(fixture.store.list(query), ({ tasks }) => tasks.map((each) => each.id))
      assert.deepEqual(yield* namesOf({ text: "report" }), ["report-1", "Report-2"])
      assert.deepEqual(yield* namesOf({ text: "do OTHER" }), ["other"])
      assert.deepEqual(yield* namesOf({ metadata: { team: "blue" } }), ["report-1", "other"])
      assert.deepEqual(yield* namesOf({ metadata: { team: "blue", size: 1 } }), ["report-1"])
      assert.deepEqual(yield* namesOf({ metadata: { tags: ["x"] } }), ["other"])
      assert.deepEqual(yield* namesOf({ updatedSince: since }), ["other"])
      const first = yield* fixture.store.list({ text: "report", limit: 1 })
      assert.deepEqual(
        first.tasks.map((each) => each.id),
        ["report-1"]
      )
      assert.ok(first.next)
      assert.deepEqual(yield* namesOf({ text: "report", limit: 1, cursor: first.next }), ["Report-2"])
    })
  ),
  it(
    "a search ignores the case of letters in every script, and takes other characters as they are",
    Effect.fnUntraced(function* (fixture) {
      const texts = {
        finnish: "Hyv\u00c4\u00c4 P\u00c4IV\u00c4\u00c4",
        greek: "\u039f\u0394\u039f\u03a3",
        chinese: "\u4f60\u597d, world",
        pattern: "100%_\\ of it's",
        half: "half of a pair: \ud83d, and \u0000",
        kelvin: "300 \u212a"
      }
      yield* fixture.store.add(Object.entries(texts).map(([id, description]) => makeNew({ id, description })))
      yield* fixture.store.cancel({ ids: ids("finnish") })
      const found = (text: string, status?: "pending" | "cancelled") =>
        Effect.map(fixture.store.list({ text, status }), ({ tasks }) => tasks.map((each) => each.id))
      assert.deepEqual(yield* found("p\u00e4iv\u00e4\u00e4"), ["finnish"])
      assert.deepEqual(yield* found("hyv\u00e4\u00e4", "cancelled"), ["finnish"])
      assert.deepEqual(yield* found("hyv\u00e4\u00e4", "pending"), [])
      assert.deepEqual(yield* found("\u00e4\u00e4"), ["finnish"])
      assert.deepEqual(yield* found("\u03bf\u03b4"), ["greek"])
      assert.deepEqual(yield* found("\u4f60\u597d, WORLD"), ["chinese"])
      assert.deepEqual(yield* found("%_\\ OF IT'S"), ["pattern"])
      assert.deepEqual(yield* found("%of"), [])
      assert.deepEqual(yield* found("pair: \ud83d, and \u0000"), ["half"])
      assert.deepEqual(yield* found("300 k"), [])
      assert.deepEqual(yield* found("300 \u212a"), ["kelvin"])
      assert.equal((yield* found("")).length, Object.keys(texts).length)
    })
  ),
  it(
    "tasks are selected by their status within a queue",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([...inQueue("a", "a1", "a2"), ...inQueue("b", "b1")])
      assert.deepEqual(yield* fixture.store.cancel({ status: "pending", queue: "a" }), ["a1", "a2"])
      assert.equal(yield* statusOf(fixture, "b1"), "pending")
      yield* fixture.store.cancel({ status: "pending" })
      assert.deepEqual(yield* fixture.store.requeue({ status: "cancelled", queue: "b" }), ["b1"])
      assert.equal(yield* fixture.store.prune({ statuses: ["cancelled"], queue: "b" }), 0)
      assert.equal(yield* fixture.store.prune({ statuses: ["cancelled"], queue: "a" }), 2)
    })
  ),
  it(
    "the records of one queue are read page by page, without those of others",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([
        ...inQueue("a", "a1", "a2"),
        ...inQueue("b", "b1"),
        ...inQueue("a", "a3"),
        ...inQueue("c", "c1")
      ])
      const [first] = yield* claimFrom(fixture, ["a"], { limit: 1 })
      assert.ok(first)
      yield* settle(fixture, complete(first))
      const found: Array<string> = []
      let cursor: string | undefined
      do {
        const page: RecordPage = yield* fixture.store.dump({ queue: "a", limit: 2, cursor })
        found.push(...page.records.map(({ attempts, task }) => `${task.id} ${attempts.length}`))
        cursor = page.next
      } while (cursor !== undefined)
      assert.deepEqual(found, ["a1 1", "a2 0", "a3 0"])
      assert.deepEqual((yield* fixture.store.dump({ queue: "none" })).records, [])
      assert.equal((yield* fixture.store.dump()).records.length, 5)
    })
  ),
  it(
    "only the queues that a sweep names are swept",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([...inQueue("a", "a1"), ...inQueue("b", "b1")])
      yield* claimFrom(fixture, ["a", "b"], { lease: fixture.seconds(1) })
      yield* fixture.advance(2)
      const swept = yield* fixture.store.sweep({ ...policy, queues: ["b", "unknown"] })
      assert.deepEqual(
        swept.map(({ taskId }) => taskId),
        ["b1"]
      )
      assert.equal(yield* statusOf(fixture, "a1"), "in_progress")
      assert.equal((yield* fixture.store.sweep({ ...policy, queues: ["a", "b"] })).length, 1)
    })
  ),
  it(
    "a queue is drained when nothing of it is left, whatever other queues have",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([...inQueue("busy", "b1", "b2"), ...inQueue("done", "d1")])
      const [claimed] = yield* claimFrom(fixture, ["done"])
      assert.ok(claimed)
      yield* settle(fixture, complete(claimed))
      assert.equal(yield* fixture.store.awaitWork({ queues: ["done"], untilDrained: true }), "drained")
      assert.equal(yield* fixture.store.awaitWork({ queues: ["done", "empty"], untilDrained: true }), "drained")
      assert.equal(yield* fixture.store.awaitWork({ queues: ["done", "busy"], untilDrained: true }), "claimable")
    })
  ),
  it(
    "a fiber that waits for work in a queue returns when a task is added to it",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(inQueue("other", "o1"))
      const waiting = yield* Effect.forkChild(fixture.store.awaitWork({ queues: ["q"], untilDrained: false }), {
        startImmediately: true
      })
      yield* fixture.store.add(inQueue("q", "a"))
      assert.equal(yield* Fiber.join(waiting), "claimable")
    }),
    { inOneSession: true }
  ),
  it(
    "a payload is what identifies the work of a task, and comes back as it was added",
    Effect.fnUntraced(function* (fixture) {
      const payload = { url: "https://example.com/ä?x='1'", pages: [1, 2.5, null], nested: { "a b": true } }
      yield* fixture.store.add([task("a", { payload }), task("text", { payload: "only text" }), task("none")])
      assert.deepEqual((yield* find(fixture, "a")).payload, payload)
      assert.deepEqual((yield* find(fixture, "text")).payload, "only text")
      assert.equal((yield* find(fixture, "none")).payload, undefined)
      const again = yield* fixture.store.add([{ ...task("a", { payload }), description: "A new wording." }])
      assert.deepEqual(again, { added: [], existing: 1, different: ["a"] })
      const others = fixture.store.add([
        task("a", { payload: { ...payload, pages: [] } }),
        task("text"),
        task("none", { payload: 1 })
      ])
      assert.deepEqual((yield* refusalsOf(others)).toSorted(), [
        ["a", "IdInUse"],
        ["none", "IdInUse"],
        ["text", "IdInUse"]
      ])
      const claims = yield* fixture.store.claim({ limit: 1, owner: "worker", lease: longLease })
      assert.deepEqual(claims[0]?.task.payload, payload)
    })
  ),
  it(
    "the overrides of a task come back as they were added, and its own limit of attempts is obeyed by a sweep",
    Effect.fnUntraced(function* (fixture) {
      const overrides = { maxAttempts: 1, executionTimeoutMillis: 5, retryDelayMillis: 0, model: "m", system: "s" }
      yield* fixture.store.add([
        task("once", { overrides }),
        task("often", { overrides: { maxAttempts: 9 } }),
        task("usual")
      ])
      assert.deepEqual((yield* find(fixture, "once")).overrides, overrides)
      assert.deepEqual((yield* find(fixture, "usual")).overrides, {})
      const claims = yield* fixture.store.claim({ limit: 9, owner: "worker", lease: fixture.seconds(1) })
      assert.deepEqual(claims[0]?.task.overrides, overrides)
      yield* fixture.advance(2)
      yield* fixture.store.sweep({ maxAttempts: 1, onCrash: "retry" })
      const statuses = yield* Effect.forEach(["once", "often", "usual"], (name) => statusOf(fixture, name))
      assert.deepEqual(statuses, ["failed", "pending", "failed"])
      yield* fixture.store.claim({ limit: 9, owner: "worker", lease: fixture.seconds(1) })
      yield* fixture.advance(2)
      yield* fixture.store.sweep({ maxAttempts: 5, onCrash: "dead-letter" })
      assert.equal(yield* statusOf(fixture, "often"), "failed")
    })
  ),
  it(
    "queue, payload and overrides move to another store",
    Effect.fnUntraced(function* (fixture) {
      const moved = task("a", { queue: "q", payload: { n: 1 }, overrides: { maxAttempts: 1 } })
      yield* fixture.store.add([moved, task("b")])
      const { records } = yield* fixture.store.dump()
      const other = yield* fixture.another
      yield* other.restore(records)
      assert.deepEqual(yield* other.dump(), yield* fixture.store.dump())
      const [claimed] = yield* other.claim({ queues: ["q"], limit: 9, owner: "worker", lease: fixture.seconds(1) })
      assert.equal(claimed?.task.id, id("a"))
      yield* fixture.advance(2)
      yield* other.sweep({ ...policy, queues: ["q"] })
      assert.deepEqual(yield* other.queues, [
        { queue: "default", ...nothing, pending: 1 },
        { queue: "q", ...nothing, failed: 1 }
      ])
    })
  )
]
