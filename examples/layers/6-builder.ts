// Layer 6, the builder: combines the same parts in one expression.
//
// Without `withTaskStore` or `withExecutor`, `build()` does not compile. Without a verifier, tasks complete as unverified.
// Without safety, the run has no limits.
import {
  ExecutionError,
  Executor,
  Orchestrator,
  OrchestratorBuilder,
  RetryPolicy,
  Safety,
  Task,
  TaskStore,
  Verification,
  Verifier
} from "@baton/core"
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect } from "effect"
import { printTasks } from "./printTasks.ts"

const orchestrator = OrchestratorBuilder.make()
  .withTaskStore(TaskStore.layerMemory)
  .withExecutor(
    Executor.layerFake({
      script: (task, { attempt }) => {
        if (task.id !== "translate") return { _tag: "Succeed", output: attempt === 1 ? "Draft" : "Final" }
        return { _tag: "Fail", error: new ExecutionError({ reason: "Failed", message: "no dictionary" }) }
      }
    })
  )
  .withVerifier(
    Verifier.layerPure((task, { output }) =>
      task.id === "outline" && output !== "Final" ? Verification.reject("still a draft") : Verification.pass()
    )
  )
  .withSafety(Safety.layerCircuitBreaker({ maxIterations: 50, maxConsecutiveFailures: 5 }))
  .withConfig({ maxAttempts: 3, retryPolicy: RetryPolicy.immediate })
  .onRunStart(() => Console.log("=== Run"))
  .onTaskStart((event) => Console.log(`▶ [${event.attempt}] ${event.description}`))
  .onTaskComplete((event) => Console.log(`  ✓ ${event.output}`))
  .onTaskRetry((event) => Console.log(`  ↻ ${event.feedback}`))
  .onTaskFail((event) => Console.log(`  ✗ gave up: ${event.feedback}`))
  .build()

const program = Effect.gen(function* () {
  const store = yield* TaskStore.TaskStore
  yield* store.add([
    Task.makeNew({ id: "translate", description: "Translate the changelog" }),
    Task.makeNew({ id: "outline", description: "Outline the announcement" }),
    Task.makeNew({ id: "name", description: "Name the release", priority: 1 })
  ])
  const { reason, stats } = yield* Orchestrator.Orchestrator.use((orchestrator) => orchestrator.run)
  yield* Console.log("=== Results")
  yield* Console.log(
    `${reason._tag}: ${stats.tasksCompleted} completed, ${stats.tasksFailed} failed, ${stats.executions} executions`
  )
  yield* printTasks
})

program.pipe(Effect.provide(orchestrator), NodeRuntime.runMain)
