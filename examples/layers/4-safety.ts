// Layer 4, safety: limits end a run that cannot succeed.
//
// The provider is down, so every attempt fails. Without limits, twenty tasks would fail five times each. The circuit breaker
// opens after three failures in a row: the run ends with the reason, and all tasks stay pending.
import { ExecutionError, Executor, Orchestrator, RetryPolicy, Safety, Task, TaskStore, Verifier } from "@baton/core"
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"

const executor = Executor.layer(() =>
  Effect.fail(new ExecutionError({ reason: "Failed", message: "the provider is down" }))
)

const safety = Safety.layerAll(
  Safety.layerCircuitBreaker({ maxIterations: 50, maxConsecutiveFailures: 3 }),
  Safety.layerDeadline("10 minutes")
)

const program = Effect.gen(function* () {
  const store = yield* TaskStore.TaskStore
  yield* store.add(
    Array.from({ length: 20 }, (_, index) => Task.makeNew({ id: `page-${index + 1}`, description: "Summarise a page" }))
  )
  const { counts, reason, stats } = yield* Orchestrator.Orchestrator.use((orchestrator) => orchestrator.run)
  yield* Console.log(`${stats.executions} executions, then: ${reason._tag}`)
  if (reason._tag === "LimitReached") yield* Console.log(reason.message)
  yield* Console.log(`${counts.pending} of 20 tasks are still pending`)
})

const live = Orchestrator.layer({ maxAttempts: 5, retryPolicy: RetryPolicy.immediate }).pipe(
  Layer.provideMerge(Layer.mergeAll(TaskStore.layerMemory, executor, Verifier.layerNone, safety))
)

program.pipe(Effect.provide(live), NodeRuntime.runMain)
