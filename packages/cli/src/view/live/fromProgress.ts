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
  slots.grow(concurrency)
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
    tasks: shown.map((task) => (task === undefined ? undefined : rowOf(task, now, options.rateLimitedSince(task[0])))),
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

/** The row of a running task. */
export const rowOf = (
  [id, task]: readonly [TaskId, Running],
  now: number,
  rateLimitedSince: number | undefined
): TaskRow => {
  const { attempt, pause, phase, startedAt } = task
  const isWaiting = pause !== undefined && pause.until > now
  return {
    id,
    attempt,
    ageMillis: Math.max(0, now - startedAt),
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
  const latest = text === null ? lastLine(output ?? "") : firstLine(text)
  return `${fraction === null ? "" : `${Math.floor(fraction * 100)}%  `}${latest === "" ? "" : `${latest} · `}${description}`
}

/** More than any terminal can show. */
const maxSlots = 200

/** While tasks finish too fast to be read, only tasks that are older than this are shown. */
const minAgeWhenFast = 2000

/** Assigns running tasks to lines of the view, so that each task keeps its line. */
export class TaskSlots {
  private width = 0
  /** The most lines that were in use at once. More would be blank. */
  private height = 1
  private readonly ids: Array<TaskId | undefined> = []

  constructor(concurrency: number) {
    this.grow(concurrency)
  }

  /** Adds slots for a run that works on this many tasks at a time. */
  grow(concurrency: number): void {
    const missing = Math.min(maxSlots, concurrency) - this.ids.length
    if (missing > 0) this.ids.push(...Array.from({ length: missing }, () => undefined))
  }

  /** The width of the widest id so far. */
  get idWidth(): number {
    return this.width
  }

  /** Updates the slots and returns at most `limit` of them. */
  assign(
    running: ReadonlyMap<TaskId, Running>,
    options: { readonly now: number; readonly limit: number; readonly isFast: boolean }
  ): ReadonlyArray<readonly [TaskId, Running] | undefined> {
    const { isFast, limit, now } = options
    const latestStart = isFast ? now - minAgeWhenFast : now
    const taken = new Set<TaskId>()
    for (const [slot, id] of this.ids.entries()) {
      if (id === undefined) continue
      if (running.has(id)) taken.add(id)
      else this.ids[slot] = undefined
    }
    if (taken.size < this.ids.length) this.fill(running, taken, latestStart)
    this.height = Math.max(this.height, this.ids.findLastIndex((id) => id !== undefined) + 1)
    return this.ids.slice(0, Math.min(limit, this.height)).map((id) => {
      const task = id === undefined ? undefined : running.get(id)
      return id === undefined || task === undefined ? undefined : ([id, task] as const)
    })
  }

  /** Widens the column for ids without a slot. */
  widen(others: ReadonlyArray<{ readonly taskId: TaskId }>): void {
    this.width = others.reduce((width, { taskId }) => Math.max(width, displayWidth(taskId)), this.width)
  }

  /** Fills free slots; `running` is in the order in which the tasks started. */
  private fill(running: ReadonlyMap<TaskId, Running>, taken: ReadonlySet<TaskId>, latestStart: number): void {
    let slot = this.ids.indexOf(undefined)
    for (const [id, { startedAt }] of running) {
      if (slot === -1 || startedAt > latestStart) return
      if (taken.has(id)) continue
      this.ids[slot] = id
      this.width = Math.max(this.width, displayWidth(id))
      slot = this.ids.indexOf(undefined, slot)
    }
  }
}
