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

/** A title, and a sentence about the book in English and in French. */
const books = [
  ["Middlemarch", "Dorothea Brooke hopes for a life of use.", "Dorothea Brooke espère une vie utile."],
  ["Moby-Dick", "Ishmael goes to sea on a whaling ship.", "Ishmaël part en mer sur un baleinier."],
  ["Don Quixote", "A reader of romances rides out as a knight.", "Un lecteur de romans part en chevalier."],
  ["Emma", "Emma Woodhouse arranges the lives of her friends.", "Emma Woodhouse arrange la vie de ses amis."],
  ["Candide", "Candide is driven from the best of castles.", "Candide est chassé du plus beau des châteaux."],
  ["Faust", "A scholar wagers his soul on one moment.", "Un savant parie son âme sur un instant."],
  ["Ulysses", "Leopold Bloom walks through Dublin for a day.", "Leopold Bloom parcourt Dublin un jour entier."],
  ["Dubliners", "A boy keeps watch over a lit window.", "Un garçon guette une fenêtre éclairée."],
  ["Dracula", "Jonathan Harker travels to a castle in the east.", "Jonathan Harker se rend dans un château à l'est."],
  ["Frankenstein", "A student gives life to what he then flees.", "Un étudiant donne la vie à ce qu'il fuit ensuite."],
  ["Walden", "Thoreau builds a cabin by a pond.", "Thoreau bâtit une cabane près d'un étang."],
  ["Germinal", "Étienne Lantier looks for work at the mine.", "Étienne Lantier cherche du travail à la mine."]
] as const
const queues = ["summaries", "translations"] as const
const editions = 8

const tasks = queues.flatMap((queue) =>
  Array.from({ length: editions }, (_, edition) =>
    books.map(([book], index) => {
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

/** Three sentences, and two more in a first attempt that the verifier rejects. */
const answer = ({ queue }: Task.Task, number: number, attempt: number): string => {
  const [book, english, french] = books[(number - 1) % books.length] ?? books[0]
  const chapter = Math.ceil(number / books.length)
  const isLong = attempt === 1 && number % 5 === 2
  const sentences =
    queue === "summaries"
      ? [
          english,
          attempt === 1 ? `Chapter ${chapter} tells how it begins.` : `Chapter ${chapter} tells how that begins.`,
          "It ends before anything is settled.",
          ...(isLong ? [`The prose of ${book} is vivid throughout.`, "Readers have loved it for generations."] : [])
        ]
      : [
          french,
          attempt === 1 ? `Le chapitre ${chapter} dit le début.` : `Le chapitre ${chapter} en raconte le début.`,
          "Rien n'est encore décidé.",
          ...(isLong ? ["(Note: « décidé » can also be « réglé ».)", "I hope that this translation helps!"] : [])
        ]
  return sentences.join("\n")
}

const executor = Executor.layer((task, { attempt }) =>
  Effect.suspend(() => {
    const number = numberOf(task)
    const error = failure(number, attempt)
    if (error !== undefined) return Effect.fail(error)
    const outputTokens = 40 + (number % 60)
    return Effect.succeed(
      Execution.make({
        output: answer(task, number, attempt),
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

const judge = { models: ["demo-judge"], criteria: "Three sentences, and nothing but the answer." }

/** The judge is unsure about some answers, among them some that it rejected before. */
const isUnsure = (number: number): boolean => number % 10 === 2 || number % 16 === 5

const judging = Verifier.layer((task, { output }) =>
  Effect.succeed(
    output.split("\n").length === 3
      ? { ...Verification.pass({ confidence: isUnsure(numberOf(task)) ? 0.6 : 0.95 }), ...judge }
      : {
          ...Verification.reject("The answer has five sentences; three were asked for.", {
            confidence: 0.9,
            issues: ["too long"]
          }),
          ...judge
        }
  ).pipe(Effect.delay(Duration.millis(150)))
)

/** As with `--review unsure`. */
const verifier = Verifier.layerReviewIf(
  ({ confidence, passed }) =>
    passed && confidence < 0.7 ? "The verifier accepts the output, and is only 60% sure." : undefined,
  judging
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
