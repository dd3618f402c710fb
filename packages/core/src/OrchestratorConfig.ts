/**
 * The settings of an orchestrator. Each of them has a default.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Formatter from "effect/Formatter"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { defaultQueue, QueueName } from "./Task.ts"
import * as RetryPolicy from "./RetryPolicy.ts"

const count = Schema.Number.check(
  Schema.makeFilter((value) => Number.isInteger(value) && value >= 1, { expected: "a whole number of at least 1" })
)

const countOrInfinity = Schema.Number.check(
  Schema.makeFilter((value) => value === Infinity || (Number.isInteger(value) && value >= 1), {
    expected: "a whole number of at least 1, or Infinity"
  })
)

const amount = Schema.Number.check(Schema.makeFilter((value) => value > 0, { expected: "a number above 0" }))

const isDurationInput = (value: unknown): value is Duration.Input =>
  !Number.isNaN(value) && Option.isSome(parseDuration(value))

// Checks its input at run time, whatever its type says.
const parseDuration: (value: unknown) => Option.Option<Duration.Duration> = Option.liftThrowable((value) =>
  Duration.fromInputUnsafe(value as Duration.Input)
)

const expectedDuration = 'a duration of at least 0, such as "30 seconds" or a number of milliseconds'

const duration = Schema.declare(isDurationInput, { expected: expectedDuration }).pipe(
  Schema.decodeTo(
    Schema.Duration.check(Schema.makeFilter((value) => Duration.toMillis(value) >= 0, { expected: expectedDuration })),
    SchemaTransformation.transform({
      decode: (value) => Duration.fromInputUnsafe(value),
      encode: (value): Duration.Input => value
    })
  )
)

const leaseDuration = duration.check(
  Schema.makeFilter((value) => Duration.isFinite(value) && Duration.toMillis(value) >= 1, {
    expected: "a finite duration of at least 1 millisecond"
  })
)

const schedule = <S extends Schedule.Schedule<unknown, never, unknown>>() =>
  Schema.declare((value): value is S => Schedule.isSchedule(value), { expected: "a Schedule" })

const withDefault = <S extends Schema.Constraint>(value: S["Type"]) =>
  Schema.withDecodingDefaultType<S>(Effect.succeed(value))

/**
 * The settings, with their defaults and their valid values. Decoding fills in the defaults.
 *
 * @category schemas
 * @since 0.1.0
 */
