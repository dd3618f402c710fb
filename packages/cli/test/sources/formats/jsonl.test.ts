import { assert } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { complaints, describeSources, descriptions, read, readOne } from "../sourceFiles.ts"

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
        "a.jsonl:20: there is no field \"description\"; the fields are (none); add one, or build it from other ones with --template '… {{title}} …'"
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
