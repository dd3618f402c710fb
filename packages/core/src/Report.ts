/**
 * A report on the tasks of a store: how they ended, the time and the usage of their attempts, and the causes of failures.
 * `baton report` prints it, and the HTTP API returns it.
 *
 * A report is counted while all tasks are read, a page at a time. Its memory does not grow with their number.
 *
 * @since 0.2.0
 */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { type Attempt, AttemptOutcome } from "./Attempt.ts"
import { Durations } from "./Durations.ts"
import * as FailureCause from "./FailureCause.ts"
import * as Histogram from "./internal/histogram.ts"
import { TaskId, type TaskStatus } from "./Task.ts"
import * as TaskPages from "./TaskPages.ts"
import type { TaskRecord } from "./TaskRecord.ts"
import type { TaskStore } from "./TaskStore.ts"
import type { TaskStoreError } from "./TaskStoreError.ts"
import { add as addUsage, Usage } from "./Usage.ts"

/**
 * The tasks and attempts with the same cause, model or worker.
 *
 * @category models
 * @since 0.2.0
 */
export const Group = Schema.Struct({
  name: Schema.String,
  /** The failed tasks with this cause; 0 for a model or a worker. */
  tasks: Schema.Int,
  attempts: Schema.Int,
  /** What these attempts used; absent when nothing was metered. */
  usage: Schema.optionalKey(Usage)
})

/** @since 0.2.0 */
export interface Group extends Schema.Schema.Type<typeof Group> {}

/**
 * The number of values from `from` to `to`; `to` is in the next bucket.
 *
 * @category models
 * @since 0.2.0
 */
export const Bucket = Schema.Struct({ from: Schema.Finite, to: Schema.Finite, count: Schema.Int })

/** @since 0.2.0 */
export interface Bucket extends Schema.Schema.Type<typeof Bucket> {}

const perStatus = {
  pending: Schema.Int,
  in_progress: Schema.Int,
  in_review: Schema.Int,
  completed: Schema.Int,
  failed: Schema.Int,
  cancelled: Schema.Int
} as const satisfies Record<TaskStatus, typeof Schema.Int>

/**
 * A report. It counts no attempt that was claimed ahead and given back without any usage.
 *
 * @category models
 * @since 0.2.0
 */
export const Report = Schema.Struct({
  /** When it was made. */
  at: Schema.DateTimeUtcFromString,
  tasks: Schema.Int,
  /** The number of tasks with each status. */
  statuses: Schema.Struct(perStatus),
  /** The completed tasks without a verification. */
  unverified: Schema.Int,
  attempts: Schema.Int,
  /** The number of attempts with each outcome that occurs. */
  outcomes: Schema.Record(AttemptOutcome, Schema.optionalKey(Schema.Int)),
  /** From the start of the first attempt to the end of the last one; absent without attempts. */
  span: Schema.optionalKey(Schema.Struct({ from: Schema.DateTimeUtcFromString, until: Schema.DateTimeUtcFromString })),
  /** How long the attempts that ended took, in milliseconds; absent when none has ended. */
  durations: Schema.optionalKey(
    Schema.Struct({ median: Schema.Finite, percentile95: Schema.Finite, buckets: Schema.Array(Bucket) })
  ),
  /** What all tasks used; absent when nothing was metered. */
  usage: Schema.optionalKey(Usage),
  /** The tasks by their cost in US dollars. */
  costs: Schema.Array(Bucket),
  /** The causes of failures, the most frequent ones first: of failed tasks, and of attempts that were retried. */
  causes: Schema.Array(Group),
  /** The attempts by the model that executed them, the most frequent ones first. */
  models: Schema.Array(Group),
  /** The attempts by worker, the most frequent ones first. */
  workers: Schema.Array(Group),
  /** The failed tasks with the most attempts. */
  failed: Schema.Array(
    Schema.Struct({
      id: TaskId,
      /** Its beginning. */
      description: Schema.String,
      attempts: Schema.Int,
      /** The beginning of the error of the last attempt. */
      error: Schema.String
    })
  )
})

/** @since 0.2.0 */
export interface Report extends Schema.Schema.Type<typeof Report> {}

/**
 * A report while it is counted.
 *
 * @category models
 * @since 0.2.0
 */
export interface Counting {
  readonly add: (record: TaskRecord) => void
  readonly report: () => Report
}

/** How much of a report is shown. */
const limits = { groups: 50, failed: 50, text: 2_000 }

/** Limits the memory if every failure has another cause. */
const maxGroups = 10_000

/**
 * Counts tasks. Attempts that are running end at `now` for the total time.
 *
 * @category constructors
 * @since 0.2.0
 */
