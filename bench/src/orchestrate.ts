import { Budget, Execution, Executor, Hooks, Orchestrator, Safety, Task, TaskStore, Usage, Verifier } from "@baton/core"
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

/** Runs tasks without reporting their speed: the first tasks of a process take half as long again, until V8 has compiled the code. */
export const warmUp = <E>(store: Layer.Layer<TaskStore.TaskStore, E>): Promise<unknown> =>
  runNoop(store, { count: 100_000, concurrency: 64 })

const usage: Usage.Usage = { ...Usage.zero, outputTokens: 10, costUsd: 0.0001 }

/** An executor that makes this number of calls. They take no time, and reserve ten times their cost. */
const paying = (calls: number) =>
  Executor.layer((_task, { spend }) =>
    Effect.as(
      Effect.forEach(
        Array.from({ length: calls }),
        () =>
          spend({
            worstCase: { costUsd: 10 * (usage.costUsd ?? 0), tokens: 10 * usage.outputTokens, what: "a call" },
            call: Effect.void,
            spent: () => usage
          }),
        { discard: true }
      ),
      Execution.make({ output: "done" })
    )
  )

/** Gives the queue a budget that no measurement uses up. */
const setBudget = Effect.gen(function* () {
  const { budgets } = yield* TaskStore.TaskStore
  yield* (
    budgets?.set("default", { limit: { nanoUsd: Budget.toNanoUsd(1_000_000), tokens: null } }) ??
      Effect.die(new Error("the store keeps no budgets"))
  )
})

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
    /** The number of paid calls of a task. Default: none. */
    readonly calls?: number
    /** Whether the queue has a budget. Default false. */
    readonly hasBudget?: boolean
  }
): Promise<{
  readonly addPerSecond: number
  readonly runPerSecond: number
  /** The processor time of this thread for each task, without that of adding it. */
  readonly runMicros: number
}> => {
  let events = 0
  const layer = Orchestrator.layer({
    concurrency: options.concurrency,
    prefetch: options.prefetch
  }).pipe(
    Layer.provide([
      options.calls === undefined ? Executor.layerFake() : paying(options.calls),
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
    if (options.hasBudget === true) yield* setBudget
    const adding = performance.now()
    yield* add(options.count, options.from, options.keys)
    const start = performance.now()
    const usedBefore = process.threadCpuUsage()
    const { stats } = yield* orchestrator.run
    const used = process.threadCpuUsage(usedBefore)
    const end = performance.now()
    if (stats.tasksCompleted !== options.count || events !== 2 * options.count + 2) {
      return yield* Effect.die(new Error(`expected ${options.count} tasks, completed ${stats.tasksCompleted}`))
    }
    return {
      addPerSecond: (options.count / (start - adding)) * 1000,
      runPerSecond: (options.count / (end - start)) * 1000,
      runMicros: (used.user + used.system) / options.count
    }
  }).pipe(Effect.provide(layer), Effect.runPromise)
}
