import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import * as Kind from "../../src/system/Kind.ts"

describe("Kind", () => {
  it("durations have units; several are added", () => {
    const millis = (text: string) => {
      const duration = Kind.duration().read(text)
      return duration === undefined ? undefined : Duration.toMillis(duration)
    }
    assert.deepStrictEqual(
      ["500ms", "30s", "10m", "8h", "2d", "1.5s", "1h30m", "0s"].map(millis),
      [500, 30_000, 600_000, 28_800_000, 172_800_000, 1500, 5_400_000, 0]
    )
    for (const text of ["", "30", "s", "-1s", "1 s", "1w", "30sec", "1s!"]) assert.isUndefined(millis(text), text)
  })

  it("a duration below the minimum is refused with the minimum", () => {
    const kind = Kind.duration("1 second")
    assert.isUndefined(kind.read("999ms"))
    assert.isDefined(kind.read("1s"))
    assert.include(kind.expected, "of at least 1s")
  })

  it("counts are whole numbers from the minimum", () => {
    const kind = Kind.count(1)
    assert.deepStrictEqual(["1", "64", "0", "-1", "1.5", "1e3", "", "x", "99999999999999999999"].map(kind.read), [
      1,
      64,
      ...Array.from({ length: 7 }, () => undefined)
    ])
  })

  it("an address that others reach is not that of all interfaces", () => {
    assert.deepStrictEqual(
      ["4001", "10.0.0.7:4001", "worker-1:4001", "0.0.0.0:4001", "[::]:4001", "10.0.0.7", "10.0.0.7:99999"].map(
        Kind.reachableAddress.read
      ),
      [
        { host: "127.0.0.1", port: 4001 },
        { host: "10.0.0.7", port: 4001 },
        { host: "worker-1", port: 4001 },
        ...Array.from({ length: 4 }, () => undefined)
      ]
    )
  })

  it("a fraction is a number from 0 to 1", () => {
    assert.deepStrictEqual(["0", "1", "0.8", ".5", "1.0", "1.1", "-0.5", "80%", "", "."].map(Kind.share.read), [
      0,
      1,
      0.8,
      0.5,
      1,
      ...Array.from({ length: 5 }, () => undefined)
    ])
  })

  it("money may have a dollar sign and is greater than zero", () => {
    assert.deepStrictEqual(["2.50", "$10", ".5", "0", "-1", "2,50", "$"].map(Kind.dollars.read), [
      2.5,
      10,
      0.5,
      ...Array.from({ length: 4 }, () => undefined)
    ])
  })

  it("choices are taken unchanged and listed in the help", () => {
    const kind = Kind.oneOf("retry", "dead-letter")
    assert.strictEqual(kind.read("retry"), "retry")
    assert.isUndefined(kind.read("Retry"))
    assert.strictEqual(kind.expected, "retry or dead-letter")
    assert.strictEqual(Kind.oneOf("fake").expected, "fake")
    assert.isUndefined(Kind.oneOf("fake").read("toString"))
  })

  it("on and off have several names", () => {
    assert.deepStrictEqual(["true", "yes", "on", "1", "false", "no", "off", "0"].map(Kind.onOff.read), [
      ...Array.from({ length: 4 }, () => true),
      ...Array.from({ length: 4 }, () => false)
    ])
    for (const text of ["", "maybe", "TRUE "]) assert.isUndefined(Kind.onOff.read(text), text)
  })

  it("text is not blank", () => {
    assert.isUndefined(Kind.text("CMD", "a command").read("  "))
    assert.strictEqual(Kind.text("CMD", "a command").read(" wc "), " wc ")
  })
})
