/** Runs the ticks of schedules when they are due. */
import * as Orchestrator from "@baton/core/Orchestrator"
import type { InvalidConfig } from "@baton/core/OrchestratorConfig"
import { ExecutionError } from "@baton/core/ExecutionError"
import * as Safety from "@baton/core/Safety"
import type { Handler, InvalidPayload } from "@baton/core/TaskQueue"
import { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError, TasksRefused } from "@baton/core/TaskStoreError"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { schedulesQueue } from "../run/queues.ts"
import * as Schedule from "./Schedule.ts"

/** Runs the command of a tick, and returns its exit code. */
export type RunCommand<R> = (
  tick: Schedule.Tick,
  args: ReadonlyArray<string>
) => Effect.Effect<number, ExecutionError, R>

/** A tick that starts later than this was missed. */
const punctual = Duration.minutes(1)

/** How long ended ticks are kept. */
const retention = Duration.days(30)

/** The longest that a command may take: timers do not go further. */
const longest = Duration.days(20)

/**
 * Runs the commands of all schedules until it is stopped. Several processes can do so on one store: each tick is claimed by
 * one of them. A command whose process dies is run again by another one, so it has to be one that resumes, as `run` does.
 */
export const run = <R>(options: {
  readonly owner: string
  readonly runCommand: RunCommand<R>
}): Effect.Effect<
  Orchestrator.RunSummary,
  Orchestrator.RunFailed | InvalidConfig | TaskStoreError | TasksRefused | InvalidPayload,
  TaskStore | R
> =>
  Effect.gen(function* () {
    const store = yield* TaskStore
    yield* startStranded
    const handler: Handler<Schedule.Tick, Schedule.Ended, R> = (tick, { earlierAttempts }) =>
      Effect.gen(function* () {
        const { at, ...definition } = tick
        const now = yield* DateTime.now
        if (at === null || (yield* Schedule.isPaused(tick.name))) return skipped("the schedule is paused")
        const first = (yield* earlierAttempts).length === 0
        const isLate = DateTime.isGreaterThan(now, DateTime.addDuration(at, punctual))
        const from = tick.missed === "all" ? at : DateTime.max(at, now)
        const addNext = Schedule.Ticks.add([Schedule.tickOf(definition, Schedule.nextAfter(definition, from))])
        // Before the command, so that the next tick happens whatever becomes of this one. Missed ones follow one another.
        const isCatchingUp = isLate && tick.missed === "all"
        if (!isCatchingUp) yield* addNext
        yield* store.prune({
          statuses: ["completed", "failed", "cancelled"],
          queue: schedulesQueue,
          olderThan: retention
        })
        if (first && isLate && tick.missed === "skip") return skipped("its time passed while no scheduler ran")
        const ofName = (yield* Schedule.ticks({ status: "in_progress" })).get(tick.name) ?? []
        const running = ofName.filter((other) => other.tick.at !== null && DateTime.isLessThan(other.tick.at, at))
        const ids = running.map((other) => other.task.id)
        if (isCatchingUp) yield* Effect.forEach(ids, store.awaitSettled, { discard: true })
        else if (ids.length > 0) {
          if (tick.overlap === "skip") return skipped("the tick before it is still running")
          if (tick.overlap === "cancel") yield* store.cancel({ ids })
        }
        const args = argsOf(tick, at)
        yield* Effect.logInfo(`Started baton ${args.join(" ")}`)
        const exitCode = yield* options.runCommand(tick, args)
        if (isCatchingUp) yield* addNext
        yield* Effect.logInfo(`Ended with exit code ${exitCode}`)
        return { exitCode, skipped: null }
      }).pipe(
        Effect.tap(({ skipped }) => (skipped === null ? Effect.void : Effect.logInfo(`Skipped, because ${skipped}`))),
        Effect.provideService(TaskStore, store),
        Effect.catchTags({
          TaskStoreError: failed,
          TasksRefused: failed,
          InvalidPayload: failed
        })
      )
    const layer = Orchestrator.layer({
      owner: options.owner,
      queues: [schedulesQueue],
      concurrency: 100,
      executionTimeout: longest,
      // A command that is stopped is run again, and resumes.
      drainTimeout: 0
    }).pipe(Layer.provide([Schedule.Ticks.layerExecutor(handler), Schedule.Ticks.layerVerifier, Safety.layerAllowAll]))
    return yield* Effect.provide(
      Orchestrator.Orchestrator.use(({ runForever }) => runForever),
      layer
    )
  })

const skipped = (reason: string): Schedule.Ended => ({ exitCode: null, skipped: reason })

const failed = (error: { readonly message: string }) =>
  Effect.fail(new ExecutionError({ reason: "Transient", message: error.message }))

/** Starts schedules without a next tick again: their last one failed before it could add it. */
const startStranded = Effect.gen(function* () {
  for (const ticks of (yield* Schedule.ticks()).values()) {
    if (ticks.some(({ task }) => task.status === "pending" || task.status === "in_progress")) continue
    const stored = Schedule.fromTicks(ticks)
    if (stored !== undefined) yield* Schedule.start(stored.definition)
  }
})

/** The arguments of a tick: `{{tick}}` is its time, and `{{date}}` its day in the time zone of the schedule. */
export const argsOf = ({ args, timezone }: Schedule.Tick, at: DateTime.Utc): ReadonlyArray<string> => {
  const day = DateTime.formatIsoDate(DateTime.setZoneNamedUnsafe(at, timezone))
  return args.map((arg) => arg.replaceAll("{{tick}}", DateTime.formatIso(at)).replaceAll("{{date}}", day))
}
