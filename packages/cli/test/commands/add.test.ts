import { assert, describe } from "@effect/vitest"
import { Task, TaskStore } from "@baton/core"
import { DateTime, Effect } from "effect"
import { add, baton, complete, morning, test, text } from "./harness.ts"

const get = (id: string) =>
  TaskStore.TaskStore.use((store) => Effect.flatMap(store.get(Task.TaskId.make(id)), Effect.fromOption))

describe("baton add", () => {
  test(
    "says that a task with the same id and other details exists, and does not change it",
    Effect.gen(function* () {
      yield* baton(["add", "Say hello", "--id", "hello", "--metadata", '{"team": "a"}'])
      const again = yield* baton([
        "add",
        "Say hello",
        "--id",
        "hello",
        "--metadata",
        '{"team": "b"}',
        "--priority",
        "2"
      ])
      assert.deepStrictEqual(again, {
        stdout: text("hello"),
        stderr: text(
          "A task with the id hello and the same text already exists with another priority, key, metadata or dependencies. It was not changed. See it with `baton show hello`, or give the new one another id with --id."
        ),
        exitCode: 0
      })
      assert.deepInclude(yield* get("hello"), { metadata: { team: "a" }, priority: 0 })
    })
  )

  test(
    "prints the id, which is derived from the task's content",
    Effect.gen(function* () {
      const first = yield* baton(["add", "Say hello"])
      assert.match(first.stdout, /^[0-9a-f]{16}\n$/)
      assert.strictEqual((yield* get(first.stdout.trim())).description, "Say hello")
      const other = yield* baton(["add", "Say hello", "--priority", "1"])
      assert.notStrictEqual(other.stdout, first.stdout)
      assert.deepStrictEqual(yield* baton(["add", "Say hello"]), {
        stdout: first.stdout,
        stderr: text("This task already exists, so nothing was added. To add it again, give it another id with --id."),
        exitCode: 0
      })
    })
  )

  test(
    "accepts every field of a task",
    Effect.gen(function* () {
      yield* morning
      yield* add({ id: "first", description: "First" }, { id: "second", description: "Second" })
      const { stdout } = yield* baton([
        "add",
        "Third",
        "--id=third",
        "--priority=-2",
        "--delay=1h30m",
        '--metadata={"team": "docs"}',
        "--depends-on=first",
        "--depends-on=second"
      ])
      assert.strictEqual(stdout, "third\n")
      const task = yield* get("third")
      assert.strictEqual(task.priority, -2)
      assert.deepStrictEqual(task.metadata, { team: "docs" })
      assert.deepStrictEqual(task.dependsOn, [Task.TaskId.make("first"), Task.TaskId.make("second")])
      assert.strictEqual(DateTime.formatIso(task.availableAt), "2026-01-05T10:30:00.000Z")
    })
  )

  test(
    "reads the text from standard input, without the final line break",
    Effect.gen(function* () {
      const { stdout } = yield* baton(["add", "-", "--json"], { stdin: "Line one\n\nline two 👋\n" })
      assert.match(stdout, /^\{"id":"[0-9a-f]{16}","added":true\}\n$/)
      const id = stdout.slice(7, 23)
      assert.strictEqual((yield* get(id)).description, "Line one\n\nline two 👋")
    })
  )

  test(
    "refuses empty text",
    Effect.gen(function* () {
      for (const [args, stdin] of [
        [["add", "  "], ""],
        [["add", "-"], "\n"]
      ] as const) {
        assert.deepStrictEqual(yield* baton(args, { stdin }), {
          stdout: "",
          stderr: text("error: The task is empty. Write what it is to do, as in `baton add 'Summarise README.md'`."),
          exitCode: 1
        })
      }
    })
  )

  test(
    "refuses an id that belongs to another task, and a dependency that does not exist",
    Effect.gen(function* () {
      yield* baton(["add", "One", "--id", "a"])
      yield* complete("done")
      const taken = yield* baton(["add", "Two", "--id", "a"])
      assert.strictEqual(taken.exitCode, 1)
      assert.strictEqual(taken.stdout, "")
      assert.match(taken.stderr, /^error: .*\ba\b/)
      const unknown = yield* baton(["add", "Two", "--depends-on", "nope"])
      assert.strictEqual(unknown.exitCode, 1)
      assert.match(unknown.stderr, /^error: .*\bnope\b/)
      const store = yield* TaskStore.TaskStore
      assert.strictEqual((yield* store.list()).tasks.length, 1)
    })
  )

  test(
    "describes the value of a flag if it is invalid",
    Effect.gen(function* () {
      const cases: ReadonlyArray<readonly [flag: string, value: string, expected: string]> = [
        ["--metadata", "[1]", 'it takes a JSON object, such as \'{"team": "docs"}\'.'],
        ["--metadata", "{", "it takes a JSON object"],
        ["--priority", "high", "it takes a whole number."],
        ["--delay", "10", "it takes a duration such as 500ms, 30s, 10m or 8h"],
        ["--id", "", "it takes the id of a task"]
      ]
      for (const [flag, value, expected] of cases) {
        const { exitCode, stderr } = yield* baton(["add", "X", flag, value])
        assert.strictEqual(exitCode, 1)
        assert.include(stderr, `${flag} is "${value}": ${expected}`)
      }
      const store = yield* TaskStore.TaskStore
      assert.deepStrictEqual((yield* store.list()).tasks, [])
    })
  )
})
