import { assert, describe } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { pages } from "../../src/system/pages.ts"
import { add, morning, test } from "../commands/harness.ts"

/** The sizes of the pages that reading tasks of this length takes. */
const sizes = Effect.fnUntraced(function* (tasks: number, length: number, limit?: number) {
  yield* morning
  const description = "x".repeat(length)
  yield* add(...Array.from({ length: tasks }, (_, index) => ({ id: `t${index}`, description })))
  const read = yield* Stream.runFold(
    Stream.chunks(pages({ limit })),
    (): ReadonlyArray<number> => [],
    (sizes, page) => [...sizes, page.length]
  )
  return read
})

describe("pages", () => {
  test(
    "grow with small tasks",
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* sizes(450, 10), [20, 200, 200, 30])
    })
  )

  test(
    "shrink with large ones, so that little text is in memory at once",
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* sizes(26, 1024 * 1024), [20, 3, 3])
    })
  )

  test(
    "end at the limit",
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* sizes(450, 10, 25), [20, 5])
    })
  )

  test(
    "are none for an empty store",
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* sizes(0, 0), [])
    })
  )
})
