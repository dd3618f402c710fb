import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Schema } from "effect"
import { ofContent } from "../../src/sources/stableId.ts"
import { describeSources, read } from "./sourceFiles.ts"

const ids = (content: string) => Effect.map(read("a.jsonl", content), (tasks) => tasks.map(({ task }) => task.id))

describe("stableId", () => {
  it("is the same in every version, so that importing a list again adds nothing", () => {
    assert.strictEqual(ofContent({ description: "Write a haiku" }), "2d021ab0bb2256c2")
    const availableAt = DateTime.makeUnsafe("2026-03-01T00:00:00Z")
    assert.strictEqual(
      ofContent({ description: "é\n", metadata: { b: [1, { d: null, c: true }], a: "x" }, priority: 2, availableAt }),
      "b024cbbae31039e1"
    )
  })

  it("treats missing fields as their defaults", () => {
    assert.strictEqual(ofContent({ description: "x" }), ofContent({ description: "x", metadata: {}, priority: 0 }))
  })

  it("depends on every field of a task", () => {
    const task = { description: "x", metadata: { a: 1 } }
    const others = [
      { ...task, description: "y" },
      { ...task, metadata: { a: "1" } },
      { ...task, metadata: { a: 1, b: null } },
      { ...task, priority: 1 },
      { ...task, availableAt: DateTime.makeUnsafe(0) }
    ]
    assert.strictEqual(new Set([task, ...others].map(ofContent)).size, 6)
  })

  const reversed = (value: Schema.Json): Schema.Json => {
    if (typeof value !== "object" || value === null) return value
    return Array.isArray(value)
      ? value.map(reversed)
      : Object.fromEntries(
          Object.entries(value)
            .toReversed()
            .map(([key, field]: [string, Schema.Json]) => [key, reversed(field)])
        )
  }

  it.prop("does not depend on the order of the fields", [Schema.Record(Schema.String, Schema.Json)], ([metadata]) => {
    const other = Schema.decodeUnknownSync(Schema.JsonObject)(reversed(metadata))
    assert.strictEqual(ofContent({ description: "x", metadata }), ofContent({ description: "x", metadata: other }))
  })
})

describeSources("the ids of a source", (it) => {
  it.effect("are the same on every import, in any format and order of fields", () =>
    Effect.gen(function* () {
      const expected = yield* ids('{"description": "x", "a": "1", "b": "2"}')
      assert.deepStrictEqual(yield* ids('{"b": "2",   "a": "1", "description": "x"}'), expected)
      assert.deepStrictEqual(
        (yield* read("a.csv", "b,description,a\n2,x,1\n")).map(({ task }) => task.id),
        expected
      )
    })
  )

  it.effect("distinguish equal records and do not change when other records are inserted", () =>
    Effect.gen(function* () {
      const [first, second, third] = yield* ids('"x"\n"x"\n"x"\n')
      assert.deepStrictEqual([second, third], [`${first}-2`, `${first}-3`])
      assert.deepStrictEqual(
        (yield* ids('"y"\n"x"\n"z"\n"x"\n')).filter((_, i) => i % 2 === 1),
        [first, second]
      )
    })
  )

  it.effect("are the explicit ones if the source gives them", () =>
    Effect.gen(function* () {
      assert.deepEqual(yield* ids('{"id": " a ", "description": "x"}\n{"id": 2, "description": "x"}'), ["a", "2"])
    })
  )
})
