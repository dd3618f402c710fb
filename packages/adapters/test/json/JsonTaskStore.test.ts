import { TaskStoreSuite } from "@baton/core/testing"
import { describe, it } from "@effect/vitest"
import { layerChecked, newFile } from "./temporary.ts"

TaskStoreSuite.suite(it, {
  name: "json",
  makePlace: newFile,
  open: (filename) => layerChecked(filename),
  capabilities: { places: "exclusive" }
})

// A file without history does not contain the ledgers that the suite checks. Every third case: the rest of the store is the
// same as above.
describe("a store without history", () => {
  const cases = TaskStoreSuite.cases({
    name: "json, without history",
    makePlace: newFile,
    open: (filename) => layerChecked(filename, { history: false }),
    capabilities: { places: "once" }
  }).filter((_, index) => index % 3 === 0)
  for (const { group, name, run } of cases) it.effect(`${group}: ${name}`, () => run)
})
