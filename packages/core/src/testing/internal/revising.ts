import * as assert from "node:assert/strict"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { TaskStoreError } from "../../TaskStoreError.ts"
import { notJson } from "./badInput.ts"
import { dumpAll, transfer } from "./transferring.ts"
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
  type Fixture,
  id,
  ids,
  it,
  lastAttempt,
  longLease,
  numbered,
  outcomes,
  patient,
  release,
  retry,
  settle,
  statusOf,
  task,
  usage
} from "./fixture.ts"

const revision = (name: string, feedback?: string) => ({ taskId: id(name), feedback })

const replace = (...names: ReadonlyArray<string>) =>
  names.map((name) => ({ taskId: id(name), work: work(`New ${name}.`) }))

const work = (description: string) => ({ description, metadata: { version: 2 } })

const completeNew = Effect.fnUntraced(function* (fixture: Fixture, name: string, output?: string) {
  yield* settle(fixture, complete(yield* claimNew(fixture, name), output))
})

export const revising: ReadonlyArray<Case> = [
  it(
    "a pending task gets other work and keeps its place",
    Effect.fnUntraced(function* (fixture) {
      const payload = { page: 1 }
      yield* fixture.store.add([
        task("a"),
        task("b", { payload, metadata: { version: 1 }, overrides: { model: "small" } }),
        task("c")
      ])
      const changed = { description: "Do b, better.\n", payload: { page: 2 }, metadata: { version: 2 }, overrides: {} }
      yield* fixture.advance(1)
      assert.deepEqual(yield* fixture.store.revise([{ ...revision("b"), work: changed }]), ["b"])
      const { tasks } = yield* fixture.store.list()
      assert.deepEqual(
        tasks.map(({ id }) => id),
        ["a", "b", "c"]
      )
      const claims = yield* claim(fixture)
      assert.deepEqual(claimedIds(claims), ["a", "b", "c"])
      const {
        attempts,
        description,
        metadata,
        overrides,
        payload: now
      } = claims[1]?.task ?? assert.fail("b is claimed")
      assert.deepEqual({ description, metadata, overrides, payload: now }, changed)
      assert.equal(attempts, 1)
    })
  ),
  it(
    "work without payload, overrides and metadata removes those that the task had",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a", { payload: [1], metadata: { x: 1 }, overrides: { maxAttempts: 1 } })])
      yield* fixture.store.revise([{ ...revision("a"), work: { description: "" } }])
      const { description, metadata, overrides, payload } = yield* find(fixture, "a")
      assert.deepEqual(
        { description, metadata, overrides, payload },
        { description: "", metadata: {}, overrides: {}, payload: undefined }
      )
    })
  ),
  it(
    "other work starts over: without feedback and saved output, and with all attempts",
    Effect.fnUntraced(function* (fixture) {
      yield* settle(
        fixture,
        retry(yield* claimNew(fixture, "a"), { output: "of the old work", checkpoint: execution("unverified") })
      )
      yield* fixture.store.revise([{ ...revision("a"), work: work("Do it otherwise.") }])
      const revised = yield* find(fixture, "a")
      assert.deepEqual([revised.status, revised.attempts, revised.feedback], ["pending", 0, undefined])
      const claimed = yield* claimOne(fixture)
      assert.deepEqual([claimed.checkpoint, claimed.task.feedback], [undefined, undefined])
      assert.deepEqual([claimed.task.attempts, claimed.task.requeues, claimed.token], [1, 1, 2])
      yield* settle(fixture, complete(claimed))
      assert.deepEqual(yield* outcomes(fixture, "a"), ["retried", "completed"])
    })
  ),
  it(
    "a completed task loses its result, keeps its history and tokens, and can be completed again",
    Effect.fnUntraced(function* (fixture) {
      const used = usage(5)
      const first = yield* claimNew(fixture, "a")
      yield* settle(fixture, { ...complete(first, "first"), attemptUsage: used, usage: used })
      const before = yield* lastAttempt(fixture, "a")
      yield* fixture.store.revise([{ ...revision("a"), work: work("Do it again.") }])
      const revised = yield* find(fixture, "a")
      assert.deepEqual([revised.status, revised.result, revised.verified], ["pending", undefined, false])
      assert.deepEqual(revised.usage, used)
      assert.deepEqual(yield* lastAttempt(fixture, "a"), before)
      const claimed = yield* claimOne(fixture)
      assert.deepEqual([claimed.token, claimed.task.attempts, claimed.task.feedback], [2, 1, undefined])
      assert.deepEqual(yield* outcomes(fixture, "a"), ["completed", "running"])
      yield* settle(fixture, complete(claimed, "second"))
      assert.equal((yield* find(fixture, "a")).result, "second")
      const ledger = yield* fixture.store.attempts(id("a"))
      assert.deepEqual(
        ledger.map(({ execution, number, outcome, token }) => [number, token, outcome, execution?.output]),
        [
          [1, 1, "completed", "first"],
          [1, 2, "completed", "second"]
        ]
      )
    })
  ),
  it(
    "a completed task whose output was wrong gets the reason and this output for its next attempt",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a", { metadata: { row: 7 } })])
      yield* settle(fixture, complete(yield* claimOne(fixture), "too short"))
      yield* fixture.store.revise([revision("a", "Write more.")])
      const { task: claimed, previousOutput, checkpoint } = yield* claimOne(fixture)
      assert.deepEqual([claimed.feedback, previousOutput, checkpoint], ["Write more.", "too short", undefined])
      assert.deepEqual([claimed.description, claimed.metadata], ["Do a.", { row: 7 }])
    })
  ),
  it(
    "a failed and a cancelled task get feedback too, also one that was never claimed",
    Effect.fnUntraced(function* (fixture) {
      yield* settle(fixture, fail(yield* claimNew(fixture, "failed"), { output: "half", feedback: "Refused." }))
      yield* fixture.store.add([task("cancelled")])
      yield* fixture.store.cancel({ ids: ids("cancelled") })
      yield* fixture.store.revise([revision("failed", "Missing: a title."), revision("cancelled", "Be brief.")])
      const claims = yield* claim(fixture)
      assert.deepEqual(
        claims.map(({ previousOutput, task: { feedback, id } }) => [id, feedback, previousOutput]),
        [
          ["failed", "Missing: a title.", "half"],
          ["cancelled", "Be brief.", undefined]
        ]
      )
    })
  ),
  it(
    "a task in progress and an unknown one do not change",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "running")
      const revisions = replace("running", "nowhere")
      assert.deepEqual(yield* fixture.store.revise(revisions), [])
      assert.deepEqual(yield* fixture.store.revise([]), [])
      yield* settle(fixture, complete(claimed))
      assert.equal((yield* find(fixture, "running")).description, "Do running.")
    })
  ),
  it(
    "only tasks with the given statuses change",
    Effect.fnUntraced(function* (fixture) {
      yield* completeNew(fixture, "completed")
      yield* settle(fixture, fail(yield* claimNew(fixture, "failed")))
      yield* fixture.store.add([task("pending")])
      const all = replace("completed", "failed", "pending")
      assert.deepEqual(yield* fixture.store.revise(all, { from: ["pending"] }), ["pending"])
      assert.equal(yield* statusOf(fixture, "failed"), "failed")
      assert.deepEqual(yield* fixture.store.revise(all, { from: [] }), [])
      assert.deepEqual((yield* fixture.store.revise(all, { from: ["completed", "failed"] })).toSorted(), [
        "completed",
        "failed"
      ])
    })
  ),
  it(
    "a task that was claimed since its token was read does not change",
    Effect.fnUntraced(function* (fixture) {
      yield* completeNew(fixture, "a", "first")
      const { token } = yield* lastAttempt(fixture, "a")
      yield* fixture.store.revise([{ ...revision("a", "wrong"), token }])
      yield* settle(fixture, complete(yield* claimOne(fixture), "second"))
      assert.deepEqual(yield* fixture.store.revise([{ ...revision("a", "wrong"), token }]), [])
      assert.equal((yield* find(fixture, "a")).result, "second")
    })
  ),
  it(
    "the number of attempts of the new work applies when a worker dies",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a")])
      yield* fixture.store.revise([
        { ...revision("a"), work: { description: "Do it once.", overrides: { maxAttempts: 1 } } }
      ])
      yield* claim(fixture, { lease: fixture.seconds(1) })
      yield* fixture.advance(2)
      assert.deepEqual(
        (yield* fixture.store.sweep(patient)).map(({ status }) => status),
        ["failed"]
      )
    })
  ),
  it(
    "adding a task again with its new work adds nothing, and with the former work is refused",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a")])
      yield* fixture.store.revise([{ ...revision("a"), work: { description: "Do it otherwise." } }])
      const again = { ...task("a"), description: "Do it otherwise." }
      assert.deepEqual(yield* fixture.store.add([again]), { added: [], existing: 1, different: [] })
      const refused = yield* Effect.flip(fixture.store.add([task("a")]))
      assert.equal(refused._tag, "TasksRefused")
    })
  ),
  it(
    "tasks that a completed task has freed stay free, and a revised one that waits continues to wait",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([
        task("a"),
        task("freed", { dependsOn: ["a"] }),
        task("open", { priority: -1 }),
        task("waiting", { dependsOn: ["open"] })
      ])
      yield* settle(fixture, complete(yield* claimOne(fixture)))
      yield* fixture.store.cancel({ ids: ids("waiting") })
      yield* fixture.store.revise([revision("a"), revision("waiting")])
      assert.equal((yield* fixture.store.counts).waiting, 1)
      assert.deepEqual(claimedIds(yield* claim(fixture)).toSorted(), ["a", "freed", "open"])
    })
  ),
  it(
    "a revised task that had ended is claimed before tasks that have had no attempt",
    Effect.fnUntraced(function* (fixture) {
      yield* completeNew(fixture, "a")
      yield* fixture.advance(1)
      yield* fixture.store.add([task("b")])
      yield* fixture.advance(1)
      yield* fixture.store.revise([revision("a")])
      assert.deepEqual(claimedIds(yield* claim(fixture)), ["a", "b"])
    })
  ),
  it(
    "a pending task whose time has not come keeps it",
    Effect.fnUntraced(function* (fixture) {
      yield* settle(fixture, retry(yield* claimNew(fixture, "a"), { delay: Duration.hours(1) }))
      const { availableAt } = yield* find(fixture, "a")
      yield* fixture.store.revise([{ ...revision("a"), work: work("later") }])
      assert.deepEqual((yield* find(fixture, "a")).availableAt, availableAt)
      assert.deepEqual(yield* claim(fixture), [])
    })
  ),
  it(
    "many tasks are revised in one call, and none of them twice",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(numbered(30))
      yield* settle(fixture, ...(yield* claim(fixture, { limit: 20 })).map((claimed) => complete(claimed)))
      assert.equal((yield* fixture.store.revise(replace(...numbered(30).map(({ id }) => id)))).length, 30)
      const { completed, pending } = yield* fixture.store.counts
      assert.deepEqual([completed, pending], [0, 30])
      const { tasks } = yield* fixture.store.list()
      assert.deepEqual(
        tasks.map(({ description, requeues }) => [description, requeues]),
        numbered(30).map(({ id }) => [`New ${id}.`, 1])
      )
    })
  ),
  it(
    "work that JSON cannot represent is refused, and no task of the call changes",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a"), task("b")])
      const before = yield* dumpAll(fixture.store)
      for (const payload of notJson()) {
        const revisions = [...replace("a"), { ...revision("b"), work: { description: "New b.", payload } }]
        const refused = yield* Effect.flip(fixture.store.revise(revisions))
        assert.ok(refused instanceof TaskStoreError)
        assert.match(refused.message, /The payload of task ".*b" is not JSON/)
      }
      assert.deepEqual(yield* dumpAll(fixture.store), before)
    })
  ),
  it(
    "a revised task moves to another store with its history, and its next attempt gets the same",
    Effect.fnUntraced(function* (fixture) {
      yield* completeNew(fixture, "revised", "too short")
      yield* completeNew(fixture, "completed twice", "first")
      yield* fixture.store.revise([revision("completed twice")])
      yield* settle(fixture, complete(yield* claimOne(fixture), "second"))
      yield* fixture.store.revise([revision("revised", "Write more.")])
      const there = yield* transfer(fixture)
      assert.deepEqual(
        (yield* dumpAll(there.store)).map(({ attempts }) => attempts.map(({ outcome }) => outcome)),
        [["completed"], ["completed", "completed"]]
      )
      const claimed = yield* claimOne(there)
      assert.deepEqual([claimed.previousOutput, claimed.token], ["too short", 2])
    })
  ),
  it(
    "a run that waits for work learns of a revised task",
    Effect.fnUntraced(function* (fixture) {
      yield* completeNew(fixture, "a")
      assert.equal(yield* fixture.store.awaitWork({ untilDrained: true }), "drained")
      yield* fixture.store.revise([revision("a")])
      assert.equal(yield* fixture.store.awaitWork({ untilDrained: true }), "claimable")
      const released = yield* claimOne(fixture, { lease: longLease })
      yield* settle(fixture, release(released))
      assert.deepEqual(yield* outcomes(fixture, "a"), ["completed", "released"])
    })
  )
]

export const noRevisions: ReadonlyArray<Case> = [
  it(
    "changing a stored task is refused, by a message that names the store",
    Effect.fnUntraced(function* ({ store }) {
      yield* store.add([task("a")])
      const refused = yield* Effect.flip(store.revise([revision("a", "again")]))
      assert.ok(refused instanceof TaskStoreError)
      assert.match(refused.message, /does not support changing stored tasks/)
    })
  )
]
