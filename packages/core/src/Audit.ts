/**
 * Audits: people look at a sample of verdicts after the fact, and their findings say how often a verifier is wrong.
 *
 * The sample is a share of the tasks, chosen by their ids: the same tasks belong to it in each run and on each store, and a
 * larger share contains a smaller one. All attempts of these tasks count on which a verifier decided alone, accepted ones and
 * rejected ones. An audit blocks nothing and changes no task: the findings are kept with the attempts (`TaskStore.reviews`).
 *
 * @since 0.2.0
 */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Attempt } from "./Attempt.ts"
import { optionalNullOr } from "./OptionalKey.ts"
import type { Task, TaskId } from "./Task.ts"
import type { TaskStore } from "./TaskStore.ts"
import type { TaskStoreError } from "./TaskStoreError.ts"
import type { Verification } from "./Verification.ts"

/**
 * Whether a task is in the sample of this share of all tasks, from 0 to 1.
 *
 * @category combinators
 * @since 0.2.0
 */
export const isSampled = (id: TaskId, share: number): boolean => hash(id) < share * 2 ** 32

/** FNV-1a, and a last step that spreads the ids of a list, which differ only at the end, over all numbers. */
const hash = (text: string): number => {
  let value = 0x811c9dc5
  for (let index = 0; index < text.length; index++) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193)
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35)
  return (value ^ (value >>> 16)) >>> 0
}

/** The bounds of a share. */
export interface Interval {
  readonly low: number
  readonly high: number
}

/** The standard normal distribution has 95 % of its weight between this number and its opposite. */
const z = 1.959963984540054

/**
 * The 95 % Wilson score interval of a share of which `count` in `total` were seen.
 *
 * @category combinators
 * @since 0.2.0
 */
export const interval = (count: number, total: number): Interval => {
  if (total === 0) return { low: 0, high: 1 }
  const share = count / total
  const middle = (share + (z * z) / (2 * total)) / (1 + (z * z) / total)
  const half = (z / (1 + (z * z) / total)) * Math.sqrt((share * (1 - share)) / total + (z * z) / (4 * total * total))
  return { low: count === 0 ? 0 : Math.max(0, middle - half), high: count === total ? 1 : Math.min(1, middle + half) }
}

/**
 * How often verdicts were wrong.
 *
 * @category models
 * @since 0.2.0
 */
export const Rate = Schema.Struct({
  /** The verdicts in the sample. */
  sampled: Schema.Int,
  /** Those of them that a person has audited. */
  audited: Schema.Int,
  /** Those of them with which the person disagrees. */
  wrong: Schema.Int,
  /** The bounds of the 95 % interval of the share of wrong verdicts. */
  low: Schema.Finite,
  high: Schema.Finite
})

/** @since 0.2.0 */
export interface Rate extends Schema.Schema.Type<typeof Rate> {}

/**
 * How often a judge was wrong: the verdicts of the same models by the same criteria.
 *
 * @category models
 * @since 0.2.0
 */
export const JudgeRates = Schema.Struct({
  /** Empty for a verifier that asks no model. */
  models: Schema.Array(Schema.String),
  criteria: optionalNullOr(Schema.String),
  /** Of the outputs that it accepted, those that a person would have rejected. */
  falseAccepts: Rate,
  /** Of the outputs that it rejected, those that a person would have accepted. */
  falseRejects: Rate,
  /** When an attempt with its last verdict in the sample ended. */
  lastAt: Schema.DateTimeUtcFromString
})

/** @since 0.2.0 */
export interface JudgeRates extends Schema.Schema.Type<typeof JudgeRates> {}

/**
 * @category models
 * @since 0.2.0
 */
export const Report = Schema.Struct({
  judges: Schema.Array(JudgeRates),
  /** All verdicts. Those that are not wrong are the agreement. */
  all: Rate
})

/** @since 0.2.0 */
export interface Report extends Schema.Schema.Type<typeof Report> {}

/**
 * A verdict in the sample. The task has no `result`: the attempt has its output.
 *
 * @category models
 * @since 0.2.0
 */
export interface Sample {
  readonly task: Task
  readonly attempt: Attempt
  readonly verification: Verification
}

