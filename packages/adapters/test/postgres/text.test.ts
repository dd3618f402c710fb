import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Text from "../../src/postgres/internal/text.ts"

/** Strings of units that PostgreSQL cannot hold, of those that mark them, and of what is harmless. */
const Awkward = Schema.Array(
  Schema.Literals(["\0", "\u0001", "\ud83d", "\ude00", "0000", "0001", "d83d", "a", "é", "\uffff", "\\"])
)

describe("text in PostgreSQL", () => {
  it.effect.prop(
    "comes back as it was, whatever is in it, and holds nothing that cannot be stored",
    [Awkward],
    ([units]) =>
      Effect.sync(() => {
        const text = units.join("")
        const encoded = Text.encode(text)
        assert.isTrue(encoded.isWellFormed() && !encoded.includes("\0"))
        assert.equal(Text.decode(encoded), text)
      })
  )

  it.effect.prop("is different for different strings", [Awkward, Awkward], ([left, right]) =>
    Effect.sync(() => {
      assert.equal(Text.encode(left.join("")) === Text.encode(right.join("")), left.join("") === right.join(""))
    })
  )

  it("is as it was where nothing is awkward, and readable where something is", () => {
    assert.equal(Text.encode("naïve \ud83d\ude00"), "naïve \ud83d\ude00")
    assert.equal(Text.encode("a\0b"), "a\u00010000b")
    assert.equal(Text.decode(`Worker ${Text.encode("\ud83d")} stopped.`), "Worker \ud83d stopped.")
  })
})
