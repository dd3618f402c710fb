/**
 * The orchestrator claims tasks from a store, executes and verifies them, and settles the outcome of each attempt, any
 * number of tasks at a time, until nothing is left or something stops it.
 *
 * Execution is at-least-once: a worker that dies is replaced after its lease, so executors must be idempotent by task id
 * and attempt. At most one result per lease is accepted. An output that was saved before a crash is verified, not executed
 * again.
 *
 * An orchestrator lives in the scope of its layer. When that scope ends, the run is stopped and awaited before the store,
 * the executor and its other parts are closed. If the scope ends with a failure, the run does not wait for running tasks.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { identity } from "effect/Function"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as References from "effect/References"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { Event } from "./Event.ts"
import { ExecutionError } from "./ExecutionError.ts"
import { Executor } from "./Executor.ts"
import { distinct, hooksIn } from "./internal/hookRegistry.ts"
import * as runEvents from "./internal/run/events.ts"
import * as runMetrics from "./internal/run/metrics.ts"
import * as redaction from "./internal/redaction/services.ts"
import * as runs from "./internal/run/run.ts"
import { describeReason } from "./internal/run/parts.ts"
import { makeSpans } from "./internal/run/traces.ts"
import { optionalNullOr } from "./OptionalKey.ts"
import * as OrchestratorConfig from "./OrchestratorConfig.ts"
import { Redactor } from "./Redactor.ts"
import { Safety } from "./Safety.ts"
import type { Stats } from "./Stats.ts"
import type { StopReason } from "./StopReason.ts"
import { type Counts, TaskStore } from "./TaskStore.ts"
import { TaskStoreError } from "./TaskStoreError.ts"
import { VerificationError } from "./VerificationError.ts"
import { Verifier } from "./Verifier.ts"

/**
 * The orchestrator service.
 *
 * @category services
 * @since 0.1.0
 */
export class Orchestrator extends Context.Service<
  Orchestrator,
  {
    /**
     * Runs until no task is left that could run: every task is completed, in the dead-letter queue, cancelled, or waits for
     * one that did not complete. Interrupting it is a graceful shutdown: it claims no more tasks, lets running tasks finish
     * within the drain timeout, and releases the rest.
     */
    readonly run: Effect.Effect<RunSummary, RunFailed>
    /** Like `run`, but waits for new tasks when none are left. Ends by `stop`, a limit, or interruption. */
    readonly runForever: Effect.Effect<RunSummary, RunFailed>
    /**
     * Starts no tasks until `resume`. Tasks that were claimed and not started are released, and running tasks may finish.
     * Before a run, this makes the next run start paused.
     */
    readonly pause: Effect.Effect<void>
    readonly resume: Effect.Effect<void>
    /** Ends the run gracefully, as interruption does; the run returns its summary. */
    readonly stop: Effect.Effect<void>
    readonly state: Effect.Effect<OrchestratorState>
    /** The state now, and each change of it. */
    readonly stateChanges: Stream.Stream<OrchestratorState>
    /** The counts of the current run so far, or of the last run. */
    readonly stats: Effect.Effect<Stats>
    /**
     * The events from now on, until the scope of the orchestrator's layer ends. A subscriber that does not keep up loses
     * the oldest of `capacity` events, unless it asks for another strategy.
     */
    readonly events: (options?: EventsOptions) => Stream.Stream<Event>
  }
>()("@baton/core/Orchestrator") {}

/**
 * How events are kept for a subscriber that does not keep up.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventsOptions {
  /** How many events are kept. Default 1024. */
  readonly capacity?: number | undefined
  /**
   * What happens to more events than that:
   *
   * - `sliding` drops the oldest event. This is the default
   * - `dropping` drops the new event
   * - `suspend` drops nothing: the run waits for the subscriber, and keeps the remaining events for it once it stops
   */
  readonly strategy?: "sliding" | "dropping" | "suspend" | undefined
}

/**
 * The state of an orchestrator.
 *
 * @category models
 * @since 0.1.0
 */
export type OrchestratorState = "idle" | "running" | "paused" | "stopped" | "error"

