import { Task } from "@baton/core"
import { assert } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { complaints, describeSources, descriptions, read, readOne } from "../sourceFiles.ts"

const lab = `{
  "tasks": [
    {
      "id": "task-001",
      "description": "Write a haiku",
      "status": "completed",
      "result": "…",
      "attempts": 1,
      "max_attempts": 3,
      "metadata": {}
    },
    {
      "id": "task-002",
      "description": "Write a limerick",
      "status": "failed",
      "result": null,
      "attempts": 3,
      "max_attempts": 3,
      "metadata": {"style": "bawdy"}
    },
    {"id": "task-003", "description": "Write an ode", "status": "in_progress", "result": null, "attempts": 1},
    {"id": "task-004", "description": "Write a sonnet", "status": "cancelled", "result": null, "attempts": 0}
  ]
}`

describeSources("json", (it) => {
  it.effect("reads a list of objects and strings, each with the line where it starts", () =>
    Effect.gen(function* () {
      const content = '[\n  {\n    "description": "one"\n  },\n  "two",\n  {"description": "three"}\n]\n'
      assert.deepStrictEqual(yield* descriptions("a.json", content), [
        [2, "one"],
        [5, "two"],
        [6, "three"]
      ])
    })
  )

  it.effect("reads a saved list of tasks without their progress and without finished tasks", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* read("tasks.json", lab), [
        {
          line: 12,
          task: Task.makeNew({
            id: "task-002",
            description: "Write a limerick",
            metadata: { style: "bawdy" },
            overrides: { maxAttempts: 3 }
          })
        },
        { line: 21, task: Task.makeNew({ id: "task-003", description: "Write an ode" }) }
      ])
    })
  )

  it.effect("keeps a status field that does not belong to a saved task", () =>
    Effect.gen(function* () {
      const content = '[{"id": 7, "description": "x", "status": "completed", "result": "open"}]'
      assert.deepStrictEqual(yield* readOne("a.json", content), {
        description: "x",
        metadata: { status: "completed", result: "open" }
      })
    })
  )

  it.effect("finds no tasks in an empty document or list", () =>
    Effect.gen(function* () {
      for (const content of ["", " \n", "[]", '{"tasks": []}']) {
        assert.deepStrictEqual(yield* read("a.json", content), [])
      }
    })
  )

  it.effect("reports the position of a syntax error", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* complaints("a.json", '[\n  "one",\n  "two",\n]\n'), [
        "a.json:4: not valid JSON at column 1: expected a value, found ]"
      ])
    })
  )

  it.effect("reports a document that is not a list", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* complaints("a.json", '{"description": "one"}'), [
        'a.json:1: expected a list of tasks, or an object with such a list as its "tasks"'
      ])
    })
  )

  it.effect("reports each element that is not a task", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* complaints("a.json", '["one",\n2,\n{"description": ""}]'), [
        "a.json:2: expected an object with a description, or a string, but found 2",
        "a.json:3: the description is empty; write what the task is to do"
      ])
    })
  )
})

describeSources("jsonl", (it) => {
  it.effect("reads one object or string per line and skips blank lines", () =>
    Effect.gen(function* () {
      const content = '{"description": "one"}\n\n  "two"  \r\n\t\n{"prompt": "three"}'
      assert.deepStrictEqual(yield* descriptions("a.jsonl", content), [
        [1, "one"],
        [3, "two"],
        [5, "three"]
      ])
    })
  )

  it.effect("ignores a byte order mark", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* descriptions("a.ndjson", '\uFEFF{"description": "one"}\n'), [[1, "one"]])
    })
  )

  it.effect("reports each invalid line and each line that is not a record", () =>
    Effect.gen(function* () {
      const content =
        '{"description": "one"}\n{"description": "two"\nplain text\n[1]\n7\nnull\n{"description": "a\tb"}\n'
      assert.deepStrictEqual(yield* complaints("a.jsonl", content), [
        "a.jsonl:2: not valid JSON at column 22: expected a comma or }, found the end",
        "a.jsonl:3: not valid JSON at column 1: expected a value, found plain text",
        "a.jsonl:4: expected an object with a description, or a string, but found a list",
        "a.jsonl:5: expected an object with a description, or a string, but found 7",
        "a.jsonl:6: expected an object with a description, or a string, but found null",
        "a.jsonl:7: not valid JSON at column 17: this string has an invalid escape (write a backslash as \\\\) or a control character"
      ])
    })
  )

  it.effect("reports the first twenty problems and counts the rest", () =>
    Effect.gen(function* () {
      const lines = yield* complaints("a.jsonl", "{}\n".repeat(25))
      assert.strictEqual(lines.length, 21)
      assert.strictEqual(
        lines[19],
        "a.jsonl:20: the field \"description\" is missing; the fields are (none); add it, or build it from others with --template '… {{title}} …'"
      )
      assert.strictEqual(lines[20], "and 5 more")
    })
  )

  it.effect("numbers lines that span many chunks of the file", () =>
    Effect.gen(function* () {
      const long = "é".repeat(300_000)
      const content = `${JSON.stringify(long)}\n"short"\n\n${JSON.stringify(long)}\n"end"\n`
      assert.deepStrictEqual(yield* descriptions("a.jsonl", content), [
        [1, long],
        [2, "short"],
        [4, long],
        [5, "end"]
      ])
    })
  )

  it.effect("preserves a description of several megabytes with NUL and emoji", () =>
    Effect.gen(function* () {
      const description = "a\u0000😀\n".repeat(500_000)
      assert.strictEqual((yield* readOne("a.jsonl", JSON.stringify({ description })))?.description, description)
    })
  )

  const Records = Schema.Array(
    Schema.Struct({ description: Schema.NonEmptyString, extra: Schema.Record(Schema.String, Schema.Json) })
  )
  it.effect.prop("reads back every list of records", [Records], ([records]) =>
    Effect.gen(function* () {
      const written = records.map(({ description, extra }) => ({ description: `x${description}`, metadata: extra }))
      const tasks = yield* read("a.jsonl", written.map((record) => JSON.stringify(record)).join("\n"))
      assert.deepStrictEqual(
        tasks.map(({ line, task }) => [line, task.description, task.metadata ?? {}]),
        written.map(({ description, metadata }, i) => [i + 1, description, JSON.parse(JSON.stringify(metadata))])
      )
    })
  )
})
