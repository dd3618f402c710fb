// Layer 2, retries: the orchestrator replaces the loop, and an executor does the work.
//
// A task whose attempt failed returns to pending until `maxAttempts` are used up. Then it goes to the dead-letter queue: its
// status is failed, and it keeps its last feedback until a person requeues or deletes it.
import { ExecutionError, Executor, Orchestrator, RetryPolicy, Safety, Task, TaskStore, Verifier } from "@baton/core"
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { printTasks } from "./printTasks.ts"

const failing = (message: string): Executor.FakeStep => ({
  _tag: "Fail",
  error: new ExecutionError({ reason: "Failed", message })
})

const executor = Executor.layerFake({
  script: (task, { attempt }) => {
    if (task.id === "flaky" && attempt === 1) return failing("the draft was empty")
    if (task.id === "hopeless") return failing("the source file is gone")
    return { _tag: "Succeed", output: `done on attempt ${attempt}` }
  }
})

const program = Effect.gen(function* () {
  const store = yield* TaskStore.TaskStore
  yield* store.add([
    Task.makeNew({ id: "steady", description: "Name the release" }),
    Task.makeNew({ id: "flaky", description: "Outline the announcement" }),
    Task.makeNew({ id: "hopeless", description: "Translate the changelog" })
  ])
  const { stats } = yield* Orchestrator.Orchestrator.use((orchestrator) => orchestrator.run)
  yield* Console.log(`${stats.executions} executions for 3 tasks, ${stats.tasksRetried} retried`)
  yield* printTasks
})

const live = Orchestrator.layer({ maxAttempts: 3, retryPolicy: RetryPolicy.immediate }).pipe(
  Layer.provideMerge(Layer.mergeAll(TaskStore.layerMemory, executor, Verifier.layerNone, Safety.layerAllowAll))
)

program.pipe(Effect.provide(live), NodeRuntime.runMain)
