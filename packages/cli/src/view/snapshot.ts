/**
 * Where the work on a store stands at one moment.
 *
 * @since 0.1.0
 */
import { TaskId } from "@baton/core/Task"
import { Counts, TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Usage from "@baton/core/Usage"
import type * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { existsSync } from "node:fs"
import { StoreUrl } from "../settings/storeUrl.ts"
import { firstLine } from "./safeText.ts"
import { beside } from "../settings/beside.ts"
import { pages } from "../system/pages.ts"

/**
 * What `baton status` tells.
 *
 * @category models
 * @since 0.1.0
 */
export const Snapshot = Schema.Struct({
  total: Schema.Int,
  counts: Counts,
  /** Whether runs on this store are paused. */
  paused: Schema.Boolean,
  /** The running task that started first; null when nothing runs. */
  oldestRunning: Schema.NullOr(
    Schema.Struct({ id: TaskId, startedAt: Schema.DateTimeUtcFromString, seconds: Schema.Finite })
  ),
  deadLetters: Schema.Struct({
    /** The first line of their feedback and how many have it, the most frequent first; at most five. */
    feedback: Schema.Array(Schema.Struct({ text: Schema.String, count: Schema.Int })),
    /** How many dead letters were read for it: the first 1000. */
    examined: Schema.Int
  }),
  used: Schema.Struct({
    /** What they used together; null when nothing was metered. */
    usage: Schema.NullOr(Usage.Usage),
    /** How many tasks were read for it: the first 5000, or 1000 where it is told again and again. */
    examined: Schema.Int
  }),
  /** Batches that had not ended when a run last looked, the oldest first; `id` is null where it is unknown whether there is one. */
  batches: Schema.Array(
    Schema.Struct({
      id: Schema.NullOr(Schema.String),
      requests: Schema.Int,
      createdAt: Schema.DateTimeUtcFromString,
      seconds: Schema.Finite
    })
  )
})

/** @since 0.1.0 */
export interface Snapshot extends Schema.Schema.Type<typeof Snapshot> {}

const examinedAtMost = 1000
const feedbackShown = 5

/**
 * Reads it. Costs a few queries, however many tasks there are.
 *
 * @category constructors
 * @since 0.1.0
 */
export const read = Effect.fnUntraced(function* (options: {
  /** Whether it is read again and again. */
  readonly watching: boolean
}): Effect.fn.Return<Snapshot, TaskStoreError, TaskStore | GlobalFlag.Setting.Identifier<"store">> {
  const store = yield* TaskStore
  const counts = yield* store.counts
  const { paused } = yield* store.control
  const total = counts.pending + counts.in_progress + counts.completed + counts.failed + counts.cancelled
  return {
    total,
    counts,
    paused,
    oldestRunning: counts.in_progress === 0 ? null : yield* oldestRunning,
    deadLetters: counts.failed === 0 ? { feedback: [], examined: 0 } : yield* deadLetters,
    used: yield* used(options.watching ? 1000 : 5000),
    batches: yield* batches
  }
})

const batches = Effect.gen(function* () {
  const filename = beside(yield* StoreUrl, "batches")
  // Most lists have never seen one, and what is needed to look takes time to load.
  if (filename === undefined || !existsSync(filename)) return []
  const { Batches } = yield* Effect.promise(() => import("@baton/adapters/claude"))
  const now = yield* Clock.currentTimeMillis
  const underWay = yield* Effect.orElseSucceed(Batches.inProgress({ filename }), () => [])
  return underWay.map(({ createdAt, id, requests }) => ({
    id,
    requests,
    createdAt: DateTime.makeUnsafe(createdAt),
    seconds: Math.max(0, now - createdAt) / 1000
  }))
})

/** A store has no sums: counting on it would slow every write down, for a line that is read now and then. */
const used = (limit: number) =>
  Stream.runFold(
    pages({ limit }),
    (): Snapshot["used"] => ({ usage: null, examined: 0 }),
    ({ examined, usage }, task) => ({ usage: Usage.add(usage, task.usage), examined: examined + 1 })
  )

/** A running task changes when it is claimed and when its output is saved, so the one that changed first is close enough. */
const oldestRunning = Effect.gen(function* () {
  const store = yield* TaskStore
  const { tasks } = yield* store.list({ status: "in_progress", limit: examinedAtMost })
  const [oldest] = [...tasks].sort((a, b) => a.updatedAt.epochMilliseconds - b.updatedAt.epochMilliseconds)
  if (oldest === undefined) return null
  const attempts = yield* store.attempts(oldest.id)
  const startedAt = attempts.findLast((attempt) => attempt.outcome === "running")?.startedAt ?? oldest.updatedAt
  const now = yield* Clock.currentTimeMillis
  return { id: oldest.id, startedAt, seconds: Math.max(0, now - startedAt.epochMilliseconds) / 1000 }
})

const deadLetters = Effect.gen(function* () {
  const tally = new Map<string, number>()
  let examined = 0
  yield* Stream.runForEachArray(pages({ status: "failed", limit: examinedAtMost }), (tasks) =>
    Effect.sync(() => {
      examined += tasks.length
      for (const { feedback } of tasks) {
        const text = firstLine(feedback ?? "") || "no feedback"
        tally.set(text, (tally.get(text) ?? 0) + 1)
      }
    })
  )
  const feedback = Array.from(tally, ([text, count]) => ({ text, count })).sort((a, b) => b.count - a.count)
  return { feedback: feedback.slice(0, feedbackShown), examined }
})
