import { assert, describe, it } from "@effect/vitest"
import { splitLines } from "../../src/claude-code/internal/session.ts"

const read = (limit: number, ...chunks: ReadonlyArray<string | Uint8Array>) => {
  const lines: Array<string | null> = []
  const { end, push } = splitLines(limit, (line) => lines.push(line))
  for (const chunk of chunks) push(typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk)
  end()
  return lines
}

describe("splitLines", () => {
  it("finds lines wherever chunks end, characters cut in two included", () => {
    const bytes = new TextEncoder().encode("one 🥐\ntwo\n\nthree")
    for (let cut = 0; cut <= bytes.length; cut++) {
      assert.deepStrictEqual(read(100, bytes.subarray(0, cut), bytes.subarray(cut)), ["one 🥐", "two", "three"])
    }
    assert.deepStrictEqual(read(100, ...Array.from(bytes, (byte) => Uint8Array.of(byte))), ["one 🥐", "two", "three"])
  })

  it("passes null once for a line that is too long, and continues with the next", () => {
    assert.deepStrictEqual(read(4, "abcd\nabcde\nab", "cde", "fghi\nok"), ["abcd", null, null, "ok"])
    assert.deepStrictEqual(read(4, "abc", "de"), [null])
  })

  it("keeps only the rest of the last line of a chunk", () => {
    const chunk = new TextEncoder().encode("one\ntwo")
    const lines: Array<string | null> = []
    const { end, push } = splitLines(100, (line) => lines.push(line))
    push(chunk)
    chunk.fill(0)
    end()
    assert.deepStrictEqual(lines, ["one", "two"])
  })
})
