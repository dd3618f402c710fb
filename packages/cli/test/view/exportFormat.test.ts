import { Attempt, Execution, Task } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Stream } from "effect"
import type { TaskWithHistory } from "../../src/view/json.ts"
import * as exportFormat from "../../src/view/exportFormat.ts"

const at = DateTime.makeUnsafe(0)

const task: Task.Task = {
  id: Task.TaskId.make("a"),
  queue: Task.defaultQueue,
  description: "Do it",
  overrides: {},
  status: "completed",
  attempts: 1,
  metadata: {},
  priority: 0,
  availableAt: at,
  dependsOn: [],
  verified: true,
  requeues: 0,
  createdAt: at,
  updatedAt: at
}

const ran = (model: string): Attempt.Attempt => ({
  taskId: task.id,
  number: 1,
  token: Attempt.LeaseToken.make(1),
  owner: "w",
  startedAt: at,
  endedAt: at,
  execution: Execution.make({ output: "", metadata: { model } }),
  outcome: "completed"
})

const render = (changes: Partial<TaskWithHistory>) =>
  Effect.map(
    Stream.mkString(Stream.map(exportFormat.render.md(Stream.succeed({ ...task, ...changes }), []), String)),
    (text) => text.split("\n")
  )

describe("markdown", () => {
  it.effect("fences a result that contains fences", () =>
    Effect.gen(function* () {
      const lines = yield* render({ result: "```js\nrun()\n```\n" })
      assert.deepStrictEqual(lines.slice(10), ["Result:", "", "````", "```js", "run()", "```", "````", ""])
    })
  )

  it.effect("fences a description, so that Markdown and HTML in it are text", () =>
    Effect.gen(function* () {
      const hostile = "# Not a heading\n<script>x()</script>\n![](https://a.example/x.png)\n```"
      const lines = yield* render({ description: hostile })
      assert.deepStrictEqual(lines.slice(6, 12), ["````", ...hostile.split("\n"), "````"])
    })
  )

  it.effect("escapes the name of a model", () =>
    Effect.gen(function* () {
      const lines = yield* render({ history: [ran("<img src=x>*")] })
      assert.strictEqual(lines[4], "*completed · verified · 1 attempt · \\<img src=x\\>\\**")
    })
  )

  it.effect("writes an id that contains backticks", () =>
    Effect.gen(function* () {
      const lines = yield* render({ id: Task.TaskId.make("a`b") })
      assert.strictEqual(lines[2], "## `` a`b ``")
    })
  )
})
