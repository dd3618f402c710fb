/**
 * `baton demo`: runs three tasks, one of which needs a retry and one of which always fails.
 *
 * Only the answers of the executor are scripted. The store, the orchestrator, retries and the verifier are real.
 */
import type { Event } from "@baton/core/Event"
import * as Execution from "@baton/core/Execution"
import { ExecutionError } from "@baton/core/ExecutionError"
import * as Executor from "@baton/core/Executor"
import * as Orchestrator from "@baton/core/Orchestrator"
import * as OrchestratorBuilder from "@baton/core/OrchestratorBuilder"
import * as RetryPolicy from "@baton/core/RetryPolicy"
import * as Safety from "@baton/core/Safety"
import * as Task from "@baton/core/Task"
import * as TaskStore from "@baton/core/TaskStore"
import * as Verification from "@baton/core/Verification"
import * as Verifier from "@baton/core/Verifier"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { canvas, writeLines } from "../view/stdout.ts"
import { count } from "../view/quantity.ts"
import * as Style from "../view/style.ts"
import { pad } from "../view/width.ts"
import { withEvents } from "../view/events.ts"

interface DemoTask {
  readonly id: string
  readonly description: string
  /** The executor's output for each attempt; null for a permanent failure. */
  readonly answers: ReadonlyArray<string | null>
  /** The verifier's feedback on an output, or undefined to accept it. */
  readonly feedback: (answer: string) => string | undefined
}

const demoTasks: ReadonlyArray<DemoTask> = [
  {
    id: "task-001",
    description: "Name a prime between 20 and 30",
    answers: ["27", "29"],
    feedback: (answer) => (answer === "29" ? undefined : `${answer} is 3 × 9, not a prime number`)
  },
  {
    id: "task-002",
    description: "Say good morning in French",
    answers: ["bonjour"],
    feedback: () => undefined
  },
  {
    id: "task-003",
    description: "Predict the lottery numbers",
    answers: [null],
    feedback: () => undefined
  }
]

const taskOf = (id: string) => demoTasks.find((task) => task.id === id)
const refusal = "The lottery numbers cannot be predicted"
const maxAttempts = 3

/** Slow enough to follow; the whole demo takes less than three seconds. */
const answerDelay = Duration.millis(220)
const pause = Duration.millis(150)

const executor = Executor.layer((task, { attempt }) =>
  Effect.suspend(() => {
    const output = taskOf(task.id)?.answers[attempt - 1]
    return typeof output === "string"
      ? Effect.succeed(Execution.make({ output, confidence: 0.9 }))
      : Effect.fail(new ExecutionError({ reason: "Permanent", message: refusal }))
  }).pipe(Effect.delay(answerDelay))
)

const verifier = Verifier.layer((task, { output }) =>
  Effect.sync(() => {
    const feedback = taskOf(task.id)?.feedback(output)
    return feedback === undefined ? Verification.pass() : Verification.reject(feedback)
  }).pipe(Effect.delay(answerDelay))
)

/** Runs the demo and prints its events to standard output. */
export const demo = Effect.gen(function* () {
  const { style } = yield* canvas
  const print = (lines: ReadonlyArray<string>) => writeLines(lines)

  yield* print([style.bold("Three tasks, up to three attempts each, a scripted executor, a real verifier."), ""])
  const runAll = Effect.gen(function* () {
    const store = yield* TaskStore.TaskStore
    yield* store.add(demoTasks.map(({ description, id }) => Task.makeNew({ id, description })))
    const { events, run } = yield* Orchestrator.Orchestrator
    return yield* withEvents(run, events({ strategy: "suspend" }), (event) =>
      linesOf(event, style)
        .map((line) => `${line}\n`)
        .join("")
    )
  })
  const { counts, stats } = yield* Effect.provide(runAll, layer)
  yield* print([
    "",
    [
      style.green(`✓ ${counts.completed} completed and verified`),
      style.yellow(`↻ ${count(stats.tasksRetried, "retry", "retries")}`),
      style.red(`✗ ${counts.failed} in the dead-letter queue`)
    ].join("   "),
    "",
    "Now run your own list with one task per line, and your own commands:",
    `  ${style.bold("baton run tasks.txt --exec 'claude -p' --verify './check.sh'")}`,
    `  ${style.bold("baton run --help")}`
  ])
})

const layer = OrchestratorBuilder.make()
  .withTaskStore(TaskStore.layerMemory)
  .withExecutor(executor)
  .withVerifier(verifier)
  .withSafety(Safety.layerCircuitBreaker({ maxIterations: 100 }))
  .withConfig({ maxAttempts, retryPolicy: RetryPolicy.immediate, pauseBetweenTasks: pause })
  .build()

/** The lines for an event: one for a change of status, indented ones for the steps before it. */
const linesOf = (event: Event, style: Style.Style): ReadonlyArray<string> => {
  const change = (id: string, from: Task.TaskStatus, to: Task.TaskStatus, note: string) =>
    `${style.bold(pad(id, 8))}  ${pad(from, 11)} → ${Style.ofStatus(style, to)(pad(to, 11))}  ${style.dim(note)}`
  const step = (text: string) => `${" ".repeat(10)}${text}`
  const answer = (id: string, attempt: number) => taskOf(id)?.answers[attempt - 1] ?? ""
  switch (event._tag) {
    case "TaskStarted":
      return [change(event.taskId, "pending", "in_progress", `attempt ${event.attempt}: ${event.description}`)]
    case "TaskExecuted":
      return [step(`executor answers: ${answer(event.taskId, event.attempt)}`)]
    case "VerificationFailed":
      return [step(`verifier ${style.yellow("rejects")}: ${event.feedback}`)]
    case "TaskRetried":
      return [
        change(
          event.taskId,
          "in_progress",
          "pending",
          `attempt ${event.attempt}/${maxAttempts} failed: retry with feedback`
        )
      ]
    case "TaskCompleted":
      return [
        step(`verifier ${style.green("accepts")}`),
        change(event.taskId, "in_progress", "completed", "the result is in the store")
      ]
    case "TaskFailed":
      return [
        step(`executor ${style.red("fails")}: ${event.feedback}`),
        change(event.taskId, "in_progress", "failed", "permanent failure: dead letter")
      ]
    default:
      return []
  }
}
