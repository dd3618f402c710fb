import { Task } from "@baton/core"
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { complaints, describeSources, descriptions, read } from "../sourceFiles.ts"

describeSources("yaml", (it) => {
  it.effect("reads a list of mappings and strings, each with the line where it starts", () =>
    Effect.gen(function* () {
      const content = "# work\n- description: |\n    one\n    more\n  n: 1\n\n- two\n- prompt: three\n"
      assert.deepStrictEqual(yield* descriptions("a.yaml", content), [
        [2, "one\nmore\n"],
        [7, "two"],
        [8, "three"]
      ])
    })
  )

  it.effect("reads the list `tasks` of a mapping, with anchors and merged mappings", () =>
    Effect.gen(function* () {
      const content =
        "base: &base {priority: 5, team: docs}\ntasks:\n  - {<<: *base, id: 1, description: x}\n  - id: b\n    description: y\n    dependsOn: [1]\n"
      assert.deepStrictEqual(yield* read("a.yml", content), [
        { line: 3, task: Task.makeNew({ id: "1", description: "x", metadata: { team: "docs" }, priority: 5 }) },
        { line: 4, task: Task.makeNew({ id: "b", description: "y", dependsOn: ["1"] }) }
      ])
    })
  )

  it.effect("finds no tasks in an empty document or list", () =>
    Effect.gen(function* () {
      for (const content of ["", "# nothing\n", "---\n", "[]\n", "tasks: []\n"]) {
        assert.deepStrictEqual(yield* read("a.yaml", content), [])
      }
    })
  )

  it.effect("reports the line of a syntax error", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* complaints("a.yaml", "- description: one\n- description: a: b\n"), [
        "a.yaml:2: not valid YAML: Nested mappings are not allowed in compact mappings"
      ])
      assert.deepStrictEqual(yield* complaints("a.yaml", "- description: one\n  description: two\n"), [
        "a.yaml:2: not valid YAML: Map keys must be unique"
      ])
    })
  )

  it.effect("reports a second document", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* complaints("a.yaml", "- one\n---\n- two\n"), [
        "a.yaml:2: a second document starts here; put all tasks into one list of one document"
      ])
    })
  )

  it.effect("reports a document that is not a list", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* complaints("a.yaml", "\ndescription: one\n"), [
        'a.yaml:2: expected a list of tasks, or a mapping with such a list as its "tasks"'
      ])
    })
  )

  it.effect("reports each item that is not a task", () =>
    Effect.gen(function* () {
      const content =
        "- one\n- 42\n-\n- description: 7\n- description: x\n  n: .nan\n- *nowhere\n- description: x\n  id: 12345678901234567890\n"
      assert.deepStrictEqual(yield* complaints("a.yaml", content), [
        "a.yaml:2: expected an object with a description, or a string, but found 42",
        "a.yaml:3: expected an object with a description, or a string, but found null",
        'a.yaml:4: "description" must be text, but is 7; put it in double quotes',
        "a.yaml:5: this task has a value that JSON cannot represent, such as .nan or !!binary; put it in double quotes",
        "a.yaml:7: not valid YAML: the alias *nowhere has no anchor &nowhere before it",
        'a.yaml:8: "id" must be text, but is 12345678901234567000; put it in double quotes'
      ])
    })
  )

  it.effect("reports an anchor that contains itself", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* complaints("a.yaml", "- description: x\n  loop: &a [*a]\n- description: y\n"), [
        "a.yaml:1: not valid YAML: the anchor &a contains itself"
      ])
    })
  )

  it.effect("resolves an alias to the last anchor with its name, also in keys and merged lists", () =>
    Effect.gen(function* () {
      const content = [
        "- {description: one, a: &x 1}",
        "- {description: two, a: *x, b: &x {c: 2}}",
        "- {description: three, <<: [*x, {d: &k key}]}",
        "- {description: four, *k : *x}",
        "- &task {description: five}",
        "- *task"
      ].join("\n")
      const tasks = yield* read("a.yaml", content)
      assert.deepStrictEqual(
        tasks.map(({ task }) => task.metadata),
        [{ a: 1 }, { a: 1, b: { c: 2 } }, { c: 2, d: "key" }, { key: { c: 2 } }, undefined, undefined]
      )
      assert.deepStrictEqual(
        tasks.map(({ line }) => line),
        [1, 2, 3, 4, 5, 6]
      )
    })
  )

  it.effect("takes linear time for tasks that share an anchor", () =>
    Effect.gen(function* () {
      // Quadratic work would take minutes here.
      const shared = "- {description: first, team: &team {name: docs, lead: x}}\n"
      const tasks = yield* read("a.yaml", shared + "- {description: next, team: *team}\n".repeat(5000))
      assert.strictEqual(tasks.length, 5001)
    })
  )

  it.effect("refuses aliases that would exhaust the memory", () =>
    Effect.gen(function* () {
      const content = [
        "- &a [x, x, x, x, x, x, x, x, x]",
        ..."bcdefghi".split("").map((name, i) => `- &${name} [${Array(9).fill(`*${"abcdefgh"[i]}`).join(", ")}]`),
        "- description: x\n  bomb: *i"
      ].join("\n")
      const lines = yield* complaints("a.yaml", content)
      assert.strictEqual(
        lines.at(-1),
        "a.yaml:10: not valid YAML: its aliases stand for too many values; write the values out, or use fewer aliases"
      )
    })
  )
})
