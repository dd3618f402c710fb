import { assert, describe, it } from "@effect/vitest"
import { FingerprintTable } from "../../src/sources/FingerprintTable.ts"
import { fingerprint } from "../../src/sources/stableId.ts"

describe("FingerprintTable", () => {
  it("holds the same entries as a map while it grows", () => {
    const table = new FingerprintTable()
    for (let i = 1; i <= 20_000; i++) table.set(fingerprint(`key ${i}`), i)
    for (let i = 1; i <= 20_000; i++) assert.strictEqual(table.get(fingerprint(`key ${i}`)), i)
    assert.strictEqual(table.get(fingerprint("another key")), 0)
  })

  it("replaces the number of an existing fingerprint", () => {
    const table = new FingerprintTable()
    table.set(fingerprint("a"), 1)
    table.set(fingerprint("a"), 4_294_967_295)
    assert.strictEqual(table.get(fingerprint("a")), 4_294_967_295)
  })

  it("increments numbers", () => {
    const table = new FingerprintTable()
    assert.deepStrictEqual(
      ["a", "b", "a", "a", "b"].map((key) => table.increment(fingerprint(key))),
      [1, 1, 2, 3, 2]
    )
  })

  it("distinguishes fingerprints that hash to the same slot", () => {
    const table = new FingerprintTable()
    table.set("0000000000000001", 1)
    table.set("0000000100000001", 2)
    table.set("0000000000000401", 3)
    assert.deepStrictEqual(
      ["0000000000000001", "0000000100000001", "0000000000000401", "0000000200000001"].map((it) => table.get(it)),
      [1, 2, 3, 0]
    )
  })

  it("distinguishes the all-zero fingerprint from a free slot", () => {
    const table = new FingerprintTable()
    assert.strictEqual(table.get("0000000000000000"), 0)
    table.set("0000000000000000", 7)
    assert.strictEqual(table.get("0000000000000000"), 7)
  })
})
