import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import {
  Execution,
  ExecutionError,
  Executor,
  TaskStore,
  TaskStoreDriver,
  TaskStoreError,
  Verification,
  Verifier
} from "@baton/core"
import * as MemoryDriver from "../src/internal/memory/driver.ts"
import * as Table from "../src/internal/memory/table.ts"
import { anHour, get, layerOf, make, memoryStore, tasks } from "./harness.ts"

const cannotEncode = new TaskStoreError({ reason: "Unusable", message: "cannot encode a NUL" })
const poisoned = (value: unknown) => JSON.stringify(value).includes("\\u0000")

/** Refuses every write that contains a NUL, as jsonb does. */
const picky = Effect.map(memoryStore, (real) => ({
  ...real,
  settle: (settlements: Parameters<typeof real.settle>[0]) =>
    poisoned(settlements) ? Effect.fail(cannotEncode) : real.settle(settlements),
  checkpoint: (checkpoints: Parameters<typeof real.checkpoint>[0]) =>
    poisoned(checkpoints) ? Effect.fail(cannotEncode) : real.checkpoint(checkpoints)
}))

const outcome = Effect.fnUntraced(function* (parts: Parameters<typeof make>[0]) {
  const real = yield* picky
  const { orchestrator, store } = yield* make({ ...parts, store: layerOf(real) })
  yield* store.add(tasks("a", "poison", "b", "c"))
  const run = yield* Effect.forkDetach(orchestrator.run)
  yield* anHour
  const exit = run.pollUnsafe()
  yield* Effect.forkDetach(Fiber.interrupt(run))
  yield* anHour
  const statuses = yield* Effect.forEach(["a", "poison", "b", "c"], (id) => get(store, id))
  return { ended: exit?._tag, statuses: statuses.map(({ status }) => status) }
})

describe("a write that the store refuses fails its task alone", () => {
  it.effect("an output that is saved before its verification", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        yield* outcome({
          config: { concurrency: 4, maxAttempts: 1 },
          executor: Executor.layer(({ id }) =>
            Effect.succeed(Execution.make({ output: id === "poison" ? "\u0000" : "x" }))
          ),
          verifier: Verifier.layer(() => Effect.succeed(Verification.pass()))
        }),
        { ended: "Success", statuses: ["completed", "failed", "completed", "completed"] }
      )
    })
  )

  it.effect("the message of a permanent error", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        yield* outcome({
          config: { concurrency: 4, maxAttempts: 1 },
          executor: Executor.layer(({ id }) =>
            id === "poison"
              ? Effect.fail(new ExecutionError({ reason: "Permanent", message: "it said \u0000" }))
              : Effect.succeed(Execution.make({ output: "x" }))
          )
        }),
        { ended: "Success", statuses: ["completed", "failed", "completed", "completed"] }
      )
    })
  )

  it.effect("the feedback of a verdict", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        yield* outcome({
          config: { concurrency: 4, maxAttempts: 2 },
          verifier: Verifier.layerPure(({ id }) =>
            id === "poison" ? Verification.reject("it contains \u0000") : Verification.pass()
          )
        }),
        { ended: "Success", statuses: ["completed", "failed", "completed", "completed"] }
      )
    })
  )
})

/** Reads a payload that no version of Baton wrote. */
const damaged = <Row extends { readonly id: unknown; readonly payload: unknown }>(rows: ReadonlyArray<Row>) =>
  rows.map((row) => (row.id === "damaged" ? { ...row, payload: "{" } : row))

it.effect("a task that cannot be read fails alone, and lists show it", () =>
  Effect.gen(function* () {
    const layer = Layer.effect(
      TaskStore.TaskStore,
      Effect.flatMap(MemoryDriver.make(Table.make()), (driver) =>
        TaskStoreDriver.make({
          ...driver,
          claim: (request) => Effect.map(driver.claim(request), damaged),
          list: (query) => Effect.map(driver.list(query), damaged)
        })
      )
    )
    const { orchestrator, store } = yield* make({ store: layer, config: { concurrency: 4 } })
    yield* store.add(tasks("a", "damaged", "b"))
    const { stats } = yield* orchestrator.run
    assert.strictEqual(stats.tasksCompleted, 2)
    const listed = yield* store.list()
    assert.deepStrictEqual(
      listed.tasks.map(({ id, status }) => [id, status]),
      [
        ["a", "completed"],
        ["damaged", "failed"],
        ["b", "completed"]
      ]
    )
    assert.match(listed.tasks[1]?.description ?? "", /^This task cannot be read\. The store holds a value/)
    assert.match((yield* get(store, "damaged")).feedback ?? "", /holds a value that Baton cannot read/)
  })
)
