import * as assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Execution from "../../Execution.ts"
import * as Task from "../../Task.ts"
import type * as TaskRecord from "../../TaskRecord.ts"
import type { TaskStore } from "../../TaskStore.ts"
import { TasksRefused, TaskStoreError } from "../../TaskStoreError.ts"
import * as Verification from "../../Verification.ts"
import { inSeconds } from "./claiming.ts"
import { brokenText, texts } from "./text.ts"
import { contents, dumpAll, plainRecord, transfer } from "./transfer.ts"
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

/** Restores what has to be refused, and makes sure that nothing came of it. */
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
    "an empty store dumps nothing, and restoring nothing is nothing",
    Effect.fnUntraced(function* ({ store }) {
      assert.deepEqual(yield* store.dump(), { records: [], next: null })
      yield* store.restore([])
      assert.deepEqual(yield* store.list(), { tasks: [], next: null })
    })
  ),
  it(
    "a dump has what the store tells of a task",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("dependency"), task("a", { dependsOn: ["dependency"], priority: 3 })])
      yield* settle(fixture, retry(yield* claimOne(fixture), { output: "not yet" }))
      const saved = execution("saved")
      yield* fixture.store.checkpoint([{ ...leaseOf(yield* claimOne(fixture)), execution: saved, usage: usage(7) }])
      const [first, second] = yield* dumpAll(fixture.store)
      assert.ok(first?.leaseUntil && second)
      assert.deepEqual(
        { ...plainRecord(first), leaseUntil: null },
        plainRecord({
          task: yield* find(fixture, "dependency"),
          token: 2,
          leaseUntil: null,
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
          leaseUntil: null,
          waitsFor: ids("dependency"),
          checkpoint: null,
          previousOutput: null,
          attempts: []
        })
      )
    })
  ),
  it(
    "tasks of every kind come through as they were, with their history",
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
        verification: null
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
    "records come in pages, in the order of adding, and are restored in it",
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
      assert.deepEqual(claimedIds(yield* claim(there)), ["urgent", "a", "b", "retried"])
    })
  ),
  it(
    "a restored task is fenced: tokens that were stale stay so, and the next claim gets a new one",
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
        yield* there.store.checkpoint([{ ...leaseOf(second), execution: execution("late"), usage: null }]),
        stale(second, "in_progress")
      )
      yield* settle(there, complete(third))
      assert.deepEqual(yield* outcomes(there, "a"), ["retried", "released", "completed"])
    })
  ),
  it(
    "a restored task brings its checkpoint, its feedback and its previous output to the next claim",
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
    "a task that was in progress is taken back by the next sweep, with what it had saved",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "a")
      yield* fixture.store.checkpoint([{ ...leaseOf(claimed), execution: execution("saved"), usage: usage(7) }])
      const there = yield* transfer(fixture)
      assert.equal(yield* statusOf(there, "a"), "in_progress")
      assert.equal(yield* there.store.awaitWork({ untilDrained: true }), "claimable")
      const swept = only(yield* there.store.sweep(patient))
      assert.deepEqual(swept, { ...leaseOf(claimed), status: "pending", owner: "worker", attempts: 1 })
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
    "an id that is there already refuses the whole call, whatever its task",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a"), task("b"), task("c")])
      const records = yield* dumpAll(fixture.store)
      const store = yield* fixture.another
      yield* store.add([task("b"), Task.make({ id: "c", description: "Something else." })])
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
    "an id that comes twice in a call refuses it",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a"), task("b")])
      const records = yield* dumpAll(fixture.store)
      const error = yield* refused(yield* fixture.another, [...records, ...records.slice(1)])
      assert.ok(error instanceof TasksRefused)
      assert.equal(only(error.refusals).taskId, "b")
    })
  ),
  it(
    "a record that contradicts itself refuses the whole call, and says how",
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
        { ...completed, task: { ...completed.task, status: "failed", result: null } } as const,
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
    "a dependant can be restored before what it waits for",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a"), task("b", { dependsOn: ["a"] })])
      const there = yield* transfer(fixture, (records) => records.toReversed())
      assert.deepEqual(claimedIds(yield* claim(there)), ["a"])
      assert.equal((yield* there.store.counts).waiting, 1)
    })
  ),
  it(
    "a dependant goes on when what it waits for completes, or is restored as completed, in a later call",
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
    "a dependant of what has completed here meanwhile does not wait for it",
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
    "what was pruned after it completed blocks nobody after a transfer, what never completed does",
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
      yield* fixture.store.prune({ statuses: ["completed", "failed"] })
      const there = yield* transfer(fixture)
      assert.deepEqual(claimedIds(yield* claim(there)), ["b"])
      assert.equal((yield* there.store.counts).waiting, 1)
      yield* settle(there, complete(yield* claimNew(there, "lost")))
      assert.deepEqual(claimedIds(yield* claim(there)), ["c"])
    })
  ),
  it(
    "restoring wakes whoever waits for work",
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
    "the deleted and the requeued are free to go on after a transfer",
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
  it("text with half of a surrogate pair is transferred as it was", (fixture) => transferText(fixture, brokenText))
]

/** Sends a text through every place of a record. */
const transferText = Effect.fnUntraced(function* (fixture: Fixture, text: string) {
  const metadata = { [`key ${text}`]: text }
  const name = `id ${text}`
  yield* fixture.store.add([Task.make({ id: name, description: text, metadata })])
  const output = Execution.make({ output: text, metadata })
  const verification = Verification.reject(text, { issues: [text] })
  const first = yield* claimOne(fixture, { owner: `worker ${text}` })
  yield* settle(fixture, { ...retry(first, { feedback: text, checkpoint: output }), execution: output, verification })
  yield* fixture.store.add([Task.make({ id: "behind", description: "Wait.", dependsOn: [name] })])
  const there = yield* transfer(fixture)
  const second = yield* claimOne(there)
  assert.deepEqual(second.checkpoint, output)
  yield* settle(there, { ...complete(second), execution: output })
  const further = yield* transfer(there)
  assert.equal((yield* find(further, name)).result, text)
  assert.deepEqual(claimedIds(yield* claim(further)), ["behind"])
})
