import { TaskStoreSuite } from "@baton/core/testing"
import { it } from "@effect/vitest"
import { SqliteTaskStore } from "@baton/adapters/sqlite"
import { newFile } from "./temporary.ts"
import { soak } from "../../../core/test/soak.ts"

TaskStoreSuite.suite(it, {
  name: "sqlite",
  makePlace: newFile,
  open: (filename) => SqliteTaskStore.layer({ filename }),
  sequences: soak * 25
})
