/**
 * The concurrency of workers that are running, as it was set from another process.
 *
 * A setting is for the workers of a queue that run when it is made. A run that starts later ignores it.
 *
 * @since 0.2.0
 */
import * as Schema from "effect/Schema"
import { optionalNullOr } from "./OptionalKey.ts"

/**
 * A setting.
 *
 * @category models
 * @since 0.2.0
 */
export const RunningConcurrency = Schema.Struct({
  queue: Schema.String,
  /** The `owner` of the only worker that it is for. Absent: all workers of the queue. */
  worker: optionalNullOr(Schema.String),
  /** Absent: as many as the worker was started with. */
  concurrency: optionalNullOr(Schema.Int.check(Schema.isGreaterThan(0))),
  /** The control revision before it was made. */
  revision: Schema.Int,
  at: Schema.DateTimeUtcFromString
})

/** @since 0.2.0 */
export interface RunningConcurrency extends Schema.Schema.Type<typeof RunningConcurrency> {}

/**
 * The settings after another one. One for all workers of a queue replaces those for single workers.
 *
 * @category combinators
 * @since 0.2.0
 */
export const after = (
  settings: ReadonlyArray<RunningConcurrency>,
  setting: RunningConcurrency
): ReadonlyArray<RunningConcurrency> => {
  const { concurrency, queue, worker } = setting
  const others = settings.filter((other) => other.queue !== queue || (worker !== undefined && other.worker !== worker))
  return worker === undefined && concurrency === undefined ? others : [...others, setting]
}

/** The worker that asks for its concurrency. */
export interface RunningWorker {
  readonly queues: ReadonlyArray<string>
  /** What `worker` can call it. */
  readonly names: ReadonlyArray<string>
  /** The control revision when it started. */
  readonly startedAt: number
}

/**
 * The concurrency that was set for a worker; undefined if it keeps its own. A setting for this worker counts before those for
 * all, and the latest one before earlier ones.
 *
 * @category combinators
 * @since 0.2.0
 */
export const of = (
  settings: ReadonlyArray<RunningConcurrency>,
  { names, queues, startedAt }: RunningWorker
): number | undefined => {
  const latest = (isMeant: (worker: string | undefined) => boolean) =>
    settings.findLast(
      ({ queue, revision, worker }) => isMeant(worker) && queues.includes(queue) && revision >= startedAt
    )
  const found =
    latest((worker) => worker !== undefined && names.includes(worker)) ?? latest((worker) => worker === undefined)
  return found?.concurrency
}
