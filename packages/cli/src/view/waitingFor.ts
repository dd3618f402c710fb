/**
 * What a run waits for while it does nothing else.
 *
 * @since 0.1.0
 */
import type { Counts, TaskStore } from "@baton/core/TaskStore"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { count } from "./quantity.ts"
import type { Progress } from "./Progress.ts"
import { clock } from "./progressLine.ts"

/**
 * Which run waits.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly store: TaskStore["Service"]
  readonly lease: Duration.Duration
  /** A worker waits for new tasks and has no end. */
  readonly endless: boolean
}

/** A run that has done nothing for so long is asked what it waits for, and again after as long. */
const idle = 2000

/**
 * Asks, at some time; undefined while the run is at work, or when nobody can say.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = ({ endless, lease, store }: Options, progress: Progress) => {
  let counts: Counts | undefined
  let countedAt = 0
  return Effect.fnUntraced(function* (now: number): Effect.fn.Return<string | undefined> {
    if (progress.running.size > 0 || progress.paused || now - progress.lastEventAt < idle) return undefined
    if (now - countedAt >= idle) {
      countedAt = now
      counts = yield* Effect.orElseSucceed(store.counts, () => undefined)
      // While nothing runs here, the store's word needs no correction.
      if (counts !== undefined && progress.running.size === 0) progress.recount(counts)
    }
    const due = Math.min(...progress.retrying.values())
    if (due !== Infinity) return due > now ? `next retry in ${clock(due - now)}` : undefined
    if (counts === undefined) return undefined
    if (counts.in_progress > 0) {
      return `waiting for ${count(counts.in_progress, "task")} of other workers (leases last ${clock(Duration.toMillis(lease))})`
    }
    if (endless) return "waiting for tasks"
    const later = counts.pending - counts.waiting
    return later > 0 ? `waiting for ${count(later, "task")} due later` : undefined
  })
}
