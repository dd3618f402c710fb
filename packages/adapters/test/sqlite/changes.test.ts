import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { appendFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Changes from "../../src/sqlite/internal/changes.ts"
import { folder } from "./temporary.ts"

describe("the changes of a SQLite store", () => {
  it.live(
    "are found by asking where the file system announces none",
    () =>
      Effect.gen(function* () {
        let version = 1
        const changes = yield* Changes.make(
          join(yield* folder, "not there"),
          Effect.sync(() => version)
        )
        const woken = yield* Effect.forkChild(Effect.all([changes.work.next(), changes.control.next()]), {
          startImmediately: true
        })
        version++
        yield* Fiber.join(woken)
      }),
    30_000
  )

  it.effect("are asked for at once where the file system announces them", () =>
    Effect.gen(function* () {
      const file = join(yield* folder, "log")
      writeFileSync(file, "")
      let version = 1
      let asked = 0
      const changes = yield* Changes.make(
        file,
        Effect.sync(() => {
          asked++
          return version
        })
      )
      const rung = yield* Effect.forkChild(changes.work.next(), { startImmediately: true })
      version++
      appendFileSync(file, "a change")
      yield* Fiber.join(rung)
      assert.isAbove(asked, 1)
    })
  )
})
