import { Task } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Stream } from "effect"
import * as exportFormat from "../../src/view/exportFormat.ts"

const at = DateTime.makeUnsafe(0)

const task: Task.Task = {
  id: Task.TaskId.make("a"),
  queue: Task.defaultQueue,
  description: "Do it",
  payload: null,
  overrides: {},
  status: "completed",
  result: null,
  attempts: 1,
  metadata: {},
  priority: 0,
  availableAt: at,
  dependsOn: [],
  feedback: null,
  verified: true,
  requeues: 0,
  usage: null,
  createdAt: at,
  updatedAt: at
}

const render = (changes: Partial<Task.Task>) =>
  Effect.map(Stream.mkString(exportFormat.render.md(Stream.succeed({ ...task, ...changes }))), (text) =>
    text.split("\n")
  )

describe("markdown", () => {
  it.effect("fences a result that contains fences", () =>
    Effect.gen(function* () {
      const lines = yield* render({ result: "```js\nrun()\n```\n" })
      assert.deepStrictEqual(lines.slice(8), ["Result:", "", "````", "```js", "run()", "```", "````", ""])
    })
  )

  it.effect("quotes a description that contains Markdown", () =>
    Effect.gen(function* () {
      const lines = yield* render({ description: "# Not a heading\n\n- nor a list" })
      assert.deepStrictEqual(lines.slice(6, 9), ["> # Not a heading", ">", "> - nor a list"])
    })
  )

  it.effect("writes an id that contains backticks", () =>
    Effect.gen(function* () {
      const lines = yield* render({ id: Task.TaskId.make("a`b") })
      assert.strictEqual(lines[2], "## `` a`b ``")
    })
  )
})