/** The result of a run. */
export interface RunSummary {
  readonly reason: StopReason
  readonly stats: Stats
  /** All tasks of the store, including those of other workers. */
  readonly counts: Counts
}

/**
 * A run could not continue, or could not start. Its running tasks are drained and released first.
 *
 * @category errors
 * @since 0.1.0
 */
export class RunFailed extends Schema.TaggedError<RunFailed>()("RunFailed", {
  message: Schema.String,
  /** The error that ended the run. Absent when the message is all there is. */
  error: optionalNullOr(Schema.Union([ExecutionError, VerificationError, TaskStoreError]))
}) {}

/**
 * Builds an orchestrator from the store, executor, verifier, safety and hooks in its context.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (options: OrchestratorConfig.OrchestratorConfig) {
  const config = yield* OrchestratorConfig.resolve(options)
  const withLogLevel = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    config.logLevel === undefined ? effect : Effect.provideService(effect, References.MinimumLogLevel, config.logLevel)
  const hooks = hooksIn(yield* Effect.context<never>())
  const redact = Option.getOrUndefined(yield* Redactor)
  const executor = yield* Executor
  const verifier = yield* Verifier
  const random = yield* Random.nextIntBetween(0, 2 ** 31)
  const parts = {
    config,
    store: yield* TaskStore,
    executor: redaction.executor(redact, executor),
    verifier: redaction.verifier(redact, verifier),
    redact: redact ?? identity,
    safety: yield* Safety,
    clock: yield* Clock.Clock,
    events: yield* withLogLevel(runEvents.make),
    spans: yield* makeSpans,
    metrics: runMetrics.make(config),
    // Unique per start, so that a restarted worker is never mistaken for its predecessor.
    owner: `${config.owner}-${random.toString(36)}`
  }
  const state = yield* SubscriptionRef.make<OrchestratorState>("idle")
  const onChange = (next: OrchestratorState) => SubscriptionRef.set(state, next)
  /** The current run, or the last one. */
  let run: runs.Run | undefined
  /** Open while nothing runs. */
  const idle = Latch.makeUnsafe(true)
  let isClosed = false
  let pauseNext = false

  const start = (options: { readonly untilDrained: boolean }): Effect.Effect<RunSummary, RunFailed> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        if (isClosed) return Effect.fail(new RunFailed({ message: closedMessage }))
        if (!Latch.isOpen(idle)) {
          return Effect.fail(new RunFailed({ message: "This orchestrator is running already." }))
        }
        idle.closeUnsafe()
        return Effect.ensuring(
          parts.spans.open(
            "invoke_workflow baton",
            () => ({
              attributes: {
                "gen_ai.operation.name": "invoke_workflow",
                "gen_ai.workflow.name": "baton",
                "baton.owner": parts.owner
              }
            }),
            runOnce(options, restore)
          ),
          Effect.sync(() => idle.openUnsafe())
        )
      })
    ).pipe(withLogLevel)

  const runOnce = Effect.fnUntraced(function* (
    options: { readonly untilDrained: boolean },
    restore: <A>(effect: Effect.Effect<A>) => Effect.Effect<A>
  ): Effect.fn.Return<RunSummary, RunFailed> {
    run = undefined
    parts.events.setHooks(distinct([...hooks, ...hooksIn(yield* Effect.context<never>())]))
    const takePause = () => {
      const paused = pauseNext
      pauseNext = false
      return paused
    }
    run = yield* runs.make(parts, { ...options, onChange, takePause })
    if (isClosed) run.stop.request({ _tag: "Stopped" })
    yield* SubscriptionRef.set(state, "running")
    const { counts, error, reason, stats } = yield* run.live(restore)
    if (reason._tag !== "Failed" && Option.isSome(counts)) {
      yield* SubscriptionRef.set(state, "stopped")
      return { reason, stats, counts: counts.value }
    }
    yield* SubscriptionRef.set(state, "error")
    const silent = "The run ended, but its store does not report the tasks any more."
    return yield* new RunFailed({ message: reason._tag === "Failed" ? reason.message : silent, error })
  })

  const setPaused = (paused: boolean) =>
    Effect.suspend(() => {
      if (run !== undefined && !Latch.isOpen(idle)) return run.setPaused(paused)
      pauseNext = paused
      return Effect.void
    })

  // The parts of a run are closed after this.
  yield* Effect.addFinalizer((exit) =>
    Effect.suspend(() => {
      isClosed = true
      if (Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)) run?.skipDrain()
      run?.stop.request({ _tag: "Stopped" })
      return idle.await
    })
  )

  return Orchestrator.of({
    run: start({ untilDrained: true }),
    runForever: start({ untilDrained: false }),
    pause: setPaused(true),
    resume: setPaused(false),
    stop: Effect.sync(() => run?.stop.request({ _tag: "Stopped" })),
    state: SubscriptionRef.get(state),
    stateChanges: SubscriptionRef.changes(state),
    stats: Effect.sync(() => run?.stats() ?? noStats),
    events: parts.events.subscribe
  })
})

