/**
 * Starts executions of a workflow at the times of a cron expression.
 *
 * Every process with workflows evaluates the schedule and starts an execution at each time. The time decides the payload, and the
 * payload the id of the execution, so that the engine starts each of them once.
 *
 * **Example** (every night)
 *
 * ```ts
 * import { Schedules } from "@baton/adapters/workflow"
 * import { DateTime, Schema } from "effect"
 * import { Workflow } from "effect/workflow"
 *
 * const Nightly = Workflow.make("Nightly/1", {
 *   payload: { date: Schema.String },
 *   idempotencyKey: ({ date }) => date
 * })
 *
 * export const schedule = Schedules.layer(Nightly, {
 *   cron: "0 2 * * *",
 *   timezone: "Europe/Berlin",
 *   payload: (time) => ({ date: DateTime.formatIsoDateUtc(time) }),
 *   catchUp: "12 hours"
 * })
 * ```
 *
 * @since 0.2.0
 */
import * as CronExpression from "@baton/core/CronExpression"
import type * as Cron from "effect/Cron"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Workflow from "effect/workflow/Workflow"
import type { WorkflowEngine } from "effect/workflow/WorkflowEngine"

/**
 * The cron expression or the time zone of a schedule cannot be used. The message says why, and what to write.
 *
 * @category errors
 * @since 0.2.0
 */
export class InvalidSchedule extends Schema.TaggedError<InvalidSchedule>()("InvalidSchedule", {
  workflow: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `The schedule of the workflow "${this.workflow}" is not valid: ${this.reason}`
  }
}

/**
 * When a workflow is started, and with what.
 *
 * @category models
 * @since 0.2.0
 */
export interface Options<Payload> {
  /** Five fields: minute, hour, day, month, weekday. */
  readonly cron: string
  /** Default `UTC`. */
  readonly timezone?: string | undefined
  /** The payload of the execution for this time. Its idempotency key has to contain the time. */
  readonly payload: (time: DateTime.Utc) => Payload
  /** Times that passed while no process was running are started late, if they were at most so long ago. Default: none. */
  readonly catchUp?: Duration.Input | undefined
}

/**
 * Starts an execution at each time of the schedule, once, however many processes have this layer.
 *
 * @category layers
 * @since 0.2.0
 */
export const layer = <
  Tag extends string,
  Payload extends Workflow.AnyStructSchema,
  Success extends Schema.Top,
  Error extends Schema.Top
>(
  workflow: Workflow.Workflow<Tag, Payload, Success, Error>,
  options: Options<Payload["~type.make.in"]>
): Layer.Layer<
  never,
  InvalidSchedule,
  WorkflowEngine | Payload["EncodingServices"] | Success["DecodingServices"] | Error["DecodingServices"]
> =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const cron = yield* Effect.mapError(
        Effect.fromResult(CronExpression.parse(options.cron, options.timezone ?? "UTC")),
        (reason) => new InvalidSchedule({ workflow: workflow._tag, reason })
      )
      const catchUp = Duration.fromInputUnsafe(options.catchUp ?? Duration.zero)
      const start = (time: DateTime.Utc) =>
        workflow.execute(options.payload(time), { discard: true }).pipe(
          Effect.sandbox,
          Effect.tapError((cause) => Effect.logWarning(`The workflow ${workflow._tag} could not be started`, cause)),
          Effect.retry(untilStarted),
          Effect.ignore,
          Effect.annotateLogs({ module: "Schedules" })
        )
      yield* Effect.forkScoped(forEachTime(cron, catchUp, start))
    })
  )

const untilStarted = Schedule.min([Schedule.exponential("250 millis"), Schedule.spaced("30 seconds")])

/** Long sleeps are divided, because the clock of the machine can be changed while they last. */
const longestSleep = Duration.minutes(10)

const forEachTime = <R>(
  cron: Cron.Cron,
  catchUp: Duration.Duration,
  start: (time: DateTime.Utc) => Effect.Effect<void, never, R>
): Effect.Effect<void, never, R> =>
  Effect.gen(function* () {
    let last = DateTime.subtractDuration(yield* DateTime.now, catchUp)
    while (true) {
      const next = yield* Effect.orDie(Effect.fromResult(CronExpression.after(cron, last)))
      let now = yield* DateTime.now
      while (DateTime.isLessThan(now, next)) {
        yield* Effect.sleep(Duration.min(DateTime.distance(now, next), longestSleep))
        now = yield* DateTime.now
      }
      yield* start(next)
      last = next
    }
  })
