import { assert, describe } from "@effect/vitest"
import { Task } from "@baton/core"
import { Effect, Schema } from "effect"
import { add, baton, everyKind, fail, morning, test, text } from "./harness.ts"

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Array(Task.Task)))

const numbered = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ id: `t${index}`, description: `Task ${index}` }))

describe("baton list", () => {
  test(
    "lists tasks in the order in which they were added",
    Effect.gen(function* () {
      yield* everyKind
      assert.deepStrictEqual(yield* baton(["list"], { columns: 80 }), {
        stdout: text(
          "ID        STATUS       ATTEMPTS  PRIORITY     COST  CHANGED  DESCRIPTION",
          "parse     completed           2         0  $0.0123       3m  Parse the report…",
          "check     failed              1         0                4m  Check every link",
          "ship      in progress         1         5                3m  Ship it",
          "notes     cancelled           0         0                3m  Write the notes",
          "plan      pending             0         0                3m  Plan the next rele…",
          "announce  pending             0         0                3m  Announce it"
        ),
        stderr: "",
        exitCode: 0
      })
    })
  )

  test(
    "omits the columns for priority and cost if they are empty, and fits the terminal",
    Effect.gen(function* () {
      yield* morning
      yield* add({ id: "a", description: "Read all of the minutes of the last three years" })
      const { stdout } = yield* baton(["list"], { columns: 50 })
      assert.strictEqual(
        stdout,
        text("ID  STATUS   ATTEMPTS  CHANGED  DESCRIPTION", "a   pending         0      now  Read all of the m…")
      )
    })
  )

  test(
    "filters by status",
    Effect.gen(function* () {
      yield* everyKind
      const { stdout } = yield* baton(["list", "--status", "in_progress"])
      assert.strictEqual(
        stdout,
        text(
          "ID    STATUS       ATTEMPTS  PRIORITY  CHANGED  DESCRIPTION",
          "ship  in progress         1         5       3m  Ship it"
        )
      )
    })
  )

  test(
    "prints all tasks as an array with --json",
    Effect.gen(function* () {
      yield* morning
      yield* add(...numbered(250))
      const { stdout } = yield* baton(["list", "--json"], { columns: 80 })
      const tasks = yield* decode(stdout)
      assert.deepStrictEqual(
        tasks.map((task) => task.id),
        numbered(250).map((task) => Task.TaskId.make(task.id))
      )
      // One task per line, for line-based tools.
      assert.strictEqual(stdout.split("\n").length, 250 + 3)
      const some = yield* decode((yield* baton(["list", "--json", "--limit", "2"])).stdout)
      assert.strictEqual(some.length, 2)
    })
  )

  test(
    "shows the first hundred tasks on a terminal, and all tasks with --all or in a pipe",
    Effect.gen(function* () {
      yield* morning
      yield* add(...numbered(250))
      const rows = (stdout: string) => stdout.trimEnd().split("\n").length - 1
      const first = yield* baton(["list"], { columns: 80 })
      assert.strictEqual(rows(first.stdout), 100)
      assert.strictEqual(first.stderr, text("", "Showing the first 100 of 250 tasks. Add --all to show all."))
      assert.strictEqual(rows((yield* baton(["list", "--all"], { columns: 80 })).stdout), 250)
      const piped = yield* baton(["list"])
      assert.strictEqual(rows(piped.stdout), 250)
      assert.strictEqual(piped.stderr, "")
      assert.strictEqual(rows((yield* baton(["list", "--limit", "7"])).stdout), 7)
    })
  )

  test(
    "suggests a command if there are no tasks",
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* baton(["list"]), {
        stdout: "",
        stderr: text("There are no tasks yet. Add some with `baton add 'TEXT'` or `baton import FILE`."),
        exitCode: 0
      })
      assert.deepStrictEqual(yield* baton(["list", "--json"]), { stdout: "[]\n", stderr: "", exitCode: 0 })
      yield* morning
      yield* add({ id: "a", description: "A" })
      assert.strictEqual((yield* baton(["list", "--status", "failed"])).stderr, text("There are no failed tasks."))
    })
  )

  test(
    "prints no control sequences from a task's text",
    Effect.gen(function* () {
      yield* morning
      yield* add({ id: "evil\u001B[2J", description: "\u001B]0;owned\u0007\u001B[31mred\rhidden\u0000" })
      const { stdout } = yield* baton(["list"])
      assert.strictEqual(
        stdout,
        text("ID    STATUS   ATTEMPTS  CHANGED  DESCRIPTION", "evil  pending         0      now  red␍hidden␀")
      )
      const [task] = yield* decode((yield* baton(["list", "--json"])).stdout)
      assert.strictEqual(task?.description, "\u001B]0;owned\u0007\u001B[31mred\rhidden\u0000")
    })
  )

  test(
    "uses colours only if the terminal and the environment allow them",
    Effect.gen(function* () {
      yield* morning
      yield* add({ id: "a", description: "A" })
      yield* fail("no")
      assert.include((yield* baton(["list"], { columns: 80, color: true })).stdout, "\u001B[31mfailed\u001B[39m")
      assert.notInclude((yield* baton(["list"], { columns: 80 })).stdout, "\u001B")
    })
  )

  test(
    "refuses an invalid status or limit",
    Effect.gen(function* () {
      const status = yield* baton(["list", "--status", "done"])
      assert.strictEqual(status.exitCode, 1)
      assert.include(
        status.stderr,
        '--status is "done": it takes pending, in_progress, in_review, completed, failed or cancelled.'
      )
      const limit = yield* baton(["list", "--limit", "0"])
      assert.strictEqual(limit.exitCode, 1)
      assert.include(limit.stderr, '--limit is "0": it takes a whole number of at least 1.')
    })
  )
})
