/**
 * What `baton demo` shows: three tasks, one of which needs a retry and one of which can never be done.
 *
 * Nothing is staged but the answers: store, orchestrator, retries and verifier are those of every run.
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
import { canvas, writeLine } from "../view/stdout.ts"
import { count } from "../view/quantity.ts"
import * as Style from "../view/style.ts"
import { pad } from "../view/width.ts"
import { withEvents } from "../view/events.ts"

interface Scene {
  readonly id: string
  readonly description: string
  /** What the executor says at each attempt; null when it refuses. */
  readonly answers: ReadonlyArray<string | null>
  /** What the verifier holds against an answer. */
  readonly objection: (answer: string) => string | undefined
}

const scenes: ReadonlyArray<Scene> = [
  {
    id: "task-001",
    description: "Name a prime between 20 and 30",
    answers: ["27", "29"],
    objection: (answer) => (answer === "29" ? undefined : `${answer} is 3 × 9, not a prime number`)
  },
  {
    id: "task-002",
    description: "Say good morning in French",
    answers: ["bonjour"],
    objection: () => undefined
  },
  {
    id: "task-003",
    description: "Predict the lottery numbers",
    answers: [null],
    objection: () => undefined
  }
]

const sceneOf = (id: string) => scenes.find((scene) => scene.id === id)
const refusal = "nobody can know that"
const maxAttempts = 3

/** Long enough to be seen happening, and all of it over in less than three seconds. */
const thinking = Duration.millis(220)
const pause = Duration.millis(150)

const executor = Executor.layer((task, { attempt }) =>
  Effect.suspend(() => {
    const output = sceneOf(task.id)?.answers[attempt - 1]
    return typeof output === "string"
      ? Effect.succeed(Execution.make({ output, confidence: 0.9 }))
      : Effect.fail(new ExecutionError({ reason: "Permanent", message: refusal }))
  }).pipe(Effect.delay(thinking))
)

const verifier = Verifier.layer((task, { output }) =>
  Effect.sync(() => {
    const objection = sceneOf(task.id)?.objection(output)
    return objection === undefined ? Verification.pass() : Verification.reject(objection)
  }).pipe(Effect.delay(thinking))
)

/** Plays it on standard output. */
export const demo = Effect.gen(function* () {
  const { style } = yield* canvas
  const print = (lines: ReadonlyArray<string>) => writeLine(lines.join("\n"))

  yield* print([style.bold("Three tasks, three attempts each; a scripted executor and a real verifier."), ""])
  const play = Effect.gen(function* () {
    const store = yield* TaskStore.TaskStore
    yield* store.add(scenes.map(({ description, id }) => Task.make({ id, description })))
    const { events, run } = yield* Orchestrator.Orchestrator
    return yield* withEvents(run, events, (event) =>
      linesOf(event, style)
        .map((line) => `${line}\n`)
        .join("")
    )
  })
  const { counts, stats } = yield* Effect.provide(play, stage)
  yield* print([
    "",
    [
      style.green(`✓ ${counts.completed} completed and verified`),
      style.yellow(`↻ ${count(stats.tasksRetried, "retry", "retries")}`),
      style.red(`✗ ${counts.failed} in the dead-letter queue`)
    ].join("   "),
    "",
    "Now your own list, a task a line, and your own command:",
    `  ${style.bold("baton run tasks.txt --exec 'claude -p' --verify './check.sh'")}`,
    `  ${style.bold("baton run --help")}`
  ])
})

const stage = OrchestratorBuilder.make()
  .withTaskStore(TaskStore.layerMemory)
  .withExecutor(executor)
  .withVerifier(verifier)
  .withSafety(Safety.layerCircuitBreaker({ maxIterations: 100 }))
  .withConfig({ maxAttempts, retryPolicy: RetryPolicy.immediate, pauseBetweenTasks: pause })
  .build()

/** One line for a change of status, indented ones for what led to it. */
const linesOf = (event: Event, style: Style.Style): ReadonlyArray<string> => {
  const change = (id: string, from: Task.TaskStatus, to: Task.TaskStatus, note: string) =>
    `${style.bold(pad(id, 8))}  ${pad(from, 11)} → ${Style.ofStatus(style, to)(pad(to, 11))}  ${style.dim(note)}`
  const step = (text: string) => `${" ".repeat(10)}${text}`
  const answer = (id: string, attempt: number) => sceneOf(id)?.answers[attempt - 1] ?? ""
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
          `attempts ${event.attempt} < ${maxAttempts}: again, with the feedback`
        )
      ]
    case "TaskCompleted":
      return [
        step(`verifier ${style.green("accepts")}`),
        change(event.taskId, "in_progress", "completed", "the result is in the store")
      ]
    case "TaskFailed":
      return [
        step(`executor ${style.red("refuses")}: ${event.feedback}`),
        change(event.taskId, "in_progress", "failed", "trying again would not help: dead letter")
      ]
    default:
      return []
  }
}
