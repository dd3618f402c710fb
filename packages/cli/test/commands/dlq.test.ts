import { assert, describe } from "@effect/vitest"
import { TaskStore } from "@baton/core"
import { Effect } from "effect"
import { add, baton, complete, everyKind, fail, morning, test, text } from "./harness.ts"

const statusOf = (id: string) =>
  TaskStore.TaskStore.use((store) =>
    Effect.map(store.list(), ({ tasks }) => tasks.find((task) => task.id === id)?.status)
  )

const failed = Effect.gen(function* () {
  yield* morning
  yield* add(
    { id: "a", description: "A" },
    { id: "b", description: "B" },
    { id: "c", description: "C" },
    { id: "d", description: "D" }
  )
  yield* fail("no such file\nENOENT")
  yield* fail("exit code 1")
  yield* complete("done")
})

describe("baton dlq list", () => {
  test(
    "shows failed tasks with the reason",
    Effect.gen(function* () {
      yield* failed
      assert.deepStrictEqual(yield* baton(["dlq", "list"]), {
        stdout: text(
          "ID  ATTEMPTS  CHANGED  FEEDBACK",
          "a          1      now  no such file…",
          "b          1      now  exit code 1"
        ),
        stderr: "",
        exitCode: 0
      })
      const { stdout } = yield* baton(["dlq", "list", "--json", "--limit", "1"])
      assert.match(stdout, /^\[\n\{"id":"a",.*"status":"failed".*\}\n\]\n$/)
    })
  )

  test(
    "reports an empty queue",
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* baton(["dlq", "list"]), {
        stdout: "",
        stderr: text("The dead-letter queue is empty."),
        exitCode: 0
      })
    })
  )
})

describe("baton dlq requeue", () => {
  test(
    "makes tasks pending again",
    Effect.gen(function* () {
      yield* failed
      assert.deepStrictEqual(yield* baton(["dlq", "requeue", "a"]), {
        stdout: text("1 task requeued. Run `baton run` to execute it again."),
        stderr: "",
        exitCode: 0
      })
      assert.strictEqual(yield* statusOf("a"), "pending")
      assert.strictEqual(yield* statusOf("b"), "failed")
    })
  )

  test(
    "requeues all failed tasks with --all, but no cancelled ones",
    Effect.gen(function* () {
      yield* failed
      yield* baton(["cancel", "d"])
      const { stdout } = yield* baton(["dlq", "requeue", "--all", "--json"])
      assert.strictEqual(stdout, text('{"requeued":["a","b"],"unchanged":[],"unknown":[]}'))
      assert.strictEqual(yield* statusOf("d"), "cancelled")
      const again = yield* baton(["dlq", "requeue", "--all"])
      assert.deepStrictEqual(again, { stdout: "", stderr: text("The dead-letter queue is empty."), exitCode: 0 })
    })
  )

  test(
    "requeues the failed tasks among the ids, reports the others, and fails on an unknown id",
    Effect.gen(function* () {
      yield* failed
      assert.deepStrictEqual(yield* baton(["dlq", "requeue", "a", "c", "zzzzzz"]), {
        stdout: text("1 task requeued. Run `baton run` to execute it again."),
        stderr: text(
          "c is completed; it was not requeued.",
          "error: The task zzzzzz does not exist. `baton list` lists all tasks."
        ),
        exitCode: 1
      })
    })
  )

  test(
    "changes nothing if both ids and --all are given, or none of them",
    Effect.gen(function* () {
      yield* failed
      const neither = yield* baton(["dlq", "requeue"])
      assert.strictEqual(neither.exitCode, 1)
      assert.include(neither.stderr, "There are no tasks to requeue. Name their ids, or add --all.")
      const both = yield* baton(["dlq", "requeue", "a", "--all"])
      assert.strictEqual(both.exitCode, 1)
      assert.include(both.stderr, "Ids and --all are both given")
      assert.strictEqual(yield* statusOf("a"), "failed")
    })
  )
})

describe("baton dlq purge", () => {
  test(
    "asks before it deletes and accepts no as an answer",
    Effect.gen(function* () {
      yield* failed
      const no = yield* baton(["dlq", "purge", "--all"], { columns: 80, keys: ["n"] })
      assert.deepStrictEqual(no, { stdout: "", stderr: text("Nothing was deleted."), exitCode: 1 })
      assert.strictEqual(yield* statusOf("a"), "failed")
      const yes = yield* baton(["dlq", "purge", "--all"], { columns: 80, keys: ["y"] })
      assert.strictEqual(yes.stdout, text("2 dead letters deleted."))
      assert.strictEqual(yield* statusOf("a"), undefined)
      assert.strictEqual(yield* statusOf("c"), "completed")
    })
  )

  test(
    "requires --yes without a terminal",
    Effect.gen(function* () {
      yield* failed
      assert.deepStrictEqual(yield* baton(["dlq", "purge", "a", "b"]), {
        stdout: "",
        stderr: text(
          "error: Permanently deleting 2 dead letters needs confirmation, but there is no terminal. Add --yes to confirm."
        ),
        exitCode: 1
      })
      assert.strictEqual(yield* statusOf("a"), "failed")
    })
  )

  test(
    "deletes only dead letters, even if other ids are given",
    Effect.gen(function* () {
      yield* failed
      assert.deepStrictEqual(yield* baton(["dlq", "purge", "a", "c", "--yes"]), {
        stdout: text("1 dead letter deleted."),
        stderr: text("c is completed; it was not deleted, because only dead letters are purged."),
        exitCode: 0
      })
      assert.strictEqual(yield* statusOf("a"), undefined)
      assert.strictEqual(yield* statusOf("b"), "failed")
      assert.strictEqual(yield* statusOf("c"), "completed")
    })
  )

  test(
    "deletes nothing if none of the ids is a dead letter",
    Effect.gen(function* () {
      yield* everyKind
      const { stdout } = yield* baton(["dlq", "purge", "parse", "--yes", "--json"])
      assert.strictEqual(stdout, text('{"deleted":0,"unchanged":[{"id":"parse","status":"completed"}],"unknown":[]}'))
      assert.strictEqual(yield* statusOf("check"), "failed")
      assert.strictEqual(yield* statusOf("parse"), "completed")
    })
  )
})
