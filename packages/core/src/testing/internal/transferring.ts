import * as assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import type * as Scope from "effect/Scope"
import * as Execution from "../../Execution.ts"
import * as Task from "../../Task.ts"
import * as TaskRecord from "../../TaskRecord.ts"
import type { TaskStore } from "../../TaskStore.ts"
import { TasksRefused, TaskStoreError } from "../../TaskStoreError.ts"
import * as Verification from "../../Verification.ts"
import { inSeconds } from "./claiming.ts"
import { brokenText, texts } from "./text.ts"
import {
  type Case,
  claim,
  claimedIds,
  claimNew,
  claimOne,
  complete,
  execution,
  fail,
  find,
  id,
  ids,
  it,
  leaseOf,
  numbered,
  outcomes,
  patient,
  release,
  retry,
  settle,
  statusOf,
  task,
  usage,
  type Fixture
} from "./fixture.ts"

type Store = TaskStore["Service"]

/** See `plainTask`. */
export const plainRecord = Schema.encodeSync(TaskRecord.TaskRecord)

/** A record without the end of its lease, which does not come along. */
const lasting = (record: TaskRecord.TaskRecord) => {
  const { leaseUntil, ...rest } = plainRecord(record)
  return { ...rest, isLeased: leaseUntil !== undefined }
}

/** All records as plain data. */
export const contents = (store: Store) => Effect.map(dumpAll(store), (records) => records.map(lasting))

/** All records, a page at a time. */
export const dumpAll = Effect.fnUntraced(function* (store: Store, limit?: number) {
  const records: Array<TaskRecord.TaskRecord> = []
  let cursor: string | undefined
  do {
    const page = yield* store.dump({ limit, cursor })
    assert.ok(limit === undefined || page.records.length <= limit, "a page is no longer than its limit")
    records.push(...page.records)
    cursor = page.next
  } while (cursor !== undefined)
  return records
})

/** Moves everything into a new store, and compares the two. */
export const transfer = Effect.fnUntraced(function* (
  fixture: Fixture,
  arrange: (records: ReadonlyArray<TaskRecord.TaskRecord>) => ReadonlyArray<TaskRecord.TaskRecord> = (records) =>
    records
): Effect.fn.Return<Fixture, unknown, Scope.Scope> {
  const store = yield* fixture.another
  const records = arrange(yield* dumpAll(fixture.store))
  yield* store.restore(records)
  const byId = (left: { readonly task: { readonly id: string } }, right: typeof left) =>
    left.task.id < right.task.id ? -1 : 1
  assert.deepEqual((yield* contents(store)).sort(byId), (yield* contents(fixture.store)).sort(byId))
  assert.deepEqual({ ...(yield* store.counts) }, { ...(yield* fixture.store.counts) })
  return { ...fixture, store }
})

/** Restores records that have to be refused, and checks that nothing changed. */
const refused = Effect.fnUntraced(function* (
  store: TaskStore["Service"],
  records: ReadonlyArray<TaskRecord.TaskRecord>
): Effect.fn.Return<TasksRefused | TaskStoreError, unknown> {
  const before = yield* contents(store)
  const error = yield* Effect.flip(store.restore(records))
  assert.deepEqual(yield* contents(store), before)
  return error
})

const only = <A>(items: ReadonlyArray<A>): A => {
  const [first] = items
  assert.ok(first !== undefined && items.length === 1, "there is exactly one")
  return first
}

