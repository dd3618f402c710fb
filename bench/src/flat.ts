/** The cost of a task must not depend on the number of tasks. */
import { type Attempt, Execution, Task, type TaskRecord, TaskStore } from "@baton/core"
import { DateTime, Effect, type Layer } from "effect"
import { report } from "./measurement.ts"
import { runNoop } from "./orchestrate.ts"
import { withPostgres, withRedis, withSqlite, storeLayer } from "./temporaryStores.ts"

const concurrency = 64
const spaced = (count: number): string => count.toLocaleString("en").replaceAll(",", " ")

// Warm-up, not measured.
for (let warmup = 0; warmup < 3; warmup++) await runNoop(TaskStore.layerMemory, { count: 20_000, concurrency })

const base = "memory store, 1 000 tasks at a time"
const rounds = 100
let elapsed = 0
for (let round = 0; round < rounds; round++) {
  elapsed += 1000 / (await runNoop(TaskStore.layerMemory, { count: 1_000, concurrency })).runPerSecond
}
report({ what: base, value: (rounds * 1000) / elapsed, unit: "tasks/s" })
for (const count of [100_000, 1_000_000]) {
  const { runPerSecond } = await runNoop(TaskStore.layerMemory, { count, concurrency })
  report({
    what: `memory store, ${spaced(count)} tasks`,
    value: runPerSecond,
    unit: "tasks/s",
    against: base,
    target: ">= 0.8 x"
  })
}

const now = DateTime.nowUnsafe()
const attempt: Attempt.Attempt = {
  taskId: Task.TaskId.make("done"),
  number: 1,
  token: 1 as Attempt.LeaseToken,
  owner: "worker",
  startedAt: now,
  endedAt: now,
  execution: Execution.make({ output: "the result of a task that completed long ago" }),
  outcome: "completed"
}

/** A task that completed long ago. */
const completed = (index: number): TaskRecord.TaskRecord => {
  const id = Task.TaskId.make(`done-${index}`)
  return {
    task: {
      id,
      queue: Task.defaultQueue,
      description: `the work of task ${index}`,
      overrides: {},
      status: "completed",
      result: attempt.execution?.output,
      attempts: 1,
      metadata: {},
      priority: 0,
      availableAt: now,
      dependsOn: [],
      requeues: 0,
      verified: true,
      createdAt: now,
      updatedAt: now
    },
    token: 1,
    waitsFor: [],
    attempts: [{ ...attempt, taskId: id }]
  }
}

const fill = (store: Layer.Layer<TaskStore.TaskStore, unknown>, from: number, to: number): Promise<void> =>
  TaskStore.TaskStore.use((tasks) =>
    Effect.gen(function* () {
      for (let start = from; start < to; start += 1000) {
        yield* tasks.restore(Array.from({ length: Math.min(1000, to - start) }, (_, index) => completed(start + index)))
      }
    })
  ).pipe(Effect.provide(store), Effect.runPromise)

const count = 20_000
for (const [name, withStore] of [
  ["sqlite", withSqlite],
  ["postgres", withPostgres],
  ["redis", withRedis]
] as const) {
  await withStore(async (url) => {
    const store = storeLayer(url)
    let from = 0
    let added = 0
    const measure = async (done: number) => {
      await fill(store, from, done)
      let best = { addPerSecond: 0, runPerSecond: 0 }
      // The best of four rounds, to exclude the store's background work after it was filled.
      for (let round = 0; round < 4; round++) {
        const found = await runNoop(store, { count, concurrency, from: added })
        added += count
        best = {
          addPerSecond: Math.max(best.addPerSecond, found.addPerSecond),
          runPerSecond: Math.max(best.runPerSecond, found.runPerSecond)
        }
      }
      from = done
      return best
    }
    await measure(0)
    const few = await measure(10_000)
    const many = await measure(1_000_000)
    for (const [what, key] of [
      [`${name}, ${spaced(count)} tasks added`, "addPerSecond"],
      [`${name}, ${spaced(count)} tasks run`, "runPerSecond"]
    ] as const) {
      const base = `${what}, with 10 000 completed tasks`
      report({ what: base, value: few[key], unit: "tasks/s" })
      report({
        what: `${what}, with 1 000 000`,
        value: many[key],
        unit: "tasks/s",
        against: base,
        target: ">= 0.8 x"
      })
    }
  })
}
