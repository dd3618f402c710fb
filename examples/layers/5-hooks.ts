// Layer 5, hooks: observe a run without affecting it.
//
// A hook receives every event, in order, after the change is in the store. The second hook always fails: the failure is
// logged, and the run continues.
import { Executor, Hooks, Orchestrator, RetryPolicy, Safety, Task, TaskStore, Verifier } from "@baton/core"
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"

const printEvents = Hooks.handle({
  RunStarted: () => Console.log("run started"),
  TaskStarted: (event) => Console.log(`▶ ${event.taskId}, attempt ${event.attempt}`),
  TaskRetried: (event) => Console.log(`↻ ${event.taskId}: ${event.feedback}`),
  TaskCompleted: (event) => Console.log(`✓ ${event.taskId}: ${event.output}`),
  TaskFailed: (event) => Console.log(`✗ ${event.taskId}: ${event.feedback}`),
  RunEnded: (event) => Console.log(`run ended: ${event.reason._tag}, ${event.stats.tasksCompleted} completed`)
})

const failing = Hooks.handle({ TaskStarted: () => Effect.fail("this hook lost its connection") })

const program = Effect.gen(function* () {
  const store = yield* TaskStore.TaskStore
  yield* store.add([
    Task.makeNew({ id: "name", description: "Name the release" }),
    Task.makeNew({ id: "outline", description: "Outline the announcement" })
  ])
  yield* Orchestrator.Orchestrator.use((orchestrator) => orchestrator.run)
})

const live = Orchestrator.layer({ retryPolicy: RetryPolicy.immediate }).pipe(
  Layer.provide(Hooks.layer(printEvents, failing)),
  Layer.provideMerge(
    Layer.mergeAll(
      TaskStore.layerMemory,
      Executor.layerFake({ failures: 1, output: "a fake result" }),
      Verifier.layerAlwaysPass,
      Safety.layerAllowAll
    )
  )
)

program.pipe(Effect.provide(live), NodeRuntime.runMain)