export const transferring: ReadonlyArray<Case> = [
  it(
    "an empty store dumps no records, and restoring no records changes nothing",
    Effect.fnUntraced(function* ({ store }) {
      const { next, records } = yield* store.dump()
      assert.deepEqual([records, next], [[], undefined])
      yield* store.restore([])
      assert.deepEqual((yield* store.list()).tasks, [])
    })
  ),
  it(
    "a dump contains everything the store knows about a task",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("dependency"), task("a", { dependsOn: ["dependency"], priority: 3 })])
      yield* settle(fixture, retry(yield* claimOne(fixture), { output: "not yet" }))
      const saved = execution("saved")
      yield* fixture.store.checkpoint([{ ...leaseOf(yield* claimOne(fixture)), execution: saved, usage: usage(7) }])
      const [first, second] = yield* dumpAll(fixture.store)
      assert.ok(first?.leaseUntil && second)
      assert.deepEqual(
        Struct.omit(plainRecord(first), ["leaseUntil"]),
        plainRecord({
          task: yield* find(fixture, "dependency"),
          token: 2,
          waitsFor: [],
          checkpoint: saved,
          previousOutput: "not yet",
          attempts: yield* fixture.store.attempts(id("dependency"))
        })
      )
      assert.deepEqual(
        plainRecord(second),
        plainRecord({
          task: yield* find(fixture, "a"),
          token: 0,
          waitsFor: ids("dependency"),
          attempts: []
        })
      )
    })
  ),
  it(
    "tasks of every status are transferred unchanged, with their history",
    Effect.fnUntraced(function* (fixture) {
      const metadata = { kind: "x", deep: [1, { "": null }] }
      const verdict = Verification.reject("Too short.", { confidence: 0.25, issues: ["short"], usage: usage(3, null) })
      const unmetered = Execution.make({ output: "", metadata: { exit: 1 } })
      yield* settle(fixture, {
        ...complete(yield* claimNew(fixture, "verified")),
        attemptUsage: usage(8),
        usage: usage(9)
      })
      yield* settle(fixture, {
        ...complete(yield* claimNew(fixture, "unverified"), ""),
        verified: false,
        verification: undefined
      })
      yield* settle(fixture, {
        ...fail(yield* claimNew(fixture, "failed")),
        execution: unmetered,
        verification: verdict
      })
      yield* settle(fixture, release(yield* claimNew(fixture, "released")))
      const [again] = yield* claim(fixture, { owner: "second worker" })
      assert.ok(again)
      yield* fixture.store.checkpoint([{ ...leaseOf(again), execution: execution("saved"), usage: usage(7) }])
      yield* fixture.store.cancel({ ids: ids("released") })
      yield* fixture.store.requeue({ ids: ids("released") })
      yield* settle(fixture, retry(yield* claimOne(fixture), { output: "so so", delay: fixture.seconds(60) }))
      yield* claimNew(fixture, "crashed", fixture.seconds(1))
      yield* fixture.advance(2)
      yield* fixture.store.sweep(patient)
      yield* settle(fixture, fail(yield* claimOne(fixture), { checkpoint: execution("unjudged") }))
      yield* claimNew(fixture, "running")
      yield* fixture.store.add([
        task("pending", { metadata, priority: -7 }),
        task("later", { availableAt: yield* inSeconds(fixture, 1000) }),
        task("waiting", { dependsOn: ["pending", "failed", "verified"] })
      ])
      const there = yield* transfer(fixture)
      assert.deepEqual(yield* outcomes(there, "released"), ["released", "cancelled", "retried"])
    })
  ),
  it(
    "records are dumped in pages, in the order of adding, and restored in that order",
    Effect.fnUntraced(function* (fixture) {
      const names = numbered(250).map((added) => added.id)
      yield* fixture.store.add(numbered(250))
      yield* settle(fixture, ...(yield* claim(fixture, { limit: 3 })).map((claimed) => complete(claimed)))
      const records = yield* dumpAll(fixture.store, 40)
      assert.deepEqual(
        records.map((record) => record.task.id),
        names
      )
      assert.equal((yield* fixture.store.dump()).records.length, 100)
      const store = yield* fixture.another
      for (let from = 0; from < records.length; from += 40) yield* store.restore(records.slice(from, from + 40))
      const listed = yield* store.list({ limit: 1000 })
      assert.deepEqual(
        listed.tasks.map((each) => each.id),
        names
      )
      yield* store.add([task("new")])
      assert.equal((yield* store.list({ limit: 1000 })).tasks.at(-1)?.id, "new")
    })
  ),
  it(
    "restored tasks are claimed in the order in which they would have been",
    Effect.fnUntraced(function* (fixture) {
      yield* settle(fixture, retry(yield* claimNew(fixture, "retried"), { delay: fixture.seconds(2) }))
      yield* fixture.advance(1)
      yield* fixture.store.add([task("a"), task("urgent", { priority: 1 }), task("b")])
      yield* fixture.advance(2)
      const there = yield* transfer(fixture)
      assert.deepEqual(claimedIds(yield* claim(there)), ["urgent", "retried", "a", "b"])
    })
  ),
  it(
    "a restored task is fenced: stale tokens stay stale, and the next claim gets a new token",
    Effect.fnUntraced(function* (fixture) {
      const first = yield* claimNew(fixture, "a")
      yield* settle(fixture, retry(first))
      const second = yield* claimOne(fixture)
      yield* settle(fixture, release(second))
      const there = yield* transfer(fixture)
      const stale = (claimed: typeof first, status: Task.TaskStatus) => ({ lost: [{ ...leaseOf(claimed), status }] })
      assert.deepEqual(yield* there.store.settle([complete(second)]), stale(second, "pending"))
      const third = yield* claimOne(there)
      assert.equal(third.token, 3)
      assert.deepEqual(yield* there.store.settle([complete(first)]), stale(first, "in_progress"))
      assert.deepEqual(
        yield* there.store.checkpoint([{ ...leaseOf(second), execution: execution("late") }]),
        stale(second, "in_progress")
      )
      yield* settle(there, complete(third))
      assert.deepEqual(yield* outcomes(there, "a"), ["retried", "released", "completed"])
    })
  ),
  it(
    "the next claim of a restored task returns its checkpoint, feedback and previous output",
    Effect.fnUntraced(function* (fixture) {
      const judgeless = { output: "unjudged", checkpoint: execution("unjudged"), feedback: "The judge was out." }
      yield* settle(fixture, retry(yield* claimNew(fixture, "a"), judgeless))
      const claimed = yield* claimOne(yield* transfer(fixture))
      assert.deepEqual(claimed.checkpoint, execution("unjudged"))
      assert.equal(claimed.previousOutput, "unjudged")
      assert.equal(claimed.task.feedback, "The judge was out.")
      assert.equal(claimed.task.attempts, 2)
    })
  ),
  it(
    "a restored task that was in progress is swept, and keeps its checkpoint",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "a")
      yield* fixture.store.checkpoint([{ ...leaseOf(claimed), execution: execution("saved"), usage: usage(7) }])
      const there = yield* transfer(fixture)
      assert.equal(yield* statusOf(there, "a"), "in_progress")
      assert.equal(yield* there.store.awaitWork({ untilDrained: true }), "claimable")
      const swept = only(yield* there.store.sweep(patient))
      assert.deepEqual(swept, { ...leaseOf(claimed), status: "pending", owner: "worker", attempts: 1, started: true })
      const next = yield* claimOne(there)
      assert.deepEqual(next.checkpoint, execution("saved"))
      assert.equal(next.token, 2)
      assert.deepEqual(yield* outcomes(there, "a"), ["lease_expired", "running"])
      assert.equal(yield* statusOf(fixture, "a"), "in_progress", "the store it came from is as it was")
    })
  ),
  it(
    "a dump says when the lease of a running task ends",
    Effect.fnUntraced(function* (fixture) {
      const lease = fixture.seconds(100)
      yield* claimNew(fixture, "a", lease)
      const before = only(yield* dumpAll(fixture.store)).leaseUntil
      yield* fixture.advance(1)
      yield* fixture.store.extend(
        [{ taskId: id("a"), token: only(yield* fixture.store.attempts(id("a"))).token }],
        lease
      )
      const after = only(yield* dumpAll(fixture.store)).leaseUntil
      assert.ok(before && after && after.epochMilliseconds > before.epochMilliseconds)
    })
  ),
  it(
    "an existing id refuses the whole call, whatever its task",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a"), task("b"), task("c")])
      const records = yield* dumpAll(fixture.store)
      const store = yield* fixture.another
      yield* store.add([task("b"), Task.makeNew({ id: "c", description: "Something else." })])
      const error = yield* refused(store, records)
      assert.ok(error instanceof TasksRefused)
      assert.deepEqual(
        error.refusals.map(({ problem, taskId }) => [taskId, problem]),
        [
          ["b", "IdInUse"],
          ["c", "IdInUse"]
        ]
      )
    })
  ),
  it(
    "an id that occurs twice refuses the whole call",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a"), task("b")])
      const records = yield* dumpAll(fixture.store)
      const error = yield* refused(yield* fixture.another, [...records, ...records.slice(1)])
      assert.ok(error instanceof TasksRefused)
      assert.equal(only(error.refusals).taskId, "b")
    })
  ),
  it(
    "a record that contradicts itself refuses the whole call, with the reason",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a")])
      yield* settle(fixture, complete(yield* claimOne(fixture)))
      yield* fixture.store.add([task("b"), task("c")])
      const [completed, pending, flawless] = yield* dumpAll(fixture.store)
      assert.ok(completed && pending && flawless)
      const there = yield* fixture.another
      for (const wrong of [
        { ...completed, attempts: [] },
        { ...completed, task: { ...completed.task, result: "another" } },
        { ...completed, task: { ...completed.task, status: "failed", result: undefined } } as const,
        { ...pending, attempts: completed.attempts },
        { ...pending, token: 1, task: { ...pending.task, status: "in_progress" } } as const,
        { ...pending, waitsFor: ids("a") },
        { ...pending, previousOutput: "from nowhere" }
      ]) {
        const error: TasksRefused | TaskStoreError = yield* refused(there, [flawless, wrong])
        assert.ok(error instanceof TaskStoreError)
        assert.equal(error.reason, "Unusable")
        assert.ok(error.message.includes(`"${wrong.task.id}"`), `"${error.message}" names the task`)
      }
    })
  ),
  it(
    "a dependant can be restored before its dependency",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a"), task("b", { dependsOn: ["a"] })])
      const there = yield* transfer(fixture, (records) => records.toReversed())
      assert.deepEqual(claimedIds(yield* claim(there)), ["a"])
      assert.equal((yield* there.store.counts).waiting, 1)
    })
  ),
  it(
    "a dependant becomes claimable when its dependency completes, or is restored as completed in a later call",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a"), task("b"), task("c", { dependsOn: ["a", "b"] })])
      const before = yield* dumpAll(fixture.store)
      const [a, b] = yield* claim(fixture)
      assert.ok(a && b)
      yield* settle(fixture, complete(a))
      const after = yield* dumpAll(fixture.store)
      const there = { ...fixture, store: yield* fixture.another }
      yield* there.store.restore(before.slice(2))
      yield* there.store.restore(before.slice(1, 2))
      yield* settle(there, complete(yield* claimOne(there)))
      assert.equal((yield* there.store.counts).waiting, 1)
      yield* there.store.restore(after.slice(0, 1))
      assert.equal((yield* there.store.counts).waiting, 0)
      assert.deepEqual(claimedIds(yield* claim(there)), ["c"])
    })
  ),
  it(
    "a dependant of a task that has completed in the target store does not wait for it",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a"), task("b", { dependsOn: ["a"] })])
      const records = yield* dumpAll(fixture.store)
      const there = { ...fixture, store: yield* fixture.another }
      yield* settle(there, complete(yield* claimNew(there, "a")))
      yield* there.store.restore(records.slice(1))
      assert.deepEqual(claimedIds(yield* claim(there)), ["b"])
    })
  ),
  it(
    "after a transfer, a dependency that completed and was pruned blocks no task, and one that never completed does",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([
        task("done"),
        task("lost"),
        task("b", { dependsOn: ["done"] }),
        task("c", { dependsOn: ["lost"] })
      ])
      const [done, lost] = yield* claim(fixture)
      assert.ok(done && lost)
      yield* settle(fixture, complete(done), fail(lost))
      // A task that a pending task waits for is not pruned.
      yield* fixture.store.cancel({ ids: ids("c") })
      yield* fixture.store.prune({ statuses: ["completed", "failed"] })
      yield* fixture.store.requeue({ ids: ids("c") })
      const there = yield* transfer(fixture)
      assert.deepEqual(claimedIds(yield* claim(there)), ["b"])
      assert.equal((yield* there.store.counts).waiting, 1)
      yield* settle(there, complete(yield* claimNew(there, "lost")))
      assert.deepEqual(claimedIds(yield* claim(there)), ["c"])
    })
  ),
  it(
    "restoring wakes waiting workers",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a")])
      const records = yield* dumpAll(fixture.store)
      const there = yield* fixture.another
      const waiting = yield* Effect.forkChild(there.awaitWork({ untilDrained: false }), { startImmediately: true })
      yield* there.restore(records)
      assert.equal(yield* Fiber.join(waiting), "claimable")
    })
  ),
  it(
    "tasks can be pruned and requeued after a transfer",
    Effect.fnUntraced(function* (fixture) {
      yield* settle(fixture, fail(yield* claimNew(fixture, "a"), { output: "nothing useful" }))
      yield* settle(fixture, complete(yield* claimNew(fixture, "b")))
      const there = yield* transfer(fixture)
      assert.equal(yield* there.store.prune({ statuses: ["completed"] }), 1)
      assert.deepEqual(yield* there.store.requeue({ status: "failed" }), ["a"])
      assert.equal((yield* claimOne(there)).previousOutput, "nothing useful")
    })
  ),
  ...texts.map(([what, text]) =>
    it(`text with ${what} is transferred as it was`, (fixture) => transferText(fixture, text))
  ),
  it("text with half of a surrogate pair is transferred unchanged", (fixture) => transferText(fixture, brokenText))
]

/** Sends a text through every place of a record. */
const transferText = Effect.fnUntraced(function* (fixture: Fixture, text: string) {
  const metadata = { [`key ${text}`]: text }
  const name = `id ${text}`
  yield* fixture.store.add([Task.makeNew({ id: name, description: text, metadata })])
  const output = Execution.make({ output: text, metadata })
  const verification = Verification.reject(text, { issues: [text] })
  const first = yield* claimOne(fixture, { owner: `worker ${text}` })
  yield* settle(fixture, { ...retry(first, { feedback: text, checkpoint: output }), execution: output, verification })
  yield* fixture.store.add([Task.makeNew({ id: "behind", description: "Wait.", dependsOn: [name] })])
  const there = yield* transfer(fixture)
  const second = yield* claimOne(there)
  assert.deepEqual(second.checkpoint, output)
  yield* settle(there, { ...complete(second), execution: output })
  const further = yield* transfer(there)
  assert.equal((yield* find(further, name)).result, text)
  assert.deepEqual(claimedIds(yield* claim(further)), ["behind"])
})
