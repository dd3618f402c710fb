import { Task } from "@baton/core"
import { assert } from "@effect/vitest"
import { Effect } from "effect"
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
          task: Task.make({ id: "task-002", description: "Write a limerick", metadata: { style: "bawdy" } })
        },
        { line: 21, task: Task.make({ id: "task-003", description: "Write an ode" }) }
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
