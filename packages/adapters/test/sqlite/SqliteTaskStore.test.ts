import { TaskStoreSuite } from "@baton/core/testing"
import { it } from "@effect/vitest"
import { SqliteTaskStore } from "@baton/adapters/sqlite"
import { copiedFiles } from "./temporary.ts"
import { soak } from "../../../core/test/soak.ts"

TaskStoreSuite.suite(it, {
  name: "sqlite",
  makePlace: copiedFiles(),
  open: (filename) => SqliteTaskStore.layer({ filename }),
  sequences: soak * 5
})
