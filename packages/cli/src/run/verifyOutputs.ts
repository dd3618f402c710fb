/**
 * Verifies stored outputs without executing their tasks.
 *
 * The outputs go through a run on a store in memory, whose executor returns the stored outputs: so limits, timeouts, retries of
 * the verifier and the live view are those of any run.
 */
import type { LeaseToken } from "@baton/core/Attempt"
import { ExecutionError } from "@baton/core/ExecutionError"
import * as Executor from "@baton/core/Executor"
import * as Hooks from "@baton/core/Hooks"
import * as Orchestrator from "@baton/core/Orchestrator"
import type { StopReason } from "@baton/core/StopReason"
import type { NewTask, Task, TaskId, TaskStatus } from "@baton/core/Task"
import { inQueues, layerMemory, TaskStore } from "@baton/core/TaskStore"
import type * as Usage from "@baton/core/Usage"
import type * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { hostname } from "node:os"
import { runFlagsOf, type VerifyFlags } from "../settings/flags.ts"
import { CommandFailed } from "../system/CommandFailed.ts"
import { LogLines } from "../view/logger.ts"
import { pages } from "@baton/core/TaskPages"
import * as childGroups from "../system/process.ts"
import * as queues from "./queues.ts"
import { terminalFor } from "./run.ts"
import * as RunParts from "./runParts.ts"
import { makeDisplay, redactorOf } from "./runTasks.ts"

/** The status of tasks whose outputs can be verified: of a failed task, the last output. */
export type VerifiableStatus = Extract<TaskStatus, "completed" | "failed">

/** An output without a verdict, or one that was rejected. */
export interface Finding {
  readonly id: TaskId
  readonly feedback: string
}

/** The verdicts on the outputs. */
export interface Verdicts {
  readonly passed: number
  readonly rejected: ReadonlyArray<Finding>
  /** The outputs that the verifier returned no verdict for. */
  readonly unverified: ReadonlyArray<Finding>
  readonly reason: StopReason
  readonly usage?: Usage.Usage | undefined
  readonly elapsedSeconds: number
  /** The rejected tasks that are pending again. */
  readonly requeued: ReadonlyArray<TaskId>
}

/** Which outputs are verified, and whether their tasks are executed again if they are rejected. */
export interface VerifyOptions {
  readonly status: VerifiableStatus
  readonly requeue: boolean
}

/** Verifies the outputs of all tasks with a status. */
export const verifyOutputs = Effect.fnUntraced(function* (
  verifyFlags: VerifyFlags,
  { requeue, status }: VerifyOptions
) {
  const flags = runFlagsOf(verifyFlags)
  if (flags.verify === undefined && flags.verifier === undefined) {
    return yield* new CommandFailed({
      message: "No verifier is set. Add a command, as in --verify './check.sh', or --verifier claude."
    })
  }
  const whole = yield* TaskStore
  const chosen = yield* queues.choose(whole)
  const stored = inQueues(whole, chosen)
  const tokens = new Map<TaskId, LeaseToken | undefined>()
  const parts = yield* RunParts.make(flags, `${hostname()}/${process.pid}`, {
    // A rejected output is a result here, and no reason to stop.
    endless: true,
    executor: executorOf(stored, status, tokens)
  })
  const memory = inQueues(Context.get(yield* Layer.build(layerMemory), TaskStore), chosen)
  const places = new Map<TaskId, number>()
  yield* pages({ status }).pipe(
    Stream.provideService(TaskStore, stored),
    Stream.runForEachArray((tasks) => {
      for (const { id } of tasks) places.set(id, places.size)
      return Effect.orDie(memory.add(tasks.map(toNewTask)))
    })
  )
  const verdicts = yield* Effect.provideService(run({ flags, parts, queues: chosen }), TaskStore, memory)
  const inOrder = (findings: ReadonlyArray<Finding>) =>
    findings.toSorted((left, right) => (places.get(left.id) ?? 0) - (places.get(right.id) ?? 0))
  const rejected = inOrder(verdicts.rejected)
  const revisions = rejected.map(({ feedback, id }) => ({ taskId: id, feedback, token: tokens.get(id) }))
  const requeued = requeue ? yield* stored.revise(revisions, { from: [status] }) : []
  return { ...verdicts, rejected, unverified: inOrder(verdicts.unverified), requeued }
}, Effect.scoped)

/** Only the fields that a verifier reads. Dependencies have completed, or there would be no output. */
const toNewTask = ({ description, id, metadata, overrides, payload, queue }: Task): NewTask => {
  const { maxAttempts: _, ...others } = overrides
  return { id, queue, description, metadata, overrides: others, ...(payload === undefined ? undefined : { payload }) }
}

/** Returns the stored output, at no cost, and notes the token of the attempt that it is of. */
const executorOf = (
  store: TaskStore["Service"],
  status: VerifiableStatus,
  tokens: Map<TaskId, LeaseToken | undefined>
): Layer.Layer<Executor.Executor> =>
  Executor.layer(({ id }) =>
    Effect.gen(function* () {
      const task = Option.filter(yield* store.get(id), (task) => task.status === status)
      if (Option.isNone(task)) return yield* noOutput(`The task is no longer ${status}.`)
      const attempts = yield* store.attempts(id)
      tokens.set(id, attempts.at(-1)?.token)
      const outputs = attempts.flatMap(({ execution }) => (execution === undefined ? [] : [execution]))
      const last = outputs.at(-1)
      if (last === undefined) return yield* noOutput("The task has no output.")
      return { ...last, usage: undefined }
    }).pipe(Effect.catchTag("TaskStoreError", ({ message }) => noOutput(message)))
  )

const noOutput = (message: string) => Effect.fail(new ExecutionError({ reason: "Permanent", message }))

const run = Effect.fnUntraced(function* ({
  flags,
  parts,
  queues
}: {
  readonly flags: ReturnType<typeof runFlagsOf>
  readonly parts: RunParts.RunParts
  readonly queues: Arr.NonEmptyReadonlyArray<string>
}) {
  const memory = yield* TaskStore
  const terminal = yield* terminalFor(flags)
  const display = yield* makeDisplay({ endless: false, flags, parts, terminal }, yield* memory.counts)
  const rejections = new Map<TaskId, string>()
  const rejected: Array<Finding> = []
  const unverified: Array<Finding> = []
  let passed = 0
  const collect: Hooks.Hook = (event) => {
    if (event._tag === "TaskCompleted") passed++
    if (event._tag === "VerificationFailed") rejections.set(event.taskId, event.feedback)
    if (event._tag !== "TaskFailed") return display.hook(event)
    const feedback = rejections.get(event.taskId)
    if (feedback === undefined) unverified.push({ id: event.taskId, feedback: event.feedback })
    else rejected.push({ id: event.taskId, feedback })
    // Printed with the result.
    return Effect.sync(() => display.progress.on(event))
  }
  const orchestrator = Orchestrator.layer({ ...parts.config, maxAttempts: 1, queues }).pipe(
    Layer.provide([parts.executor, parts.verifier, parts.safety, Hooks.layer(collect), yield* redactorOf(flags)]),
    Layer.provide(childGroups.layer)
  )
  const { reason, stats } = yield* Effect.gen(function* () {
    const orchestrator = yield* Orchestrator.Orchestrator
    yield* display.listen(orchestrator)
    return yield* orchestrator.run
  }).pipe(Effect.scoped, Effect.provide(orchestrator), Effect.provideService(LogLines, display.line))
  yield* display.flush
  const { elapsedSeconds, usage } = stats
  return { passed, rejected, unverified, reason, usage, elapsedSeconds }
}, Effect.scoped)
