import { assert, describe, it } from "@effect/vitest"
import { Task, TaskPages, TaskStore } from "@baton/core"
import { Effect, Stream } from "effect"

/** The page sizes used to read tasks of this length. */
const sizes = Effect.fnUntraced(function* (tasks: number, length: number, limit?: number) {
  const description = "x".repeat(length)
  const store = yield* TaskStore.TaskStore
  yield* store.add(Array.from({ length: tasks }, (_, index) => Task.makeNew({ id: `t${index}`, description })))
  const read = yield* Stream.runFold(
    Stream.chunks(TaskPages.pages({ limit })),
    (): ReadonlyArray<number> => [],
    (sizes, page) => [...sizes, page.length]
  )
  return read
})

describe("pages", () => {
  it.effect("are larger for small tasks", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* sizes(2450, 10), [20, 1000, 1000, 430])
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )

  it.effect("are smaller for large tasks, to limit memory", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* sizes(26, 1024 * 1024), [20, 3, 3])
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )

  it.effect("end at the limit of tasks", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* sizes(450, 10, 25), [20, 5])
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )

  it.effect("are not read from an empty store", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* sizes(0, 0), [])
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )
})
