import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Budget } from "@baton/core"

/** What version 0.1 wrote, with `null` for what does not exist, and the same as it is written now. */
const reads = <S extends Schema.Codec<unknown, unknown>>(name: string, schema: S, earlier: string, now: string) =>
  it(name, () => {
    const json = Schema.fromJsonString(Schema.toCodecJson(schema))
    const value = Schema.decodeUnknownSync(json)(earlier)
    assert.deepStrictEqual(value, Schema.decodeUnknownSync(json)(now))
    assert.strictEqual(JSON.stringify(value).includes("null"), false)
    assert.strictEqual(Schema.encodeUnknownSync(json)(value), now)
  })

describe("data of earlier versions, in which `null` stands for an absent key, is read", () => {
  const amounts = '"committed":{"nanoUsd":1,"tokens":2},"reserved":{"nanoUsd":0,"tokens":0}'

  reads(
    "as a budget",
    Budget.Budget,
    `{"queue":"a","limit":{"nanoUsd":null,"tokens":5},${amounts}}`,
    `{"queue":"a","limit":{"tokens":5},${amounts}}`
  )
})
