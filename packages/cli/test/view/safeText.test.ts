import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { firstLine, safeText } from "../../src/view/safeText.ts"

const isHarmless = (text: string) =>
  // eslint-disable-next-line no-control-regex
  !/[\x00-\x08\x0B-\x1F\x7F-\x9F\u202A-\u202E\u2066-\u2069]/.test(text)

describe("safeText", () => {
  it("keeps text, line breaks and tabs unchanged", () => {
    const text = "Größe\t12\n日本語 👩‍👩‍👧 e\u0301\n"
    assert.strictEqual(safeText(text), text)
  })

  it("removes colours, cursor movements, titles and links", () => {
    assert.strictEqual(safeText("\u001B[31mred\u001B[0m"), "red")
    assert.strictEqual(safeText("a\u001B[2J\u001B[1;1Hb"), "ab")
    assert.strictEqual(safeText("\u001B]0;owned\u0007text"), "text")
    assert.strictEqual(safeText("\u001B]8;;https://a.example\u001B\\link\u001B]8;;\u001B\\"), "link")
    assert.strictEqual(safeText("\u009B31mred"), "red")
    assert.strictEqual(safeText("\u001BPq#0\u001B\\text"), "text")
  })

  it("makes other control characters visible", () => {
    assert.strictEqual(safeText("a\rb\u0000c\u0007d\u007Fe"), "a␍b␀c␇d␡e")
    assert.strictEqual(safeText("\u0085"), "<U+0085>")
  })

  it("normalizes Windows line breaks", () => {
    assert.strictEqual(safeText("a\r\nb"), "a\nb")
  })

  it("neutralizes text direction overrides", () => {
    assert.strictEqual(safeText("\u202Egpj.exe"), "<U+202E>gpj.exe")
  })

  it.prop(
    "removes nested, truncated and unterminated sequences",
    [
      Schema.Array(
        Schema.Literals([
          "\u001B",
          "[",
          "]",
          "0;",
          "31",
          "m",
          "\u0007",
          "\\",
          "P",
          "\u009B",
          "\u009D",
          "\u009C",
          "\r",
          "x"
        ])
      )
    ],
    ([pieces]) => {
      assert.isTrue(isHarmless(safeText(pieces.join(""))))
    }
  )

  it("takes linear time for any text", () => {
    // Quadratic work would take minutes here.
    assert.isTrue(isHarmless(safeText("\u001B]".repeat(500_000))))
    assert.isTrue(isHarmless(safeText("\u001B[" + "1".repeat(1_000_000))))
    assert.isTrue(isHarmless(safeText("\u001B]" + "x".repeat(1_000_000))))
  })
})

describe("firstLine", () => {
  it("is the first nonblank line, marked if more text follows", () => {
    assert.strictEqual(firstLine("one"), "one")
    assert.strictEqual(firstLine("\n\n  one  \n"), "one")
    assert.strictEqual(firstLine("one\ntwo"), "one…")
    assert.strictEqual(firstLine("one\r\ntwo"), "one…")
    assert.strictEqual(firstLine(""), "")
  })

  it("contains no tabs, which would misalign a table", () => {
    assert.strictEqual(firstLine("a\tb"), "a b")
  })

  it("cuts a line that is wider than any terminal", () => {
    const line = firstLine("x".repeat(5_000_000))
    assert.strictEqual(line.length, 4097)
    assert.isTrue(line.endsWith("x…"))
  })
})
