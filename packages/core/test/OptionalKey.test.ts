import { OptionalKey } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Schema } from "effect"

const Timed = Schema.Struct({
  id: Schema.String,
  at: OptionalKey.optionalNullOr(Schema.DateTimeUtcFromString)
})

const text = "2026-01-02T03:04:05.000Z"
const at = DateTime.makeUnsafe(text)

describe("optionalNullOr", () => {
  it("reads a value, and an absent key or null as nothing", () => {
    const decode = Schema.decodeUnknownSync(Timed)
    assert.deepStrictEqual(decode({ id: "a", at: text }), { id: "a", at })
    assert.deepStrictEqual(decode({ id: "a" }), { id: "a" })
    assert.deepStrictEqual(decode({ id: "a", at: null }), { id: "a" })
    assert.throws(() => decode({ id: "a", at: "tomorrow" }))
  })

  it("writes a value, and nothing as an absent key", () => {
    for (const schema of [Timed, Schema.toCodecJson(Timed)]) {
      const encode = Schema.encodeUnknownSync(schema)
      assert.deepStrictEqual(encode({ id: "a", at }), { id: "a", at: text })
      assert.deepStrictEqual(encode({ id: "a" }), { id: "a" })
      assert.deepStrictEqual(encode({ id: "a", at: undefined }), { id: "a" })
    }
  })
})
