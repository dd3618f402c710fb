// Layer 1, state and attempts: a store holds the state of each task.
//
// The loop is still ours. `claim` moves a task from pending to in_progress, counts an attempt and returns a lease token.
// `settle` ends the attempt as completed or failed, and carries the token, so that no other worker can end this attempt.
import { Execution, Task, TaskStore } from "@baton/core"
import { NodeRuntime } from "@effect/platform-node"
import { Console, Duration, Effect, Result } from "effect"
import { printTasks } from "./printTasks.ts"

const execute = (task: Task.Task) =>
  task.id === "translate" ? Effect.fail("no dictionary for this language") : Effect.succeed(`done: ${task.description}`)

const program = Effect.gen(function* () {
  const store = yield* TaskStore.TaskStore
  yield* store.add([
    Task.makeNew({ id: "name", description: "Name the release" }),
    Task.makeNew({ id: "translate", description: "Translate the changelog" })
  ])
  while (true) {
    const [claim] = yield* store.claim({ limit: 1, owner: "layer-1", lease: Duration.seconds(30) })
    if (claim === undefined) break
    yield* Console.log(`${claim.task.id}: ${claim.task.status}, attempt ${claim.task.attempts}`)
    const result = yield* Effect.result(execute(claim.task))
    const attempt = { taskId: claim.task.id, token: claim.token }
    yield* store.settle([
      Result.isSuccess(result)
        ? { ...attempt, _tag: "Complete", execution: Execution.make({ output: result.success }), verified: false }
        : { ...attempt, _tag: "Fail", feedback: result.failure }
    ])
  }
  yield* printTasks
})

program.pipe(Effect.provide(TaskStore.layerMemory), NodeRuntime.runMain)
