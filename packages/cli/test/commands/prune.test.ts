import { assert, describe } from "@effect/vitest"
import { Task, TaskStore } from "@baton/core"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { baton, everyKind, test, text } from "./harness.ts"

const ids = TaskStore.TaskStore.use((store) => Effect.map(store.list(), ({ tasks }) => tasks.map((task) => task.id)))

describe("baton prune", () => {
  test(
    "deletes completed and cancelled tasks, but no dead letters",
    Effect.gen(function* () {
      yield* everyKind
      assert.deepStrictEqual(yield* baton(["prune", "--yes"]), {
        stdout: text("2 tasks deleted."),
        stderr: "",
        exitCode: 0
      })
      assert.deepStrictEqual([...(yield* ids)], ["check", "ship", "plan", "announce"])
    })
  )

  test(
    "deletes tasks with the given statuses and age",
    Effect.gen(function* () {
      yield* everyKind
      const tooYoung = yield* baton(["prune", "--status", "completed,failed", "--older-than", "1h", "--yes"])
      assert.deepStrictEqual(tooYoung, { stdout: "", stderr: text("No tasks to delete."), exitCode: 0 })
      yield* TestClock.adjust("1 hour")
      const { stdout } = yield* baton([
        "prune",
        "--status",
        "completed, failed",
        "--older-than",
        "1h",
        "--yes",
        "--json"
      ])
      assert.strictEqual(stdout, text('{"deleted":2,"dryRun":false}'))
      assert.deepStrictEqual([...(yield* ids)], ["ship", "notes", "plan", "announce"])
    })
  )

  test(
    "keeps a task that a pending task waits for, and says so",
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      yield* store.add([
        Task.makeNew({ id: "fetch", description: "Fetch" }),
        Task.makeNew({ id: "unused", description: "Unused" }),
        Task.makeNew({ id: "read", description: "Read", dependsOn: ["fetch"] })
      ])
      yield* store.cancel({ ids: [Task.TaskId.make("fetch"), Task.TaskId.make("unused")] })
      const { stdout } = yield* baton(["prune", "--yes"])
      assert.strictEqual(stdout, text("1 task deleted. 1 task that pending tasks wait for was kept."))
      assert.deepStrictEqual([...(yield* ids)], ["fetch", "read"])
    })
  )

  test(
    "deletes nothing with --dry-run",
    Effect.gen(function* () {
      yield* everyKind
      const all = ["prune", "--status", "completed,failed,cancelled", "--dry-run"]
      assert.strictEqual(
        (yield* baton(all)).stdout,
        text("3 tasks would be deleted (1 completed, 1 failed, 1 cancelled).")
      )
      assert.strictEqual(
        (yield* baton([...all, "--older-than", "4m"])).stdout,
        text("1 task would be deleted (1 failed).")
      )
      assert.strictEqual((yield* ids).length, 6)
    })
  )

  test(
    "asks before it deletes, and requires --yes without a terminal",
    Effect.gen(function* () {
      yield* everyKind
      assert.deepStrictEqual(yield* baton(["prune"]), {
        stdout: "",
        stderr: text(
          "error: Permanently deleting 2 tasks (1 completed, 1 cancelled) needs confirmation, but there is no terminal. Add --yes to confirm."
        ),
        exitCode: 1
      })
      assert.strictEqual((yield* baton(["prune"], { columns: 80, keys: ["y"] })).stdout, text("2 tasks deleted."))
    })
  )

  test(
    "refuses the statuses of unfinished tasks",
    Effect.gen(function* () {
      const { exitCode, stderr } = yield* baton(["prune", "--status", "completed,pending", "--yes"])
      assert.strictEqual(exitCode, 1)
      assert.include(
        stderr,
        '--status is "completed,pending": it takes completed, failed and cancelled, separated by commas.'
      )
    })
  )
})