export const makeCounting = (now: DateTime.Utc): Counting => {
  const statuses = { pending: 0, in_progress: 0, in_review: 0, completed: 0, failed: 0, cancelled: 0 }
  const outcomes: Partial<Record<AttemptOutcome, number>> = {}
  const durations = new Durations()
  const buckets = Histogram.make(1)
  const costs = Histogram.make(0.0001)
  const causes = makeGroups()
  const models = makeGroups()
  const workers = makeGroups()
  let tasks = 0
  let unverified = 0
  let attempts = 0
  let from = Infinity
  let until = -Infinity
  let usage: Usage | undefined
  let failed: Array<Report["failed"][number]> = []

  const addAttempt = (attempt: Attempt) => {
    const start = attempt.startedAt.epochMilliseconds
    const end = Math.max(start, (attempt.endedAt ?? now).epochMilliseconds)
    attempts++
    outcomes[attempt.outcome] = (outcomes[attempt.outcome] ?? 0) + 1
    from = Math.min(from, start)
    until = Math.max(until, end)
    if (attempt.endedAt !== undefined) {
      durations.add(end - start)
      buckets.add(end - start)
    }
    workers.add(attempt.owner, { attempts: 1, usage: attempt.usage })
    const model = attempt.execution?.metadata["model"]
    if (typeof model === "string") models.add(model.slice(0, limits.text), { attempts: 1, usage: attempt.usage })
    if (attempt.error !== undefined && attempt.outcome !== "released") {
      causes.add(FailureCause.of(attempt.error), { attempts: 1 })
    }
  }

  return {
    add: ({ attempts: all, task }) => {
      const counted = all.filter(isCounted)
      tasks++
      statuses[task.status]++
      if (task.status === "completed" && !task.verified) unverified++
      usage = addUsage(usage, task.usage)
      if (task.usage?.costUsd != null) costs.add(task.usage.costUsd)
      for (const attempt of counted) addAttempt(attempt)
      if (task.status !== "failed") return
      causes.add(FailureCause.of(task.feedback ?? ""), { tasks: 1 })
      const error = counted.at(-1)?.error ?? ""
      failed.push({
        id: task.id,
        description: task.description.slice(0, limits.text),
        attempts: counted.length,
        error: error.slice(0, limits.text)
      })
      if (failed.length >= 2 * limits.failed) failed = mostTried(failed)
    },
    report: () => ({
      at: now,
      tasks,
      statuses: { ...statuses },
      unverified,
      attempts,
      outcomes: { ...outcomes },
      ...(attempts === 0
        ? undefined
        : { span: { from: DateTime.makeUnsafe(from), until: DateTime.makeUnsafe(until) } }),
      ...(durations.count === 0
        ? undefined
        : {
            durations: {
              median: durations.quantile(0.5),
              percentile95: durations.quantile(0.95),
              buckets: buckets.buckets()
            }
          }),
      ...(usage === undefined ? undefined : { usage }),
      costs: costs.buckets(),
      causes: causes.ranked(),
      models: models.ranked(),
      workers: workers.ranked(),
      failed: mostTried(failed)
    })
  }
}

/**
 * A report on all tasks of a store, or on those of one queue. It reads all of their attempts with their outputs.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = /* @__PURE__ */ Effect.fnUntraced(function* (
  store: TaskStore["Service"],
  options?: {
    /** Default: all queues. */
    readonly queue?: string | undefined
    /** Called with each record that is read. */
    readonly onRecord?: ((record: TaskRecord) => void) | undefined
  }
): Effect.fn.Return<Report, TaskStoreError> {
  const { onRecord, queue } = options ?? {}
  const counting = makeCounting(yield* DateTime.now)
  yield* Stream.runForEach(TaskPages.records(store, { maxPageSize, queue }), (record) =>
    Effect.sync(() => {
      counting.add(record)
      onRecord?.(record)
    })
  )
  return counting.report()
})

/** A record has all attempts of its task. */
const maxPageSize = 500

/**
 * Whether a report counts an attempt. A task that a worker claimed ahead and gave back was not worked on, and a released
 * attempt does not count either, unless it used tokens.
 *
 * @category predicates
 * @since 0.2.0
 */
export const isCounted = ({ outcome, usage }: Attempt): boolean =>
  outcome !== "claimed" && (outcome !== "released" || usage !== undefined)

const makeGroups = () => {
  const groups = new Map<string, { tasks: number; attempts: number; usage: Usage | undefined }>()
  return {
    add: (
      name: string,
      { attempts = 0, tasks = 0, usage }: { attempts?: number; tasks?: number; usage?: Usage | undefined }
    ) => {
      let group = groups.get(name)
      if (group === undefined) {
        if (groups.size >= maxGroups) return
        groups.set(name, (group = { tasks: 0, attempts: 0, usage: undefined }))
      }
      group.attempts += attempts
      group.tasks += tasks
      group.usage = addUsage(group.usage, usage)
    },
    ranked: (): ReadonlyArray<Group> =>
      Array.from(groups, ([name, { attempts, tasks, usage }]) => ({
        name,
        tasks,
        attempts,
        ...(usage === undefined ? undefined : { usage })
      }))
        .sort((a, b) => b.tasks - a.tasks || b.attempts - a.attempts || (a.name < b.name ? -1 : 1))
        .slice(0, limits.groups)
  }
}

const mostTried = (failed: ReadonlyArray<Report["failed"][number]>) =>
  failed.toSorted((a, b) => b.attempts - a.attempts).slice(0, limits.failed)
