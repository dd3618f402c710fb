import { TaskStore } from "@baton/core"
import { assert, describe } from "@effect/vitest"
import { DateTime, Deferred, Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as storeView from "../../../src/view/live/storeView.ts"
import { add, baton, complete, fail, morning, test } from "../../commands/harness.ts"

const claim = (limit: number) =>
  TaskStore.TaskStore.use((store) => store.claim({ limit, owner: "elsewhere", lease: Duration.hours(1) }))

const tasks = (...ids: ReadonlyArray<string>) => add(...ids.map((id) => ({ id, description: `do ${id}` })))

describe("the view of a store", () => {
  test(
    "shows the running tasks with their age, and the latest dead letters",
    Effect.gen(function* () {
      yield* morning
      yield* tasks("dead", "deader", "slow", "new", "later")
      yield* fail("first")
      yield* TestClock.adjust("1 second")
      yield* fail("second")
      const read = yield* storeView.make
      yield* claim(1)
      yield* TestClock.adjust("10 seconds")
      yield* claim(1)
      yield* TestClock.adjust("2 seconds")
      const view = yield* read
      assert.deepStrictEqual(
        view.tasks.map((task) => [task?.id, task?.ageMillis, task?.doing, task?.text]),
        [
          ["slow", 12_000, "executing", "do slow"],
          ["new", 2000, "executing", "do new"]
        ]
      )
      assert.deepStrictEqual(
        view.failures.map(({ ageMillis, feedback, id }) => [id, ageMillis, feedback]),
        [
          ["deader", 12_000, "second"],
          ["dead", 13_000, "first"]
        ]
      )
      assert.deepInclude(view, { state: "running", running: 2, failed: 2, pending: 1, total: 5, message: undefined })
    })
  )

  test(
    "shows what running tasks have reported to the store",
    Effect.gen(function* () {
      yield* morning
      yield* tasks("a", "b")
      const claims = yield* claim(2)
      const { progress } = yield* TaskStore.TaskStore
      const at = yield* DateTime.now
      const reports = claims
        .slice(1)
        .map(({ task, token }) => ({ taskId: task.id, token, fraction: 0.5, output: "one\ntwo\n", at }))
      yield* progress?.save(reports) ?? Effect.void
      assert.deepStrictEqual(
        (yield* yield* storeView.make).tasks.map((task) => task?.text),
        ["do a", "50%  two · do b"]
      )
    })
  )

  test(
    "shows a task that is claimed and not started as pending",
    Effect.gen(function* () {
      yield* morning
      yield* tasks("a", "b", "c")
      yield* TaskStore.TaskStore.use((store) =>
        store.claim({ limit: 2, owner: "elsewhere", lease: Duration.hours(1), started: 1 })
      )
      const view = yield* yield* storeView.make
      assert.deepInclude(view, { state: "running", running: 1, pending: 2, total: 3 })
      assert.deepStrictEqual(
        view.tasks.map((task) => task?.id),
        ["a"]
      )
    })
  )

  test(
    "shows the rate from the second update on, and whether the store is paused",
    Effect.gen(function* () {
      yield* morning
      yield* tasks("a", "b", "c", "d")
      const read = yield* storeView.make
      assert.deepInclude(yield* read, { state: "idle", message: "no task is running", ratePerSecond: 0 })
      yield* complete("done")
      yield* TestClock.adjust("2 seconds")
      assert.deepInclude(yield* read, { ratePerSecond: 0.5, remainingMillis: 6000 })
      yield* TaskStore.TaskStore.use((store) => store.request("pause"))
      assert.deepInclude(yield* read, { state: "paused" })
      assert.strictEqual(
        storeView.toText(yield* read),
        "1 of 4 tasks completed, 0 failed, 0 running, 3 pending, 30/min, 6s left, paused"
      )
    })
  )

  test(
    "prints lines of text for screen readers",
    Effect.gen(function* () {
      yield* morning
      yield* tasks("a", "b")
      const printed: Array<string> = []
      const [once, twice] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const fiber = yield* Effect.forkChild(
        baton(["status", "--watch", "--plain"], {
          columns: 80,
          onStdout: (line) => {
            printed.push(line)
            Deferred.doneUnsafe(printed.length === 1 ? once : twice, Effect.void)
          }
        }),
        { startImmediately: true }
      )
      yield* Deferred.await(once)
      // Nothing changed.
      yield* TestClock.adjust("30 seconds")
      yield* complete("done")
      yield* TestClock.adjust("10 seconds")
      yield* Deferred.await(twice)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(printed[0], "0 of 2 tasks completed, 0 failed, 0 running, 2 pending\n")
      assert.match(printed[1] ?? "", /^1 of 2 tasks completed, 0 failed, 0 running, 1 pending, /)
      assert.strictEqual(printed.length, 2)
    })
  )
})
