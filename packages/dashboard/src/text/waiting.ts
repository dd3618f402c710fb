/** What a queue consists of, and why its pending tasks do not run now. */
import type { Pause, Queue } from "../schema.ts"
import { isSpent } from "./budget.ts"
import { count, elapsed, firstLine } from "./format.ts"

export const statuses = ["completed", "in_progress", "in_review", "failed", "pending", "cancelled"] as const

export const total = (queue: Queue): number => statuses.reduce((sum, status) => sum + queue[status], 0)

/** The number of tasks that change only on a request. */
export const ended = (queue: Queue): number => queue.completed + queue.failed + queue.cancelled

/** Why a queue is paused, and the time that is left. */
export const pauseText = ({ cause, reason, until }: Pause, now: number): string => {
  const left = until === undefined ? 0 : until.epochMilliseconds - now
  const end =
    until === undefined
      ? "until you resume the queue"
      : left > 0
        ? `for ${elapsed(left)} more`
        : "until its first task has an answer"
  return cause === "requested" ? `Paused ${end}.` : `Waiting for a usage limit ${end}: ${firstLine(reason)}`
}

export const reasons = (queue: Queue, isPaused: boolean, now = Date.now()): ReadonlyArray<string> => {
  if (queue.pending === 0) return []
  if (isPaused) return [`${count(queue.pending, "task")} pending until you resume.`]
  if (queue.pause !== undefined) return [pauseText(queue.pause, now)]
  if (queue.budget !== undefined && isSpent(queue.budget))
    return [`${count(queue.pending, "task")} pending. The budget is spent: raise it in the settings.`]
  const ready = queue.pending - queue.waiting
  const result: Array<string> = []
  if (queue.waiting > 0) result.push(`${count(queue.waiting, "pending task")} waiting for another task to complete.`)
  if (ready > 0 && queue.in_progress === 0) {
    result.push(`${count(ready, "task")} ready or due later. No worker is executing a task of this queue now.`)
  }
  return result
}
