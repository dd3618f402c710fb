import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import * as Texts from "../../src/redis/internal/texts.ts"

const ids = ["a", "\ud800", "\ufffd", "\0", '\0"\\ud800"', '\0"a"', "a\nb", "ü", "\ud800\udc00", "{a}:1", " "]

describe("an id in Redis", () => {
  it.each(ids.map((id) => [JSON.stringify(id), id] as const))("%s comes back as it was", (_, id) => {
    const key = Texts.key(id)
    assert.isTrue(key.isWellFormed())
    assert.strictEqual(Texts.id(Buffer.from(key, "utf8").toString("utf8")), id)
  })

  it("is told from every other", () => {
    assert.lengthOf(new Set(ids.map(Texts.key)), ids.length)
  })
})

describe("a string in Redis", () => {
  it.each(["", "plain", 'with "quotes"', "a\\nb", "a\nb", "\ud800", "\0", "é👩‍👩‍👧"])("%j comes back as it was", (text) => {
    const json = Texts.json(text)
    assert.notInclude(json, "\n")
    assert.strictEqual(Texts.string(json), text)
  })

  it("is refused if it is none", () => {
    for (const wrong of ["garbage", "", "1", undefined]) assert.throws(() => Texts.string(wrong))
  })
})

it("a time in Redis is rounded up, and never later than the last day that there is", () => {
  assert.strictEqual(Texts.millis(1.2), "2")
  assert.strictEqual(Texts.duration(Duration.infinity), "8640000000000000")
  assert.strictEqual(Texts.millis(-1.5), "-1")
})
