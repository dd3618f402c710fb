import { assert, describe } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { pages } from "../../src/system/pages.ts"
import { add, morning, test } from "../commands/harness.ts"

/** The page sizes used to read tasks of this length. */
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
    "are larger for small tasks",
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* sizes(2450, 10), [20, 1000, 1000, 430])
    })
  )

  test(
    "are smaller for large tasks, to limit memory",
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* sizes(26, 1024 * 1024), [20, 3, 3])
    })
  )

  test(
    "end at the limit of tasks",
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* sizes(450, 10, 25), [20, 5])
    })
  )

  test(
    "are not read from an empty store",
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* sizes(0, 0), [])
    })
  )
})
