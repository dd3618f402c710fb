import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { excerpt, formatBytes, shorten, whole, wholeWords } from "../../src/command/internal/output.ts"

const Chunks = Schema.Array(Schema.Array(Schema.Literals([97, 98, 10])).check(Schema.isMaxLength(40)))
const ascii = (bytes: ReadonlyArray<number>) => String.fromCharCode(...bytes)
const settings = { arbitrary: { runs: 500 } }

describe("excerpt", () => {
  it.prop(
    "is the whole while it is short, and else its beginning and its end, however it is cut into chunks",
    [Chunks],
    ([chunks]) => {
      const collector = excerpt(10, 20)
      for (const chunk of chunks) assert.isTrue(collector.push(Uint8Array.from(chunk)))
      const text = ascii(chunks.flat())
      const omitted = text.length - 30
      assert.strictEqual(
        collector.text(),
        omitted <= 0 ? text : `${text.slice(0, 10)}\n[... ${formatBytes(omitted)} left out ...]\n${text.slice(-20)}`
      )
    },
    settings
  )

  it.prop(
    "with no head is the end",
    [Chunks],
    ([chunks]) => {
      const collector = excerpt(0, 20)
      for (const chunk of chunks) collector.push(Uint8Array.from(chunk))
      const text = ascii(chunks.flat())
      assert.strictEqual(collector.text().replace(/^\[\.\.\. .* left out \.\.\.\]\n/, ""), text.slice(-20))
    },
    settings
  )

  it("cuts no character in two", () => {
    const collector = excerpt(6, 6)
    collector.push(new TextEncoder().encode("😀".repeat(5)))
    assert.strictEqual(collector.text(), "😀\n[... 8 bytes left out ...]\n😀")
  })
})

describe("wholeWords", () => {
  it("leaves out the rest of a word that was cut in two, and nothing else", () => {
    const cut = (text: string) => {
      const collector = excerpt(4, 20)
      collector.push(new TextEncoder().encode(text))
      return wholeWords(collector.text()).split("\n").at(-1)
    }
    assert.strictEqual(cut("the key sk-ant-0123456789 is wrong, sorry"), " is wrong, sorry")
    assert.strictEqual(cut(`the {"a":1,"b":2,"c":3,"d":4,"e":5}`), `,"c":3,"d":4,"e":5}`)
    assert.strictEqual(wholeWords("nothing was cut"), "nothing was cut")
  })
})

describe("whole", () => {
  it.prop(
    "keeps everything up to the limit, and says when there was more",
    [Chunks],
    ([chunks]) => {
      const collector = whole(50)
      const accepted = chunks.map((chunk) => collector.push(Uint8Array.from(chunk)))
      const text = ascii(chunks.flat())
      assert.strictEqual(collector.text(), text.slice(0, 50))
      assert.strictEqual(accepted.includes(false), text.length > 50)
    },
    settings
  )
})

describe("shorten", () => {
  it("leaves a text alone that fits", () => {
    assert.strictEqual(shorten("é".repeat(50), 100), "é".repeat(50))
    assert.strictEqual(shorten("a".repeat(100), 100), "a".repeat(100))
    assert.strictEqual(shorten(`${"a".repeat(100)}b`, 10), "aaaaa\n[... 91 bytes left out ...]\naaaab")
  })
})
