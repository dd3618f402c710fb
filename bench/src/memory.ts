/** The orchestrator on the memory store, compared with Effect's in-memory queue. */
import { TaskStore } from "@baton/core"
import { Effect, Layer, Schema } from "effect"
import { PersistedQueue } from "effect/persistence"
import { Best, median, report } from "./measurement.ts"
import { describePrefetch, prefetches, runNoop, warmUp } from "./orchestrate.ts"

const count = 200_000
const concurrency = 64

const persistedQueue = Effect.gen(function* () {
  const queue = yield* PersistedQueue.make({ name: "bench", schema: Schema.Struct({ id: Schema.String }) })
  for (let index = 0; index < count; index++) yield* queue.offer({ id: `task-${index}` })
  const start = performance.now()
  let taken = 0
  yield* Effect.forEach(
    Array.from({ length: concurrency }),
    () =>
      Effect.whileLoop({
        while: () => taken < count,
        body: () => {
          taken++
          return queue.take(() => Effect.void)
        },
        step: () => {}
      }),
    { concurrency: "unbounded", discard: true }
  )
  return (count / (performance.now() - start)) * 1000
}).pipe(
  Effect.provide(PersistedQueue.layer.pipe(Layer.provide(PersistedQueue.layerStoreMemory))),
  Effect.scoped,
  Effect.orDie
)

const queueRate = await Effect.runPromise(persistedQueue)
const base = "PersistedQueue in memory, take only, no verification"
report({ what: base, value: queueRate, unit: "tasks/s" })

await warmUp(TaskStore.layerMemory)

const best = new Best()
const micros = prefetches.map((): Array<number> => [])
for (let round = 0; round < 9; round++) {
  // Each comes first in turn, because a run collects the garbage of the one before it.
  for (const place of prefetches.keys()) {
    const index = (round + place) % prefetches.length
    const prefetch = prefetches[index]
    const { runMicros, runPerSecond } = await runNoop(TaskStore.layerMemory, {
      count: count / 2,
      concurrency,
      prefetch
    })
    best.note(`memory store, ${concurrency} workers, verified, with hooks, ${describePrefetch(prefetch)}`, runPerSecond)
    micros[index]?.push(runMicros)
  }
}
best.report({ unit: "tasks/s", against: base, target: ">= 0.6 x" })

const processorTime = (prefetch: number | undefined) =>
  `processor time of the thread per task, ${describePrefetch(prefetch)}`
for (const [index, prefetch] of prefetches.entries()) {
  report({
    what: processorTime(prefetch),
    value: median(micros[index] ?? []),
    unit: "µs",
    against: processorTime(prefetches[0]),
    ...(prefetch === undefined ? { target: "<= 1.1 x" } : undefined)
  })
}
