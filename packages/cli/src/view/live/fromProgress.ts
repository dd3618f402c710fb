/** The live view of a run in this process. */
import type { TaskId } from "@baton/core/Task"
import type { Failure, Progress, Running } from "../Progress.ts"
import { firstLine, lastLine } from "../safeText.ts"
import { displayWidth } from "../width.ts"
import type { FailureRow, Hint, Limits, TaskRow, View } from "./View.ts"

/** Other information for the view. */
export interface ViewOptions {
  /** Milliseconds since the epoch. */
  readonly now: number
  readonly endless: boolean
  readonly maxAttempts: number
  readonly limits: Limits
  /** The time since when a task has been waiting for a rate limit. */
  readonly rateLimitedSince: (id: TaskId) => number | undefined
  /** Describes what an idle run waits for. */
  readonly waiting: string | undefined
  readonly hints: ReadonlyArray<Hint>
  readonly help: ReadonlyArray<Hint> | undefined
}

/** Shorter waits for a rate limit are not shown, in milliseconds. */
const minWait = 500

/** Finished tasks per second and line that are too fast to read. */
const fastRate = 3

/** The view at one moment. */
export const fromProgress = (progress: Progress, slots: TaskSlots, options: ViewOptions): View => {
  const { endless, now, waiting } = options
  const { completed, concurrency, failed, retrying, total } = progress
  const ratePerSecond = progress.ratePerSecond(now)
  const isFast = ratePerSecond > fastRate * concurrency
  // Tasks that are being stored still count as running in the progress.
  const running = Math.min(progress.running.size, concurrency)
  const shown = slots.assign(progress.running, {
    now,
    isFast,
    // A short list needs fewer lines; a worker can receive new tasks at any time.
    limit: endless ? concurrency : Math.min(concurrency, Math.max(1, total))
  })
  slots.widen(progress.latest)
  return {
    state: stateOf(progress, waiting),
    completed,
    failed,
    running,
    retrying: retrying.size,
    pending: Math.max(0, total - completed - failed - running - retrying.size),
    total: endless ? undefined : total,
    elapsedMillis: progress.elapsedMillis(now),
    ratePerSecond: waiting === undefined ? ratePerSecond : 0,
    remainingMillis: waiting === undefined && !endless ? progress.remainingMillis(now) : undefined,
    usage: progress.usage,
    safety: {
      limits: options.limits,
      breaker: progress.breaker,
      failuresInARow: progress.failuresInARow,
      attempts: progress.started
    },
    maxAttempts: options.maxAttempts,
    tasks: shown.map((slot) => rowOf(slot, now, options.rateLimitedSince(slot.id))),
    failures: progress.latest.map(({ at, attempt, feedback, isFinal, taskId }): FailureRow => ({
      id: taskId,
      attempt,
      ageMillis: Math.max(0, now - at),
      feedback,
      isFinal
    })),
    idWidth: slots.idWidth,
    message: waiting ?? (isFast && running > 0 ? "tasks finish too fast to be listed" : undefined),
    hints: options.hints,
    help: options.help
  }
}

const stateOf = ({ draining, paused }: Progress, waiting: string | undefined): View["state"] => {
  if (draining) return "draining"
  if (paused) return "paused"
  return waiting === undefined ? "running" : "waiting"
}

/** The row of a failed attempt. */
export const failureOf = ({ at, attempt, feedback, isFinal, taskId }: Failure, now: number): FailureRow => ({
  id: taskId,
  attempt,
  ageMillis: Math.max(0, now - at),
  feedback,
  isFinal
})

/** The row of a task. */
export const rowOf = ({ endedAt, id, task }: Slot, now: number, rateLimitedSince: number | undefined): TaskRow => {
  const { attempt, pause, phase, startedAt } = task
  const ageMillis = Math.max(0, (endedAt ?? now) - startedAt)
  if (endedAt !== undefined) return { id, attempt, ageMillis, doing: "ended", waitMillis: 0, text: task.description }
  const isWaiting = pause !== undefined && pause.until > now
  return {
    id,
    attempt,
    ageMillis,
    doing: isWaiting
      ? "waiting"
      : rateLimitedSince !== undefined && now - rateLimitedSince >= minWait
        ? "rate limited"
        : phase,
    waitMillis: isWaiting ? pause.until - now : 0,
    text: isWaiting ? pause.reason : textOf(task)
  }
}

/** What a task reports itself or has put out last, before its description. */
const textOf = ({ description, progress }: Running): string => {
  if (progress === undefined) return description
  const { fraction, output, text } = progress
  const latest = text === undefined ? lastLine(output ?? "") : firstLine(text)
  return `${fraction === undefined ? "" : `${Math.floor(fraction * 100)}%  `}${latest === "" ? "" : `${latest} · `}${description}`
}

/** More than any terminal can show. */
const maxSlots = 200

/** While tasks finish too fast to be read, only tasks that are older than this are shown. */
const minAgeWhenFast = 2000

/** The time for which the line of an ended task waits for the next task, in milliseconds. */
const endedFor = 1000

/** The line of a task. */
interface Slot {
  id: TaskId
  task: Running
  endedAt: number | undefined
}

/**
 * Assigns running tasks to lines of the view. Each task keeps its line until it ends. The line then goes to the next task, or
 * is removed if none starts, so that no line is blank.
 */
export class TaskSlots {
  private width = 0
  private slots: Array<Slot> = []

  /** The width of the widest id so far. */
  get idWidth(): number {
    return this.width
  }

  /** Updates the slots and returns at most `limit` of them. */
  assign(
    running: ReadonlyMap<TaskId, Running>,
    options: { readonly now: number; readonly limit: number; readonly isFast: boolean }
  ): ReadonlyArray<Slot> {
    const { isFast, limit, now } = options
    for (const slot of this.slots) {
      const task = running.get(slot.id)
      if (task === undefined) slot.endedAt ??= now
      else Object.assign(slot, { task, endedAt: undefined })
    }
    this.fill(running, isFast ? now - minAgeWhenFast : now, Math.min(limit, maxSlots))
    this.slots = this.slots.filter(({ endedAt }) => endedAt === undefined || (!isFast && now - endedAt < endedFor))
    return this.slots.slice(0, limit)
  }

  /** Widens the column for ids without a slot. */
  widen(others: ReadonlyArray<{ readonly taskId: TaskId }>): void {
    this.width = others.reduce((width, { taskId }) => Math.max(width, displayWidth(taskId)), this.width)
  }

  /** Gives slots of ended tasks, and up to `max` slots in all, to other tasks; `running` is in the order of their starts. */
  private fill(running: ReadonlyMap<TaskId, Running>, latestStart: number, max: number): void {
    const listed = new Set(this.slots.map(({ id }) => id))
    const ended = this.slots.filter(({ endedAt }) => endedAt !== undefined).values()
    for (const [id, task] of running) {
      if (task.startedAt > latestStart) return
      if (listed.has(id)) continue
      const slot = ended.next().value
      if (slot !== undefined) Object.assign(slot, { id, task, endedAt: undefined })
      else if (this.slots.length < max) this.slots.push({ id, task, endedAt: undefined })
      else return
      this.width = Math.max(this.width, displayWidth(id))
    }
  }
}
