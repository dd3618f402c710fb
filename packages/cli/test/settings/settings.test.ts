import { assert, describe, it } from "@effect/vitest"
import { flagName, settingInFile, settingNames, settingOf, variableName } from "../../src/settings/settings.ts"

describe("settings", () => {
  it("have a flag and a variable that follow from the name", () => {
    assert.strictEqual(flagName("maxConsecutiveFailures"), "max-consecutive-failures")
    assert.strictEqual(variableName("maxConsecutiveFailures"), "BATON_MAX_CONSECUTIVE_FAILURES")
  })

  it("have defaults that they accept themselves", () => {
    for (const name of settingNames) {
      const { default: fallback, kind } = settingOf(name)
      if (fallback !== undefined) assert.isDefined(kind.read(fallback), name)
    }
  })

  it("are found by their key in the configuration file, except those that select the file", () => {
    assert.isDefined(settingInFile("maxCost"))
    assert.isUndefined(settingInFile("configFile"))
    assert.isUndefined(settingInFile("toString"))
  })
})
