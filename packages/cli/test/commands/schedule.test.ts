import { Schema } from "effect"
import { TaskStore } from "@baton/core"
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { add as addTask, baton, test } from "./harness.ts"

const add = (...args: ReadonlyArray<string>) => baton(["schedule", "add", ...args])

const Listed = Schema.fromJsonString(
  Schema.Array(
    Schema.Struct({
      name: Schema.String,
      paused: Schema.Boolean,
      next: Schema.NullOr(Schema.String),
      command: Schema.Array(Schema.String)
    })
  )
)

const list = Effect.flatMap(baton(["schedule", "list", "--json"]), ({ stdout }) =>
  Schema.decodeUnknownEffect(Listed)(stdout)
)

describe("baton schedule", () => {
  test(
    "adds, lists, pauses, resumes and removes a schedule",
    Effect.gen(function* () {
      const added = yield* add(
        "0 2 * * *",
        "--timezone",
        "Europe/Berlin",
        "--",
        "run",
        "lists/pages.csv",
        "--exec",
        "./x"
      )
      // The clock of the test is at 1970.
      assert.deepInclude(added, { exitCode: 0, stdout: "lists/pages: next at 1970-01-01 02:00 (Europe/Berlin)\n" })
      assert.deepStrictEqual(yield* list, [
        {
          name: "lists/pages",
          paused: false,
          next: "1970-01-01T01:00:00.000Z",
          command: ["run", "lists/pages.csv", "--exec", "./x"]
        }
      ])
      assert.include((yield* baton(["schedule", "pause", "lists/pages"])).stderr, "is paused")
      assert.deepInclude((yield* list)[0], { paused: true, next: null })
      assert.include((yield* baton(["schedule", "list"])).stdout, "paused")
      assert.include((yield* baton(["schedule", "resume", "lists/pages"])).stdout, "next at")
      assert.deepInclude((yield* list)[0], { paused: false })
      yield* baton(["schedule", "remove", "lists/pages"])
      assert.deepStrictEqual(yield* list, [])
    })
  )

  test(
    "refuses invalid schedules, with a way out",
    Effect.gen(function* () {
      const command = ["--", "run", "pages.csv"] as const
      const refusals: ReadonlyArray<readonly [ReadonlyArray<string>, string]> = [
        [["0 2 * *", ...command], '"0 2 * *" is not a cron expression'],
        [["0 2 30 2 *", ...command], '"0 2 30 2 *" never occurs. Check its day and month.'],
        [["0 2 * * *", "--timezone", "Mars/Olympus", ...command], 'The time zone "Mars/Olympus" does not exist'],
        [["0 2 * * *", "--", "serve"], 'A schedule cannot run "serve": it takes one of run, import']
      ]
      for (const [args, message] of refusals) {
        const { exitCode, stderr } = yield* add(...args)
        assert.strictEqual(exitCode, 1)
        assert.include(stderr, message)
      }
      yield* add("0 2 * * *", ...command)
      assert.include((yield* add("0 3 * * *", ...command)).stderr, "There is already a schedule pages")
      assert.include((yield* baton(["schedule", "pause", "page"])).stderr, "Did you mean pages?")
    })
  )

  test(
    "is not among the tasks of other commands",
    Effect.gen(function* () {
      yield* addTask({ id: "a", description: "Do a" })
      yield* add("0 2 * * *", "--", "run", "pages.csv")
      const { pending } = yield* TaskStore.TaskStore.use((store) => store.counts)
      assert.strictEqual(pending, 2)
      assert.match((yield* baton(["status"])).stdout, /pending +1/)
      assert.notInclude((yield* baton(["list"])).stdout, "pages")
      assert.include((yield* baton(["list", "--queue", "@schedules"])).stdout, "pages: baton run pages.csv")
      yield* baton(["cancel", "--status", "pending", "--yes"])
      assert.strictEqual((yield* list).length, 1)
    })
  )
})
