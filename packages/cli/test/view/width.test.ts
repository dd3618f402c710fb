import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { displayWidth, fit, pad } from "../../src/view/width.ts"

describe("width", () => {
  it("counts terminal cells, not characters", () => {
    assert.strictEqual(displayWidth("abc"), 3)
    assert.strictEqual(displayWidth("é"), 1)
    assert.strictEqual(displayWidth("e\u0301"), 1)
    assert.strictEqual(displayWidth("日本"), 4)
    assert.strictEqual(displayWidth("👩‍👩‍👧!"), 3)
    assert.strictEqual(displayWidth("❤️"), 2)
    assert.strictEqual(displayWidth("…█░"), 3)
    assert.strictEqual(displayWidth("\u200B"), 0)
  })

  it("cuts text to a number of cells and marks the cut", () => {
    assert.strictEqual(fit("abc", 3), "abc")
    assert.strictEqual(fit("abcd", 3), "ab…")
    assert.strictEqual(fit("abc", 1), "…")
    assert.strictEqual(fit("abc", 0), "")
    assert.strictEqual(fit("日本語", 6), "日本語")
    assert.strictEqual(fit("日本語", 5), "日本…")
    assert.strictEqual(fit("日本語", 4), "日…")
    assert.strictEqual(fit("anything at all", Infinity), "anything at all")
  })

  it.prop(
    "never exceeds the width, and does not change a line that fits",
    [
      Schema.Array(Schema.Literals(["a", "日", "e\u0301", "👩‍👩‍👧", "❤️", "\u200B", "…", "한"])),
      Schema.Literals([0, 1, 2, 5, 9])
    ],
    ([characters, cells]) => {
      const text = characters.join("")
      assert.isAtMost(displayWidth(fit(text, cells)), cells)
      if (displayWidth(text) <= cells && cells > 0) assert.strictEqual(fit(text, cells), text)
    }
  )

  it("pads on either side", () => {
    assert.strictEqual(pad("日", 4), "日  ")
    assert.strictEqual(pad("7", 3, "right"), "  7")
    assert.strictEqual(pad("longer", 3), "longer")
  })
})
