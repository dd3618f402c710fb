import { TaskStoreSuite } from "@baton/core/testing"
import { assert, describe, it } from "@effect/vitest"
import { layerChecked, newFile } from "./temporary.ts"
import { soak } from "../../../core/test/soak.ts"

TaskStoreSuite.suite(it, {
  name: "json",
  makePlace: newFile,
  open: (filename) => layerChecked(filename),
  capabilities: { places: "exclusive" },
  sequences: soak * 5
})

// A file without history does not contain the ledgers that the suite checks. The groups that write them; the rest of the store
// is the same as above.
const groups = new Set(["settling", "checkpoints", "sweeping", "ledger", "administration", "reviews", "transfer"])

describe("a store without history", () => {
  const cases = TaskStoreSuite.cases({
    name: "json, without history",
    makePlace: newFile,
    open: (filename) => layerChecked(filename, { history: false }),
    capabilities: { places: "once" }
  }).filter(({ group }) => groups.has(group))
  assert.deepStrictEqual(new Set(cases.map(({ group }) => group)), groups)
  for (const { group, name, run } of cases) it.effect(`${group}: ${name}`, () => run)
})