const closedMessage =
  "This orchestrator is closed, because the scope of its layer has ended. Run it inside of that scope."

/** The stats before the first run. */
const noStats: Stats = {
  tasksStarted: 0,
  tasksCompleted: 0,
  tasksUnverified: 0,
  tasksInReview: 0,
  tasksFailed: 0,
  tasksRetried: 0,
  tasksReleased: 0,
  executions: 0,
  leasesLost: 0,
  elapsedSeconds: 0,
  successRate: 0
}

/**
 * The orchestrator as a layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  config: OrchestratorConfig.OrchestratorConfig = {}
): Layer.Layer<Orchestrator, OrchestratorConfig.InvalidConfig, TaskStore | Executor | Verifier | Safety> =>
  Layer.effect(Orchestrator, make(config))

/**
 * A resident worker: runs the orchestrator with `runForever` in the scope of this layer, logs its end, and stops it before
 * its parts are closed.
 *
 * **Details**
 *
 * `onEnd` says what happens when the worker ends, by a fatal error, a limit or a stop request:
 *
 * - `fail`, the default, fails this layer, so that the application ends instead of accepting tasks that no worker takes.
 *   A layer can only fail while it is being built, so this one is being built for as long as the worker runs. Merge it
 *   with the other layers of the application, and start them with `Layer.launch`
 * - `log` does nothing else. The layer is built at once, as `Effect.provide` needs it
 *
 * **Example**
 *
 * ```ts
 * import { Executor, Orchestrator, Safety, TaskStore, Verifier } from "@baton/core"
 * import { Layer } from "effect"
 *
 * const worker = Orchestrator.layerWorker().pipe(
 *   Layer.provide(Orchestrator.layer({ concurrency: 4 })),
 *   Layer.provide([Executor.layerFake(), Verifier.layerAlwaysPass, Safety.layerAllowAll])
 * )
 * export const application = Layer.launch(worker.pipe(Layer.provide(TaskStore.layerMemory)))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWorker = (
  options: { readonly onEnd?: "fail" | "log" | undefined } = {}
): Layer.Layer<never, RunFailed, Orchestrator> =>
  Layer.effectDiscard(
    Effect.flatMap(Orchestrator, ({ runForever }) => {
      const work = Effect.onExit(runForever, logEnd)
      if (options.onEnd === "log") return Effect.forkScoped(work)
      return Effect.flatMap(work, ({ reason }) =>
        Effect.fail(new RunFailed({ message: `The worker ended: ${describeReason(reason)}` }))
      )
    })
  )

const logEnd = (exit: Exit.Exit<RunSummary, RunFailed>) => {
  const log = Exit.isSuccess(exit)
    ? Effect.annotateLogs(Effect.logWarning("The worker ended"), "reason", describeReason(exit.value.reason))
    : Cause.hasInterruptsOnly(exit.cause)
      ? Effect.logInfo("The worker was stopped")
      : Effect.logError("The worker failed", exit.cause)
  return Effect.annotateLogs(log, { module: "Orchestrator" })
}
