// Layer 3, verification: an output completes a task only if a verifier accepts it.
//
// The first haiku has two lines. The verifier rejects it with feedback, the executor reads the feedback in its context and
// improves the haiku. The ledger keeps both attempts.
import {
  Execution,
  Executor,
  Orchestrator,
  RetryPolicy,
  Safety,
  Task,
  TaskStore,
  Verification,
  Verifier
} from "@baton/core"
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { printTasks } from "./printTasks.ts"

const lines = ["Rain on the tin roof", "the build is green at last", "no one restarts it"]

const executor = Executor.layer((_task, { attempt, previous }) =>
  Effect.gen(function* () {
    yield* Console.log(`attempt ${attempt}, feedback: ${previous?.feedback ?? "none"}`)
    return Execution.make({ output: lines.slice(0, previous === undefined ? 2 : 3).join(" / ") })
  })
)

const verifier = Verifier.layerPure((_task, { output }) => {
  const count = output.split(" / ").length
  return count === 3 ? Verification.pass() : Verification.reject(`a haiku has 3 lines, this one has ${count}`)
})

const program = Effect.gen(function* () {
  const store = yield* TaskStore.TaskStore
  const task = Task.makeNew({ id: "haiku", description: "Write a haiku about a deploy" })
  yield* store.add([task])
  yield* Orchestrator.Orchestrator.use((orchestrator) => orchestrator.run)
  for (const attempt of yield* store.attempts(task.id)) {
    yield* Console.log(`ledger: attempt ${attempt.number} ${attempt.outcome}, output "${attempt.execution?.output}"`)
  }
  yield* printTasks
})

const live = Orchestrator.layer({ retryPolicy: RetryPolicy.immediate }).pipe(
  Layer.provideMerge(Layer.mergeAll(TaskStore.layerMemory, executor, verifier, Safety.layerAllowAll))
)

program.pipe(Effect.provide(live), NodeRuntime.runMain)