/** What decides about the sample. */
export interface Options {
  /** The share of the tasks that are in the sample, from 0 to 1. */
  readonly share: number
  /** Default: all queues. */
  readonly queue?: string | undefined
}

const pageSize = 500
const ledgerReads = 16

/**
 * The verdicts in the sample, in the order in which their tasks were added.
 *
 * @category combinators
 * @since 0.2.0
 */
export const samples = (
  store: TaskStore["Service"],
  { queue, share }: Options
): Stream.Stream<Sample, TaskStoreError> =>
  Stream.paginate<string | undefined, Task, TaskStoreError, never>(undefined, (cursor) =>
    Effect.map(store.list({ cursor, queue, limit: pageSize, results: false }), ({ next, tasks }) => [
      tasks.filter((task) => isSampled(task.id, share) && (task.attempts > 0 || task.requeues > 0)),
      Option.fromUndefinedOr<string | undefined>(next)
    ])
  ).pipe(
    Stream.mapEffect((task) => Effect.map(store.attempts(task.id), (attempts) => samplesOf(task, attempts)), {
      concurrency: ledgerReads
    }),
    Stream.flattenIterable
  )

/**
 * The verdicts on the attempts of a task that belong to a sample: a verifier decided, and no person.
 *
 * @category getters
 * @since 0.2.0
 */
export const samplesOf = (task: Task, attempts: ReadonlyArray<Attempt>): ReadonlyArray<Sample> =>
  attempts.flatMap((attempt) => {
    const { outcome, verification } = attempt
    if (verification === undefined || verification.decision !== undefined) return []
    const decided = outcome === "completed" ? verification.passed : outcome === "retried" || outcome === "failed"
    return decided ? { task, attempt, verification } : []
  })

interface Counter {
  sampled: number
  audited: number
  wrong: number
}

const none = (): Counter => ({ sampled: 0, audited: 0, wrong: 0 })

const add = (counter: Counter, { audit }: Verification) => {
  counter.sampled++
  if (audit === undefined) return
  counter.audited++
  if (!audit.agrees) counter.wrong++
}

const rateOf = (counter: Counter): Rate => ({ ...counter, ...interval(counter.wrong, counter.audited) })

/**
 * How often the verifiers of these verdicts were wrong.
 *
 * @category combinators
 * @since 0.2.0
 */
export const report = (samples: Iterable<Pick<Sample, "attempt" | "verification">>): Report => {
  const counting = makeCounting()
  for (const sample of samples) counting.add(sample)
  return counting.report()
}

/**
 * The report on a sample of a store. Reads all tasks, and the attempts of those in the sample.
 *
 * @category combinators
 * @since 0.2.0
 */
export const read = (store: TaskStore["Service"], options: Options): Effect.Effect<Report, TaskStoreError> =>
  Effect.suspend(() => {
    const counting = makeCounting()
    return Effect.map(
      Stream.runForEach(samples(store, options), (sample) => Effect.sync(() => counting.add(sample))),
      counting.report
    )
  })

/**
 * Counts verdicts one at a time, for a report.
 *
 * @category constructors
 * @since 0.2.0
 */
export const makeCounting = (): {
  readonly add: (sample: Pick<Sample, "attempt" | "verification">) => void
  readonly report: () => Report
} => {
  const all = none()
  const judges = new Map<
    string,
    Pick<JudgeRates, "models" | "criteria"> & { accepts: Counter; rejects: Counter; last: DateTime.Utc }
  >()
  return {
    add: ({ attempt, verification }) => {
      const { criteria, models = [], passed } = verification
      const key = JSON.stringify([models, criteria])
      const ended = attempt.endedAt ?? attempt.startedAt
      const judge = judges.get(key) ?? { models, criteria, accepts: none(), rejects: none(), last: ended }
      judges.set(key, judge)
      judge.last = DateTime.max(judge.last, ended)
      add(all, verification)
      add(passed ? judge.accepts : judge.rejects, verification)
    },
    report: () => ({
      judges: Array.from(judges.values(), ({ accepts, criteria, last, models, rejects }) => ({
        models,
        criteria,
        falseAccepts: rateOf(accepts),
        falseRejects: rateOf(rejects),
        lastAt: last
      })),
      all: rateOf(all)
    })
  }
}
