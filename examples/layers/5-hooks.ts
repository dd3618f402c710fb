// Layer 5, hooks: watch a run without being part of it.
//
// A hook gets every event, in order, and only after the store has made it true. The second hook is broken on purpose:
// it is logged, and the run goes on.
import { Executor, Hooks, Orchestrator, RetryPolicy, Safety, Task, TaskStore, Verifier } from "@baton/core"
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"

const narrator = Hooks.handle({
  RunStarted: () => Console.log("run started"),
  TaskStarted: (event) => Console.log(`▶ ${event.taskId}, attempt ${event.attempt}`),
  TaskRetried: (event) => Console.log(`↻ ${event.taskId}: ${event.feedback}`),
  TaskCompleted: (event) => Console.log(`✓ ${event.taskId}: ${event.output}`),
  TaskFailed: (event) => Console.log(`✗ ${event.taskId}: ${event.feedback}`),
  RunEnded: (event) => Console.log(`run ended: ${event.reason._tag}, ${event.stats.tasksCompleted} completed`)
})

const broken = Hooks.handle({ TaskStarted: () => Effect.fail("this hook lost its connection") })

const program = Effect.gen(function* () {
  const store = yield* TaskStore.TaskStore
  yield* store.add([
    Task.make({ id: "name", description: "Name the release" }),
    Task.make({ id: "outline", description: "Outline the announcement" })
  ])
  yield* Orchestrator.Orchestrator.use((orchestrator) => orchestrator.run)
})

const live = Orchestrator.layer({ retryPolicy: RetryPolicy.immediate }).pipe(
  Layer.provide(Hooks.layer(narrator, broken)),
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
