import { assert, describe, it } from "@effect/vitest"
import { tokenBound } from "../../src/internal/chat/tokenBound.ts"

describe("the bound of a text's tokens", () => {
  it("counts a frequent word as one token, and other words of frequent letters with two thirds of their letters", () => {
    assert.strictEqual(tokenBound(" the"), 1)
    assert.strictEqual(tokenBound(" planetarium"), 8)
    // It starts a longer word, which a tokenizer may split anywhere.
    assert.strictEqual(tokenBound(" the\u00e9"), 6)
    assert.strictEqual(tokenBound(" theX"), 5)
  })

  it("counts everything else with its bytes: rare letters, capitals, digits, other scripts, ligatures", () => {
    assert.strictEqual(tokenBound(" qzxj"), 5)
    assert.strictEqual(tokenBound("TOKENS 12345"), 12)
    assert.strictEqual(tokenBound("\u65e5\u672c\u8a9e"), 9)
    // The longest expansion of one character.
    assert.strictEqual(tokenBound("\ufdfa"), 33)
  })

  it("is less than half of the bytes of plain English", () => {
    const text =
      "Read the report and write a short summary of its main results for the people who have to decide about the next steps. "
    assert.isBelow(tokenBound(text), text.length / 2)
    // The public tokenizers have 23 tokens.
    assert.isAbove(tokenBound(text), 23)
  })
})
