import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Queue, Stream } from "effect"
import { appendFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Notifications from "../../src/sqlite/internal/notifications.ts"
import { folder } from "./temporary.ts"

/** Another process, as far as the notifications can see it. */
const makeOther = () => {
  const other = { version: 1, asked: 0 }
  const dataVersion = Effect.sync(() => {
    other.asked++
    return other.version
  })
  return { other, dataVersion }
}

/** The kinds of notifications, one after another. */
const kindsOf = Effect.fnUntraced(function* ({ changes }: ReturnType<typeof Notifications.make>) {
  const kinds = yield* Queue.unbounded<string>()
  yield* Effect.forkScoped(Stream.runForEach(changes, ({ kind }) => Queue.offer(kinds, kind)))
  return Queue.take(kinds)
})

describe("the notifications of a SQLite store", () => {
  it.live("report a change that the file system does not report", () =>
    Effect.gen(function* () {
      const { dataVersion, other } = makeOther()
      const next = yield* kindsOf(Notifications.make(join(yield* folder, "missing"), dataVersion))
      assert.strictEqual(yield* next, "listening")
      other.version++
      assert.deepStrictEqual([yield* next, yield* next], ["work", "control"])
    })
  )

  it.effect("report a change at once when the file system reports it", () =>
    Effect.gen(function* () {
      const file = join(yield* folder, "log")
      writeFileSync(file, "")
      const { dataVersion, other } = makeOther()
      const next = yield* kindsOf(Notifications.make(file, dataVersion))
      assert.strictEqual(yield* next, "listening")
      const reported = yield* Effect.forkChild(next, { startImmediately: true })
      other.version++
      appendFileSync(file, "a change")
      assert.strictEqual(yield* Fiber.join(reported), "work")
      assert.isAbove(other.asked, 1)
    })
  )
})
