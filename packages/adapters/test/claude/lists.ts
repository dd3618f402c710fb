import { type ClaudeClient, ClaudeExecutor } from "@baton/adapters/claude"
import {
  type Event,
  Hooks,
  Orchestrator,
  type OrchestratorConfig,
  RetryPolicy,
  Safety,
  Task,
  TaskStore,
  Verifier
} from "@baton/core"
import { Effect, Layer, Schedule } from "effect"

interface Options {
  readonly client: Layer.Layer<ClaudeClient.ClaudeClient>
  readonly executor?: Parameters<typeof ClaudeExecutor.layer>[0]
  readonly descriptions: ReadonlyArray<string>
  readonly config?: OrchestratorConfig.OrchestratorConfig
  readonly verifier?: Layer.Layer<Verifier.Verifier>
  readonly safety?: Layer.Layer<Safety.Safety>
  readonly onEvent?: (event: Event.Event) => void
}

/** Runs a list of tasks to its end; failed attempts are tried again at once. */
export const runList = (options: Options) => {
  const orchestrator = Orchestrator.layer({
    retryPolicy: RetryPolicy.immediate,
    transientRetry: Schedule.recurs(20),
    ...options.config
  }).pipe(
    Layer.provide([
      ClaudeExecutor.layer(options.executor).pipe(Layer.provide(options.client)),
      options.verifier ?? Verifier.layerNone,
      options.safety ?? Safety.layerAllowAll,
      Hooks.layer((event) => Effect.sync(() => options.onEvent?.(event)))
    ]),
    Layer.provideMerge(TaskStore.layerMemory)
  )
  return Effect.gen(function* () {
    const store = yield* TaskStore.TaskStore
    yield* store.add(
      options.descriptions.map((description, index) =>
        Task.makeNew({ id: `task-${String(index).padStart(3, "0")}`, description })
      )
    )
    const { reason, stats } = yield* Orchestrator.Orchestrator.use((orchestrator) => orchestrator.run)
    const { tasks } = yield* store.list({ limit: 1000 })
    return { reason, stats, tasks, attempts: (id: string) => store.attempts(Task.TaskId.make(id)) }
  }).pipe(Effect.provide(orchestrator))
}
