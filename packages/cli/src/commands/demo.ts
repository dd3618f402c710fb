/**
 * `baton demo`
 *
 * @since 0.1.0
 */
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"

/**
 * Shows a run from start to end, with nothing to set up.
 *
 * @category commands
 * @since 0.1.0
 */
export const demo = Command.make("demo", {}, () =>
  Effect.gen(function* () {
    const core = yield* Effect.promise(() => import("@baton/core"))
    const run = Effect.gen(function* () {
      const store = yield* core.TaskStore.TaskStore
      yield* store.add([core.Task.make({ id: "hello", description: "Say hello" })])
      return yield* core.Orchestrator.Orchestrator.use((orchestrator) => orchestrator.run)
    })
    const { counts } = yield* Effect.provide(
      run,
      core.OrchestratorBuilder.make()
        .withTaskStore(core.TaskStore.layerMemory)
        .withExecutor(core.Executor.layerFake())
        .withVerifier(core.Verifier.layerAlwaysPass)
        .build()
    )
    yield* Console.log(`${counts.completed} task completed`)
  })
).pipe(Command.withDescription("Show a run from start to end: nothing to set up, no key, no cost."))
