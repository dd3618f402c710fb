/** Squares a hundred numbers, verifies each square, and adds them up in a task that receives all of them. */
import { Orchestrator, OrchestratorBuilder, TaskQueue, TaskStore } from "@baton/core"
import { Console, Effect, Schema } from "effect"

const Sums = TaskQueue.make({ name: "sums", payload: Schema.Int, result: Schema.Int.check(Schema.isGreaterThan(0)) })

const executor = Sums.layerExecutor((n, { dependencies }, { dependsOn }) =>
  dependsOn.length === 0
    ? Effect.succeed(n ** 2)
    : Effect.map(dependencies, (squares) => squares.reduce((sum, { output }) => sum + Number(output), 0))
)
const parts = OrchestratorBuilder.make().withTaskStore(TaskStore.layerMemory).withExecutor(executor)
const orchestrator = parts
  .withVerifier(Sums.layerVerifier)
  .withConfig({ queues: [Sums.name], concurrency: 8 })
  .build()

const program = Effect.gen(function* () {
  const squares = Array.from({ length: 100 }, (_, index) => ({ id: `square-${index + 1}`, payload: index + 1 }))
  yield* Sums.add([...squares, { id: "sum", payload: 0, dependsOn: squares.map(({ id }) => Sums.taskId(id)) }])
  const { stats } = yield* Orchestrator.Orchestrator.use(({ run }) => run)
  yield* Console.log(`${stats.tasksCompleted} tasks completed, the sum is ${yield* Sums.await("sum")}`)
})

Effect.runPromise(Effect.provide(program, orchestrator))
