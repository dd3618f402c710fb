/**
 * How close two workers come to the ideal time for tasks of very different lengths. A short task that waits behind a long one
 * while the other worker is free would show, and so does the time between tasks, which is that of one claim. The ideal is
 * the time in which two workers that lose no time between tasks end them.
 */
import { Execution, Executor, Orchestrator, Safety, Task, TaskStore, Verifier } from "@baton/core"
import { Effect, Layer } from "effect"
import { report } from "./measurement.ts"
import { storeLayer, withPostgres, withRedis, withSqlite } from "./temporaryStores.ts"

/** In milliseconds: mostly short, some of them a hundred times as long, and short ones at the end. */
const durations = Array.from({ length: 80 }, (_, n) =>
  n < 60 && n % 10 === 7 ? 2000 : n < 60 && n % 5 === 3 ? 400 : 20 + 10 * (n % 9)
)

/** Each worker takes the next task as soon as it is free. */
const idealMillis = (): number => {
  const freeAt = [0, 0]
  for (const duration of durations) {
    const next = freeAt.indexOf(Math.min(...freeAt))
    freeAt[next] = (freeAt[next] ?? 0) + duration
  }
  return Math.max(...freeAt)
}

const worker = (url: string) =>
  Orchestrator.layer({ concurrency: 1 }).pipe(
    Layer.provide([
      Executor.layer((task) => Effect.as(Effect.sleep(Number(task.description)), Execution.make({ output: "" }))),
      Verifier.layerNone,
      Safety.layerAllowAll
    ]),
    Layer.provide(storeLayer(url))
  )

const run = Effect.flatMap(Orchestrator.Orchestrator, ({ run }) => run)

const measure = (url: string): Promise<number> =>
  Effect.gen(function* () {
    const [first, second] = [yield* Layer.build(worker(url)), yield* Layer.build(worker(url))]
    yield* TaskStore.TaskStore.use((store) =>
      store.add(durations.map((duration, n) => Task.makeNew({ id: `task-${n}`, description: String(duration) })))
    ).pipe(Effect.provide(storeLayer(url)))
    const start = performance.now()
    yield* Effect.all([Effect.provide(run, first), Effect.provide(run, second)], { concurrency: 2 })
    return performance.now() - start
  }).pipe(Effect.scoped, Effect.runPromise)

const ideal = "ideal for two workers and uneven tasks"
report({ what: ideal, value: idealMillis(), unit: "ms" })
for (const [name, withStore] of [
  ["sqlite", withSqlite],
  ["postgres", withPostgres],
  ["redis", withRedis]
] as const) {
  report({ what: name, value: await withStore(measure), unit: "ms", against: ideal, target: "<= 1.10 x" })
}
