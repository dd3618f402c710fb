import { TaskStoreSuite } from "@baton/core/testing"
import { it } from "@effect/vitest"
import { layerChecked, newFile } from "./temporary.ts"

TaskStoreSuite.suite(it, {
  name: "json",
  makePlace: newFile,
  open: (filename) => layerChecked(filename),
  capabilities: { places: "exclusive" }
})

// A file without history does not contain the ledgers that the suite checks.
TaskStoreSuite.suite(it, {
  name: "json, without history",
  makePlace: newFile,
  open: (filename) => layerChecked(filename, { history: false }),
  capabilities: { places: "once" }
})
