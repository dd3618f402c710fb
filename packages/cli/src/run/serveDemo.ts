/**
 * The run that `baton serve --demo` shows. Only the answers of the executor are scripted; the store, the orchestrator, retries
 * and the verifier are real.
 */
import * as Execution from "@baton/core/Execution"
import { ExecutionError } from "@baton/core/ExecutionError"
import * as Executor from "@baton/core/Executor"
import * as Orchestrator from "@baton/core/Orchestrator"
import * as OrchestratorBuilder from "@baton/core/OrchestratorBuilder"
import * as RetryPolicy from "@baton/core/RetryPolicy"
import * as Task from "@baton/core/Task"
import * as TaskStore from "@baton/core/TaskStore"
import * as Verification from "@baton/core/Verification"
import * as Verifier from "@baton/core/Verifier"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const books = [
  "Middlemarch",
  "Moby-Dick",
  "Don Quixote",
  "Emma",
  "Candide",
  "Faust",
  "Ulysses",
  "Dubliners",
  "Dracula",
  "Frankenstein",
  "Walden",
  "Germinal"
]
const queues = ["summaries", "translations"] as const
const editions = 8

const tasks = queues.flatMap((queue) =>
  Array.from({ length: editions }, (_, edition) =>
    books.map((book, index) => {
      const id = edition * books.length + index + 1
      const description =
        queue === "summaries"
          ? `Summarise chapter ${edition + 1} of ${book} in three sentences.`
          : `Translate the first paragraph of chapter ${edition + 1} of ${book} into French.`
      return Task.makeNew({ id: Task.idInQueue(queue, String(id)), queue, description, metadata: { book } })
    })
  ).flat()
)

/** The number at the end of the id decides what happens to a task. */
const numberOf = ({ id }: Task.Task): number => Number(id.split("/").at(-1))

const failure = (number: number, attempt: number): ExecutionError | undefined => {
  if (number % 19 === 7) {
    return new ExecutionError({ reason: "Permanent", message: `The chapter ${number} is not in the public domain` })
  }
  if (number % 23 === 11 && attempt < 4) {
    return new ExecutionError({ reason: "Permanent", message: `The server answered 529 [req_0${number}x${attempt}8d]` })
  }
  return undefined
}

const executor = Executor.layer((task, { attempt }) =>
  Effect.suspend(() => {
    const number = numberOf(task)
    const error = failure(number, attempt)
    if (error !== undefined) return Effect.fail(error)
    const sentences = Array.from(
      { length: attempt === 1 && number % 5 === 2 ? 5 : 3 },
      (_, index) => `Sentence ${index + 1} of the demo's answer to task ${number}.`
    )
    const outputTokens = 40 + (number % 60)
    return Effect.succeed(
      Execution.make({
        output: sentences.join("\n"),
        confidence: 0.9,
        usage: {
          inputTokens: 300 + number,
          outputTokens,
          cacheReadTokens: 0,
          cacheWriteTokens: 0,
          costUsd: 0.001 + outputTokens * 0.000_015
        }
      })
    ).pipe(Effect.delay(Duration.millis(400 + ((number * 37) % 1_600))))
  })
)

const verifier = Verifier.layer((_, { output }) =>
  Effect.succeed(
    output.split("\n").length === 3
      ? Verification.pass({ confidence: 0.95 })
      : Verification.reject("The answer has five sentences; three were asked for.", {
          confidence: 0.9,
          issues: ["too long"]
        })
  ).pipe(Effect.delay(Duration.millis(150)))
)

const orchestrator = OrchestratorBuilder.make()
  .withTaskStore(TaskStore.layerMemory)
  .withExecutor(executor)
  .withVerifier(verifier)
  .withConfig({
    queues: [...queues],
    concurrency: 4,
    maxAttempts: 3,
    retryPolicy: RetryPolicy.immediate,
    drainTimeout: Duration.zero
  })
  .build()

/** A store in memory, whose tasks are executed while it is open. Requeued tasks run again. */
export const layer: Layer.Layer<TaskStore.TaskStore> = Layer.effectDiscard(
  Effect.gen(function* () {
    const store = yield* TaskStore.TaskStore
    yield* store.add(tasks)
    const { runForever } = yield* Orchestrator.Orchestrator
    yield* Effect.forkScoped(runForever)
  }).pipe(Effect.orDie)
).pipe(Layer.provideMerge(Layer.orDie(orchestrator)))
