import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { baton, folder, list } from "./baton.ts"

describe("a spreadsheet", () => {
  it.live("is read as people write it: names in any case, semicolons, and words as a priority", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("people.csv", "ID;Description;Priority;Size\r\nA;Say 1,5;high;2\r\nB;Say 2;low;9\r\n")
      const run = yield* baton(dir.path, [
        ...["run", "people.csv", "--exec", "cat", "--no-verify", "-j", "1", "--column", "priority=Size"]
      ])
      assert.strictEqual(run.code, 0, run.stderr)
      const tasks = yield* list(dir.path)
      assert.deepStrictEqual(
        tasks.map(({ id, result }) => [id, result]),
        [
          ["A", "Say 1,5"],
          ["B", "Say 2"]
        ]
      )
    })
  )

  it.live("takes quotes in a TSV file as text where they do not enclose a field", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("a.tsv", 'id\tdescription\n1\tA 24" screen\n2\tSay "hello" twice\n3\t"A ""quoted"" field"\n4\tend"\n')
      const { stderr, stdout } = yield* baton(dir.path, ["import", "a.tsv"])
      assert.deepStrictEqual([stdout, stderr], ["a.tsv: 4 tasks added\n", ""])
      assert.deepStrictEqual(
        (yield* list(dir.path)).map(({ description, id }) => [id, description]),
        [
          ["1", 'A 24" screen'],
          ["2", 'Say "hello" twice'],
          ["3", 'A "quoted" field'],
          ["4", 'end"']
        ]
      )
    })
  )

  it.live("takes the delimiter that the user names, and refuses one that cannot be", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("a.csv", "id|description\n1|a;b,c\n")
      const { stdout } = yield* baton(dir.path, ["import", "a.csv", "--delimiter", "|"])
      assert.strictEqual(stdout, "a.csv: 1 task added\n")
      const { stderr } = yield* baton(dir.path, ["import", "a.csv", "--delimiter", "||"])
      assert.include(stderr, `--delimiter is "||": it takes one character such as ';', or the word tab.`)
      dir.write("b.csv", "id;description\n1;a\n")
      assert.include(
        (yield* baton(dir.path, ["import", "b.csv", "--delimiter", ","])).stderr,
        "b.csv:1: the columns are separated by semicolons; add --delimiter ';'"
      )
      const wrong = yield* baton(dir.path, ["import", "a.csv", "--column", "rank=x"])
      assert.include(wrong.stderr, "it takes a field (id, description, metadata, priority, availableAt, dependsOn, ")
    })
  )

  it.live("with a row that renders nothing causes a warning in the colour of warnings", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("a.csv", "title,n\nx,1\n,2\n")
      const args = ["a.csv", "--template", "{{title}}"]
      const message = "a.csv:3: the template renders an empty description for this record"
      const imported = yield* baton(dir.path, ["import", ...args], { FORCE_COLOR: "1" })
      assert.strictEqual(imported.stderr, `\u001B[33mwarning:\u001B[39m ${message}\n`)
      const run = yield* baton(dir.path, ["run", ...args, "--exec", "cat", "--no-verify"], { FORCE_COLOR: "1" })
      assert.include(run.stderr, `\u001B[33m!\u001B[39m ${message}\n`)
    })
  )
})
