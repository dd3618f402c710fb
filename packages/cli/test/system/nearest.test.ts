import { assert, describe, it } from "@effect/vitest"
import { nearest } from "../../src/system/nearest.ts"

const flags = ["concurrency", "max-attempts", "max-consecutive-failures", "max-cost", "store", "shell", "json"]

describe("nearest", () => {
  it("finds names that differ by a few letters, the nearest first", () => {
    assert.deepStrictEqual(nearest("concurency", flags), ["concurrency"])
    assert.deepStrictEqual(nearest("sotre", flags), ["store"])
    assert.deepStrictEqual(nearest("jsno", flags), ["json"])
  })

  it("finds a name by a part of it", () => {
    assert.deepStrictEqual(nearest("max-failures", flags), ["max-consecutive-failures"])
    assert.deepStrictEqual(nearest("attempts", flags), ["max-attempts"])
  })

  it("finds nothing if no name is similar", () => {
    assert.deepStrictEqual(nearest("frobnicate", flags), [])
    assert.deepStrictEqual(nearest("xyz", []), [])
  })
})
