import { Executor, Hooks, Orchestrator, Safety, Task, TaskStore, Verifier } from "@baton/core"
import { Effect, Layer } from "effect"

/** Adds `count` tasks in batches of 1 000, with this many concurrency keys in turn; ids start at `from`. */
export const add = Effect.fnUntraced(function* (count: number, from = 0, keys = 0) {
  const store = yield* TaskStore.TaskStore
  for (let offset = from; offset < from + count; offset += 1000) {
    yield* store.add(
      Array.from({ length: Math.min(1000, from + count - offset) }, (_, index) =>
        Task.makeNew({
          id: `task-${offset + index}`,
          description: `the work of task ${offset + index}`,
          ...(keys === 0 ? undefined : { concurrencyKey: `key-${(offset + index) % keys}` })
        })
      )
    )
  }
})

/** Fixed numbers of tasks to claim ahead, and the default, which adapts by itself and has to match them. */
export const prefetches = [64, 1000, undefined] as const

export const describePrefetch = (prefetch: number | undefined): string =>
  prefetch === undefined ? "adaptive prefetch" : `prefetch ${prefetch}`

/** Runs the tasks of a store with an executor that does nothing, a verifier that always passes, and a hook. */
export const runNoop = <E>(
  store: Layer.Layer<TaskStore.TaskStore, E>,
  options: {
    readonly count: number
    readonly concurrency: number
    readonly prefetch?: number | undefined
    /** The number of the first id. */
    readonly from?: number
    /** The number of concurrency keys. Default: none. */
    readonly keys?: number
  }
): Promise<{ readonly addPerSecond: number; readonly runPerSecond: number }> => {
  let events = 0
  const layer = Orchestrator.layer({
    concurrency: options.concurrency,
    prefetch: options.prefetch
  }).pipe(
    Layer.provide([
      Executor.layerFake(),
      Verifier.layerAlwaysPass,
      Safety.layerAllowAll,
      Hooks.layer(() =>
        Effect.sync(() => {
          events++
        })
      )
    ]),
    Layer.provideMerge(store)
  )
  return Effect.gen(function* () {
    const orchestrator = yield* Orchestrator.Orchestrator
    const adding = performance.now()
    yield* add(options.count, options.from, options.keys)
    const start = performance.now()
    const { stats } = yield* orchestrator.run
    const end = performance.now()
    if (stats.tasksCompleted !== options.count || events !== 2 * options.count + 2) {
      return yield* Effect.die(new Error(`expected ${options.count} tasks, completed ${stats.tasksCompleted}`))
    }
    return {
      addPerSecond: (options.count / (start - adding)) * 1000,
      runPerSecond: (options.count / (end - start)) * 1000
    }
  }).pipe(Effect.provide(layer), Effect.runPromise)
}
