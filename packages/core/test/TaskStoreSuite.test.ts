import { PersistedTaskStore, TaskStore, TaskStoreDriver } from "@baton/core"
import { TaskStoreSuite } from "@baton/core/testing"
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as MemoryDriver from "../src/internal/memory/driver.ts"
import * as Table from "../src/internal/memory/table.ts"

/** The groups in which a broken store fails; where it waits for something that never comes, it would hang. */
const groups = new Set(["adding", "claiming", "settling", "ledger", "reading", "text", "transfer"])

/** The names of the cases that a store fails. */
const failures = <Place>(options: TaskStoreSuite.Options<Place>) =>
  Effect.map(
    Effect.forEach(
      TaskStoreSuite.cases(options).filter(({ group }) => groups.has(group)),
      ({ name, run }) =>
        Effect.map(Effect.exit(Effect.scoped(Effect.provide(run, TestClock.layer(), { local: true }))), (exit) =>
          Exit.isFailure(exit) ? [name] : []
        )
    ),
    (names) => names.flat()
  )

const memoryDriver = Effect.suspend(() => MemoryDriver.make(Table.make()))

const layerOf = (driver: Effect.Effect<TaskStoreDriver.TaskStoreDriver>) =>
  Layer.effect(TaskStore.TaskStore, Effect.flatMap(driver, TaskStoreDriver.make))

it.effect("a store that keeps its promises fails no case", () =>
  Effect.gen(function* () {
    const failed = yield* failures({
      name: "memory",
      makePlace: Effect.void,
      open: () => layerOf(memoryDriver),
      capabilities: { places: "once" }
    })
    assert.deepStrictEqual(failed, [])
  })
)

it.effect("a store that writes nothing fails the suite", () =>
  Effect.gen(function* () {
    const failed = yield* failures({
      name: "writes nothing",
      makePlace: Effect.void,
      open: () =>
        Layer.effect(
          TaskStore.TaskStore,
          PersistedTaskStore.make({ records: [], paused: false, write: () => Effect.void })
        ),
      capabilities: { places: "exclusive" }
    })
    assert.isAbove(failed.length, 20)
    assert.include(failed, "a completed task that is added again stays completed")
  })
)

/** Each row is a separate write: the rows before a refused one stay. */
const withoutTransactions = Effect.map(memoryDriver, (driver): TaskStoreDriver.TaskStoreDriver => ({
  ...driver,
  add: (tasks, options) =>
    Effect.map(
      Effect.forEach(tasks, (task) => driver.add([task], options)),
      (replies) => ({
        existing: replies.flatMap(({ existing }) => existing),
        conflicts: replies.flatMap(({ conflicts }) => conflicts),
        different: replies.flatMap(({ different }) => different),
        unknown: replies.flatMap(({ unknown }) => unknown)
      })
    ),
  restore: (records) =>
    Effect.map(
      Effect.forEach(records, (record) => driver.restore([record])),
      (present) => present.flat()
    )
}))

it.effect("a store without transactions fails the suite", () =>
  Effect.gen(function* () {
    const failed = yield* failures({
      name: "without transactions",
      makePlace: Effect.void,
      open: () => layerOf(withoutTransactions),
      capabilities: { places: "once" }
    })
    assert.includeMembers(failed, [
      "an id in use by another description refuses the whole call",
      "an unknown dependency refuses the whole call",
      "an existing id refuses the whole call, whatever its task"
    ])
  })
)

/** A store at a place whose tasks are lost when a connection is closed while this number of others is open. */
const losing = (others: number) =>
  failures({
    name: "loses tasks",
    makePlace: Effect.sync(() => ({ table: Table.make(), connections: 0 })),
    open: (place) =>
      Layer.effect(
        TaskStore.TaskStore,
        Effect.gen(function* () {
          place.connections++
          yield* Effect.addFinalizer(() =>
            Effect.sync(() => {
              if (--place.connections === others) place.table = Table.make()
            })
          )
          return yield* Effect.flatMap(MemoryDriver.make(place.table), TaskStoreDriver.make)
        })
      )
  })

it.effect("a store whose connections share its tasks fails no case", () =>
  Effect.map(losing(-1), (failed) => assert.deepStrictEqual(failed, []))
)

it.effect("a store that loses its tasks when all connections are closed fails the suite", () =>
  Effect.map(losing(0), (failed) => assert.isAbove(failed.length, 20))
)

it.effect("a store that loses its tasks when one of its connections is closed fails the suite", () =>
  Effect.map(losing(1), (failed) => assert.isAbove(failed.length, 20))
)