export const OrchestratorConfig = Schema.Struct({
  /** Names this worker in the ledger, with a random suffix that makes it unique. Default "worker". */
  owner: Schema.String.pipe(withDefault("worker")),
  /** The queues whose tasks are executed; they take turns. Default: the queue `default`. */
  queues: Schema.Array(QueueName)
    .check(Schema.isMinLength(1))
    .pipe(withDefault([defaultQueue])),
  /** Whether outputs are verified. Default true. */
  verifyResults: Schema.Boolean.pipe(withDefault(true)),
  /** Whether a failed attempt is followed by another. Default true. */
  retryOnFailure: Schema.Boolean.pipe(withDefault(true)),
  /** Attempts per task, the first included. Default 3. */
  maxAttempts: countOrInfinity.pipe(withDefault(3)),
  /**
   * The most that one task may cost in USD over all its attempts, verification included. A call that could exceed it is not
   * made, and the task goes to the dead-letter queue. Default: no limit.
   */
  maxCostPerTask: Schema.optional(amount),
  /** The most tokens that one task may use over all its attempts, verification included. Default: no limit. */
  maxTokensPerTask: Schema.optional(amount),
  /** The delays between attempts, and when they end. Default `RetryPolicy.exponential()`. */
  retryPolicy: schedule<RetryPolicy.RetryPolicy>().pipe(withDefault(RetryPolicy.exponential())),
  /** Retries of a call within an attempt, after a transient error. Default `RetryPolicy.transient`: 5, after 0.5 s doubling. */
  transientRetry: schedule<RetryPolicy.TransientRetry>().pipe(withDefault(RetryPolicy.transient)),
  /** The longest `retryAfter` that an attempt waits for. A longer one fails the attempt. Default 5 minutes. */
  maxRetryAfter: duration.pipe(withDefault(Duration.minutes(5))),
  /**
   * What happens at a usage limit that ends by itself (`RateLimited`): `wait` pauses the queue until then, for all workers;
   * `stop` ends the run. A store that keeps no pauses always stops. Default `wait`.
   */
  onUsageLimit: Schema.Literals(["wait", "stop"]).pipe(withDefault("wait")),
  /** A pause of each worker after each task. Default 0. */
  pauseBetweenTasks: duration.pipe(withDefault(Duration.zero)),
  /** The number of workers: how many tasks run at the same time. Default 1. */
  concurrency: count.pipe(withDefault(1)),
  /**
   * How many tasks of a queue with the same `concurrencyKey` are in progress at a time, over all workers. Give all workers of
   * a queue the same number. Default 1.
   */
  maxPerKey: count.pipe(withDefault(1)),
  /**
   * No task is claimed while this many tasks of the queues are in review. Tasks in progress count too, because each of them
   * can be sent to review. Default: no limit.
   */
  maxInReview: Schema.optional(count),
  /**
   * How many tasks are claimed ahead of the workers, however long they wait. Default: as many as are expected to start within
   * 50 milliseconds, at most 1 000; none for tasks that take longer. Tasks that were claimed and not started lose no attempt
   * when the worker dies.
   */
  prefetch: Schema.optional(count),
  /** The longest execution of one attempt, its transient retries included. Default 10 minutes. */
  executionTimeout: duration.pipe(withDefault(Duration.minutes(10))),
  /** The longest verification of one output, its retries included. Default 5 minutes. */
  verificationTimeout: duration.pipe(withDefault(Duration.minutes(5))),
  /** A task is taken over after this long without a heartbeat. Leases are extended three times as often. Default 30 seconds. */
  leaseDuration: leaseDuration.pipe(withDefault(Duration.seconds(30))),
  /**
   * What happens to a task that was started and whose worker died, or that the end of a run cuts off. `retry`: it is run
   * again. Choose `dead-letter` for work that must not run twice. Default `retry`.
   */
  onCrash: Schema.Literals(["retry", "dead-letter"]).pipe(withDefault("retry")),
  /**
   * What happens to the pending tasks that depend on a failed one, directly or through others, in all queues: `wait` until
   * the failed task is requeued and completes, `cancel` them, or `fail` them too, so that they are in the dead-letter queue
   * with it. Default `wait`.
   */
  onDependencyFailed: Schema.Literals(["wait", "cancel", "fail"]).pipe(withDefault("wait")),
  /**
   * Identifies the executor and its settings: executors with the same id return equivalent outputs. An output that was left
   * unverified by an executor with another id is not used; the task is executed again. Default: every output is used.
   */
  executorId: Schema.optional(Schema.String),
  /** Whether unverified outputs of another executor are verified instead. Default false. */
  keepOutputs: Schema.Boolean.pipe(withDefault(false)),
  /** How long running tasks may continue after a stop was requested. Default 30 seconds. */
  drainTimeout: duration.pipe(withDefault(Duration.seconds(30))),
  /** Whether traces contain prompts and outputs. Default false. */
  traceContent: Schema.Boolean.pipe(withDefault(false)),
  /** The minimum level of log messages. Default: that of the surrounding program. */
  logLevel: Schema.optional(Schema.Literals(["All", "Fatal", "Error", "Warn", "Info", "Debug", "Trace", "None"]))
})

/**
 * The settings as you write them. Durations are anything that `Duration.Input` accepts.
 *
 * @category models
 * @since 0.1.0
 */
export interface OrchestratorConfig extends Schema.Codec.Encoded<typeof OrchestratorConfig> {}

/**
 * The settings with all defaults filled in. `retryOnFailure: false` is `maxAttempts: 1`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Resolved extends Omit<typeof OrchestratorConfig.Type, "retryOnFailure"> {}

/**
 * A setting has a value that it cannot have.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidConfig extends Schema.TaggedError<InvalidConfig>()("InvalidConfig", {
  /** The value of each invalid setting, and the expected one. */
  message: Schema.String
}) {}

/**
 * Fills in the defaults.
 *
 * @category configuration
 * @since 0.1.0
 */
export const resolve = (config: OrchestratorConfig): Effect.Effect<Resolved, InvalidConfig> =>
  decode(config, { errors: "all" }).pipe(
    Effect.map(fillIn),
    Effect.mapError(({ issue }) => new InvalidConfig({ message: describe(config, issue) }))
  )

const decode = Schema.decodeUnknownEffect(OrchestratorConfig)

const fillIn = ({ retryOnFailure, ...settings }: typeof OrchestratorConfig.Type): Resolved => ({
  ...settings,
  maxAttempts: retryOnFailure ? settings.maxAttempts : 1
})

/**
 * The defaults.
 *
 * @category configuration
 * @since 0.1.0
 */
export const defaults: Resolved = fillIn(Schema.decodeUnknownSync(OrchestratorConfig)({}))

const describe = (config: OrchestratorConfig, issue: SchemaIssue.Issue): string => {
  const values = new Map<string, unknown>(Object.entries(config))
  return formatIssues(issue)
    .issues.map(({ message, path }) => {
      const setting = String(path?.[0])
      return `${setting} is ${Formatter.format(values.get(setting))}. ${message}.`
    })
    .join("\n")
}

const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1()
