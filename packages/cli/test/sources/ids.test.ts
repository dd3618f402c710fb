import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Schema } from "effect"
import { ofContent, FingerprintTable, fingerprint } from "../../src/sources/ids.ts"
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

describe("FingerprintTable", () => {
  it("holds the same entries as a map while it grows", () => {
    const table = new FingerprintTable()
    for (let i = 1; i <= 20_000; i++) table.set(fingerprint(`key ${i}`), i)
    for (let i = 1; i <= 20_000; i++) assert.strictEqual(table.get(fingerprint(`key ${i}`)), i)
    assert.strictEqual(table.get(fingerprint("another key")), 0)
  })

  it("replaces the number of an existing fingerprint", () => {
    const table = new FingerprintTable()
    table.set(fingerprint("a"), 1)
    table.set(fingerprint("a"), 4_294_967_295)
    assert.strictEqual(table.get(fingerprint("a")), 4_294_967_295)
  })

  it("increments numbers", () => {
    const table = new FingerprintTable()
    assert.deepStrictEqual(
      ["a", "b", "a", "a", "b"].map((key) => table.increment(fingerprint(key))),
      [1, 1, 2, 3, 2]
    )
  })

  it("distinguishes fingerprints that hash to the same slot", () => {
    const table = new FingerprintTable()
    table.set("0000000000000001", 1)
    table.set("0000000100000001", 2)
    table.set("0000000000000401", 3)
    assert.deepStrictEqual(
      ["0000000000000001", "0000000100000001", "0000000000000401", "0000000200000001"].map((it) => table.get(it)),
      [1, 2, 3, 0]
    )
  })

  it("distinguishes the all-zero fingerprint from a free slot", () => {
    const table = new FingerprintTable()
    assert.strictEqual(table.get("0000000000000000"), 0)
    table.set("0000000000000000", 7)
    assert.strictEqual(table.get("0000000000000000"), 7)
  })
})
