import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import "../../src/cli.ts"
import { settings } from "../../src/settings/envFlag.ts"

const source = readFileSync(new URL("../../src/settings/defineConfig.ts", import.meta.url), "utf8")

describe("defineConfig", () => {
  it("has a type for every flag that a configuration can set, and for no other", () => {
    const typed = Array.from(source.matchAll(/^ {2}readonly (\w+)\?:/gm), ([, name = ""]) => name)
    // These have no flag.
    const others = ["hooks", "profiles", "safety"]
    assert.deepStrictEqual(typed.toSorted(), [...settings.keys(), ...others].toSorted())
  })
})
