/**
 * One worker process: an orchestrator that runs until it is stopped or killed, and records its executions and the replies of
 * the store. Its argument is a `WorkerConfig` as JSON. It exits when its parent does, because that closes its stdin.
 */
import {
  Execution,
  ExecutionError,
  Executor,
  Hooks,
  Orchestrator,
  RetryPolicy,
  Safety,
  TaskStore,
  Verification,
  VerificationError,
  Verifier
} from "@baton/core"
import type { TaskStoreError } from "@baton/core"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Duration, Effect, Layer, Schedule, Schema } from "effect"
import { behaviourOf } from "./behaviour.ts"
import { type Write, writer } from "./history.ts"

export const WorkerConfig = Schema.Struct({
  /** What the worker opens: a file or a URL. */
  place: Schema.String,
  history: Schema.String,
  /** Unique per start. */
  name: Schema.String,
  seed: Schema.Int,
  /** Multiplies every duration. */
  pace: Schema.Number,
  leaseMillis: Schema.Int,
  concurrency: Schema.Int,
  maxAttempts: Schema.Int
})
export type WorkerConfig = typeof WorkerConfig.Type

/** Printed by a worker when its run has started. */
export const readyMessage = "ready\n"

/** Opens a store. */
export type Open = (place: string) => Layer.Layer<TaskStore.TaskStore, TaskStoreError>

/** Records the replies of the store before it returns them. */
const recorded = (store: TaskStore.TaskStore["Service"], write: Write): TaskStore.TaskStore["Service"] => ({
  ...store,
  claim: (options) =>
    Effect.tap(store.claim(options), (claims) =>
      Effect.sync(() =>
        write(
          claims.map(({ checkpoint, task, token }) => ({
            _tag: "Claimed",
            task: task.id,
            token,
            attempt: task.attempts,
            saved: checkpoint?.output ?? null
          }))
        )
      )
    ),
  checkpoint: (checkpoints) =>
    Effect.tap(store.checkpoint(checkpoints), ({ lost }) =>
      Effect.sync(() =>
        write(
          checkpoints.map(({ execution: { output }, taskId: task, token }) =>
            lost.some((lease) => lease.taskId === task && lease.token === token)
              ? { _tag: "Fenced", task, token, what: "checkpoint", as: null, output }
              : { _tag: "Saved", task, token, output }
          )
        )
      )
    ),
  settle: (settlements) =>
    Effect.tap(store.settle(settlements), ({ lost }) =>
      Effect.sync(() =>
        write(
          settlements.map((settlement) => {
            const { _tag: as, taskId: task, token } = settlement
            const output = as === "Release" ? null : (settlement.execution?.output ?? null)
            return lost.some((lease) => lease.taskId === task && lease.token === token)
              ? { _tag: "Fenced", task, token, what: "settle", as, output }
              : { _tag: "Settled", task, token, as }
          })
        )
      )
    ),
  sweep: (options) =>
    Effect.tap(store.sweep(options), (swept) =>
      Effect.sync(() => write(swept.map(({ taskId: task, token }) => ({ _tag: "Reclaimed", task, token }))))
    )
})

const executor = ({ name, pace, seed }: WorkerConfig, write: Write) => {
  let executions = 0
  return Executor.layer((task, { attempt, leaseToken: token }) =>
    Effect.suspend(() => {
      // Unique per execution.
      const output = `${task.id} under lease ${token}, execution ${++executions} of ${name}`
      write([{ _tag: "Executed", task: task.id, token, attempt, output }])
      const does = behaviourOf(seed, pace, task.id, attempt)
      return Effect.andThen(
        Effect.sleep(does.executionMillis),
        does.execution === "succeeds"
          ? Effect.succeed(Execution.make({ output }))
          : Effect.fail(
              new ExecutionError({
                reason: does.execution === "fails" ? "Failed" : "Permanent",
                message: `The execution ${does.execution}.`
              })
            )
      )
    })
  )
}

const verifier = ({ pace, seed }: WorkerConfig) =>
  Verifier.layer((task, _, { attempt }) => {
    const does = behaviourOf(seed, pace, task.id, attempt)
    const verdict = {
      passes: Effect.succeed(Verification.pass()),
      rejects: Effect.succeed(Verification.reject("Try again.")),
      breaks: Effect.fail(new VerificationError({ reason: "Failed", message: "The verifier broke." }))
    }
    return Effect.andThen(Effect.sleep(does.verificationMillis), verdict[does.verification])
  })

const recordEvents = (write: Write) => {
  const record = ({ _tag: event, attempt, taskId }: TaskEvent) =>
    Effect.sync(() => write([{ _tag: "Published", task: taskId, event, attempt }]))
  const reportReady = () => Effect.sync(() => process.stdout.write(readyMessage))
  return Hooks.layer(
    Hooks.handle({
      RunStarted: reportReady,
      TaskCompleted: record,
      TaskFailed: record,
      TaskRetried: record,
      LeaseLost: record
    })
  )
}
interface TaskEvent {
  readonly _tag: string
  readonly taskId: string
  readonly attempt: number
}

/** The worker retries while its store is unreachable at the start. */
const openRetry = Schedule.spaced("100 millis")

const program = (config: WorkerConfig, open: Open) =>
  Effect.gen(function* () {
    const write = writer(config.history, config.name)
    const opened = yield* Layer.build(open(config.place)).pipe(
      Effect.retry({ schedule: openRetry, while: (error) => error.reason === "Unavailable" })
    )
    const store = Layer.effect(
      TaskStore.TaskStore,
      Effect.map(TaskStore.TaskStore, (store) => recorded(store, write))
    ).pipe(Layer.provide(Layer.succeedContext(opened)))
    const orchestrator = Orchestrator.layer({
      owner: config.name,
      leaseDuration: config.leaseMillis,
      concurrency: config.concurrency,
      maxAttempts: config.maxAttempts,
      drainTimeout: "5 seconds",
      retryPolicy: RetryPolicy.exponential({ base: "20 millis", max: "200 millis" }),
      transientRetry: Schedule.upTo(Schedule.spaced(Duration.millis(10)), { times: 1 })
    }).pipe(
      Layer.provide([store, executor(config, write), verifier(config), Safety.layerAllowAll, recordEvents(write)])
    )
    yield* Effect.provide(
      Effect.flatMap(Orchestrator.Orchestrator, ({ runForever }) => runForever),
      orchestrator
    )
  }).pipe(Effect.scoped)

/** Runs the worker that the arguments of this process describe. */
export const runWorker = (open: Open) => {
  process.stdin.resume().once("end", () => process.exit(1))
  Schema.decodeUnknownEffect(Schema.fromJsonString(WorkerConfig))(process.argv[2]).pipe(
    Effect.flatMap((config) => program(config, open)),
    // An open stdin would keep the process alive.
    Effect.ensuring(Effect.sync(() => process.stdin.destroy())),
    NodeRuntime.runMain
  )
}
