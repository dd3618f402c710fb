import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Text from "../src/internal/store/text.ts"

/** Strings of characters that databases cannot hold, of characters that mark them, and of harmless ones. */
const Awkward = Schema.Array(
  Schema.Literals(["\0", "\u0001", "\ud83d", "\ude00", "0000", "0001", "d83d", "a", "é", "\uffff", "\\"])
)

describe("text in a store", () => {
  it.effect.prop(
    "is decoded to the original text, and contains no character that a database cannot hold",
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

  it("stays unchanged without such characters, and readable with them", () => {
    assert.equal(Text.encode("naïve \ud83d\ude00"), "naïve \ud83d\ude00")
    assert.equal(Text.encode("a\0b"), "a\u00010000b")
    assert.equal(Text.decode(`Worker ${Text.encode("\ud83d")} stopped.`), "Worker \ud83d stopped.")
  })
})
