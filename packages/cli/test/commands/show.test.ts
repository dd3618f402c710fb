import { assert, describe } from "@effect/vitest"
import { type AttemptProgress, Task, TaskStore } from "@baton/core"
import { DateTime, Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import { TaskWithHistory } from "../../src/view/json.ts"
import { add, baton, claim, complete, everyKind, fail, morning, test, text } from "./harness.ts"

describe("baton show", () => {
  test(
    "shows all information about a task",
    Effect.gen(function* () {
      yield* everyKind
      assert.deepStrictEqual(yield* baton(["show", "parse"]), {
        stdout: text(
          "parse  completed, verified",
          "",
          "  Added     2026-01-05 09:00:00Z  4m ago",
          "  Changed   2026-01-05 09:01:02Z  3m ago",
          "  Attempts  2",
          "  Used      1,234 tokens (1,200 in, 34 out), $0.0123",
          "",
          "Metadata",
          "  team  docs",
          "",
          "Description",
          "  Parse the report",
          "  and count its sections",
          "",
          "Attempts",
          "  #1 retried  2026-01-05 09:00:00Z, 1.5s  by worker-1",
          "     Output: many",
          "     Error: The count is not a number.",
          "     Verdict: rejected, 90% confidence",
          "       - no digit in it",
          "     Used: 1,234 tokens (1,200 in, 34 out), $0.0123",
          "     Details: exitCode 0",
          "     stderrTail:",
          "       line 1",
          "       line 2",
          "  #2 completed  2026-01-05 09:01:02Z, 0ms  by worker-1",
          "     Difference to the attempt before:",
          "       @@ -1 +1 @@",
          "       -many",
          "       +7",
          "     Verdict: accepted",
          "",
          "Result",
          "  7"
        ),
        stderr: "",
        exitCode: 0
      })
    })
  )

  test(
    "shows a task's dependencies, and since when a task is running",
    Effect.gen(function* () {
      yield* everyKind
      assert.strictEqual(
        (yield* baton(["show", "announce"])).stdout,
        text(
          "announce  pending",
          "",
          "  Added       2026-01-05 09:01:02Z  3m ago",
          "  Attempts    0",
          "  Depends on  ship (in progress)",
          "",
          "Description",
          "  Announce it"
        )
      )
      assert.include(
        (yield* baton(["show", "ship"])).stdout,
        "  #1 running  2026-01-05 09:01:02Z, 3m 00s so far  by worker-2\n"
      )
    })
  )

  test(
    "finds an id that no command line can contain as JSON writes it",
    Effect.gen(function* () {
      yield* add(
        { id: "nul\0", description: "N" },
        { id: "half\ud83d", description: "H" },
        { id: '"a"', description: "Q" }
      )
      for (const [typed, description] of [
        ['"nul\\u0000"', "N"],
        ['"half\\ud83d"', "H"],
        ['"a"', "Q"]
      ] as const) {
        assert.include((yield* baton(["show", typed])).stdout, `\nDescription\n  ${description}\n`)
      }
      assert.strictEqual((yield* baton(["cancel", '"nul\\u0000"', "--json"])).exitCode, 0)
    })
  )

  test(
    "shows the progress that a running task has reported",
    Effect.gen(function* () {
      const { progress } = yield* TaskStore.TaskStore
      yield* everyKind
      const { task, token } = yield* claim()
      const { id } = task
      const at = yield* DateTime.now
      const save = (reported: AttemptProgress) => progress?.save([{ taskId: id, token, ...reported }]) ?? Effect.void
      yield* save({ output: "\u001b[2Jone\r\ntwo \r", at })
      const { stdout } = yield* baton(["show", id])
      assert.include(stdout, "  Progress  see its output  just now\n")
      assert.isTrue(stdout.endsWith("\n\nOutput so far\n  one\n  two\n"), stdout)
      const output = Array.from({ length: 50 }, (_, n) => `line ${n + 1}\n`).join("")
      yield* save({ text: "page 4 of 10", fraction: 0.4, output, at })
      yield* TestClock.adjust("5 seconds")
      const later = (yield* baton(["show", id])).stdout
      assert.include(later, "  Progress  40%  page 4 of 10  5s ago\n")
      assert.match(later, /\n\nOutput so far\n {2}…\n {2}line 39\n(?: {2}line \d+\n){11}$/)
      assert.deepInclude(JSON.parse((yield* baton(["show", id, "--json"])).stdout).progress, {
        text: "page 4 of 10",
        fraction: 0.4,
        output
      })
    })
  )

  test(
    "shows the status of a dependency in another queue than that of --queue",
    Effect.gen(function* () {
      yield* morning
      yield* add({ id: "a/1", queue: "a", description: "first" })
      yield* add({ id: "b/1", queue: "b", description: "second", dependsOn: ["a/1"] })
      assert.include((yield* baton(["show", "1", "--queue", "b"])).stdout, "  Depends on  a/1 (pending)\n")
    })
  )

  test(
    "shows the feedback that a requeued task will receive",
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      yield* everyKind
      yield* store.requeue({ ids: [Task.TaskId.make("check")] })
      const { stdout } = yield* baton(["show", "check"])
      assert.include(stdout, "  Attempts  0 since it was requeued\n")
      assert.include(stdout, "     Error:\n       exit code 2: 3 links are dead\n       https://a.example\n")
    })
  )

  test(
    "shows when a delayed task starts and whether the result was verified",
    Effect.gen(function* () {
      yield* morning
      yield* add({ id: "now", description: "Now" })
      yield* complete("", { verified: false })
      assert.include((yield* baton(["show", "now"])).stdout, "now  completed, not verified\n")
      assert.include((yield* baton(["show", "now"])).stdout, "Result\n  (empty)\n")
      yield* baton(["add", "Later", "--id", "later", "--delay", "90m"])
      assert.include((yield* baton(["show", "later"])).stdout, "  Starts    in 1h 30m at the earliest\n")
    })
  )

  test(
    "prints the task and its attempts as one JSON object",
    Effect.gen(function* () {
      yield* everyKind
      const { stdout } = yield* baton(["show", "parse", "--json"])
      const task = yield* Schema.decodeUnknownEffect(Schema.fromJsonString(TaskWithHistory))(stdout)
      assert.strictEqual(task.id, "parse")
      assert.strictEqual(task.result, "7")
      assert.deepStrictEqual(
        task.history?.map((attempt) => attempt.outcome),
        ["retried", "completed"]
      )
      assert.strictEqual(stdout.split("\n").length, 2)
    })
  )

  test(
    "prints no control sequences from text, and shortens a long description",
    Effect.gen(function* () {
      yield* morning
      yield* add({ id: "a", description: Array.from({ length: 60 }, (_, n) => `\u001B[${n}mline ${n}`).join("\r\n") })
      yield* fail("\u001B[2Jbad\u0007 \u001B]52;c;ZXZpbA==\u0007")
      const { stdout } = yield* baton(["show", "a"])
      assert.notInclude(stdout, "\u001B")
      assert.include(stdout, "  line 39\n  … 20 more lines\n")
      assert.include(stdout, "Error: bad␇\n")
    })
  )

  test(
    "suggests similar ids",
    Effect.gen(function* () {
      yield* morning
      yield* add({ id: "packages-12", description: "A" }, { id: "other", description: "B" })
      assert.deepStrictEqual(yield* baton(["show", "package-12"]), {
        stdout: "",
        stderr: text("error: The task package-12 does not exist. Did you mean packages-12?"),
        exitCode: 1
      })
      assert.include((yield* baton(["show", "pack"])).stderr, "Did you mean packages-12?")
      assert.strictEqual(
        (yield* baton(["show", "unlike-any"])).stderr,
        text("error: The task unlike-any does not exist. `baton list` lists all tasks.")
      )
    })
  )
})
