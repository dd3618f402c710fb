/** The live view of a run that is going on here. */
import type { TaskId } from "@baton/core/Task"
import type { Failure, Progress, Running } from "../Progress.ts"
import { displayWidth } from "../width.ts"
import type { FailureRow, Hint, Limits, TaskRow, View } from "./View.ts"

/** What the view shows besides the progress. */
export interface Surroundings {
  /** Milliseconds since the epoch. */
  readonly now: number
  readonly concurrency: number
  readonly endless: boolean
  readonly maxAttempts: number
  readonly limits: Limits
  /** Since when a task waits because of a rate limit; undefined if it does not. */
  readonly pacedSince: (id: TaskId) => number | undefined
  /** What the run waits for, when it does nothing else. */
  readonly waiting: string | undefined
  readonly hints: ReadonlyArray<Hint>
  readonly help: ReadonlyArray<Hint> | undefined
}

/** A wait that is shorter is not worth a word. */
const noticeable = 500

/** So many ends a second for each place cannot be followed by eye. */
const hectic = 3

/** The view at one moment. */
export const fromProgress = (progress: Progress, places: Places, options: Surroundings): View => {
  const { concurrency, endless, now, waiting } = options
  const { completed, failed, retrying, total } = progress
  const ratePerSecond = progress.ratePerSecond(now)
  const isHectic = ratePerSecond > hectic * concurrency
  // Tasks whose end is on its way to the store are no longer worked on.
  const running = Math.min(progress.running.size, concurrency)
  const shown = places.assign(progress.running, {
    now,
    isHectic,
    // A short list does not need the places of a long one; a worker may get one at any time.
    limit: endless ? concurrency : Math.min(concurrency, Math.max(1, total))
  })
  places.widen(progress.latest)
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
    tasks: shown.map((task) => (task === undefined ? undefined : rowOf(task, now, options.pacedSince(task[0])))),
    failures: progress.latest.map(({ at, attempt, feedback, isFinal, taskId }): FailureRow => ({
      id: taskId,
      attempt,
      ageMillis: Math.max(0, now - at),
      feedback,
      isFinal
    })),
    idWidth: places.idWidth,
    message: waiting ?? (isHectic && running > 0 ? "tasks end faster than one can read" : undefined),
    hints: options.hints,
    help: options.help
  }
}

const stateOf = ({ draining, paused }: Progress, waiting: string | undefined): View["state"] => {
  if (draining) return "ending"
  if (paused) return "paused"
  return waiting === undefined ? "running" : "waiting"
}

/** A failed attempt as it is shown. */
export const failureOf = ({ at, attempt, feedback, isFinal, taskId }: Failure, now: number): FailureRow => ({
  id: taskId,
  attempt,
  ageMillis: Math.max(0, now - at),
  feedback,
  isFinal
})

/** A task at work as it is shown. */
export const rowOf = ([id, task]: readonly [TaskId, Running], now: number, pacedSince: number | undefined): TaskRow => {
  const { attempt, description, pause, phase, startedAt } = task
  const isWaiting = pause !== undefined && pause.until > now
  return {
    id,
    attempt,
    ageMillis: Math.max(0, now - startedAt),
    doing: isWaiting ? "waiting" : pacedSince !== undefined && now - pacedSince >= noticeable ? "paced" : phase,
    waitMillis: isWaiting ? pause.until - now : 0,
    text: isWaiting ? pause.reason : description
  }
}

/** More lines than any terminal has. */
const most = 200

/** A task that is over before it could be read is not shown. */
const readable = 300

/** While tasks come and go faster than a person can read, only those that hang are worth a line. */
const hanging = 2000

/** The places of a run. */
export class Places {
  private width = 0
  private readonly ids: Array<TaskId | undefined>

  constructor(concurrency: number) {
    this.ids = Array.from({ length: Math.min(most, concurrency) }, () => undefined)
  }

  /** The widest id so far. */
  get idWidth(): number {
    return this.width
  }

  /** Who is where now, among at most `limit` places. */
  assign(
    running: ReadonlyMap<TaskId, Running>,
    options: { readonly now: number; readonly limit: number; readonly isHectic: boolean }
  ): ReadonlyArray<readonly [TaskId, Running] | undefined> {
    const { isHectic, limit, now } = options
    const oldest = now - (isHectic ? hanging : readable)
    const taken = new Set<TaskId>()
    for (const [place, id] of this.ids.entries()) {
      if (id === undefined) continue
      if (running.has(id)) taken.add(id)
      else this.ids[place] = undefined
    }
    if (taken.size < this.ids.length) this.fill(running, taken, oldest)
    return this.ids.slice(0, limit).map((id) => {
      const task = id === undefined ? undefined : running.get(id)
      return id === undefined || task === undefined ? undefined : ([id, task] as const)
    })
  }

  /** Makes room for ids that have no place here. */
  widen(others: ReadonlyArray<{ readonly taskId: TaskId }>): void {
    this.width = others.reduce((width, { taskId }) => Math.max(width, displayWidth(taskId)), this.width)
  }

  /** Tasks are in the order in which they started. */
  private fill(running: ReadonlyMap<TaskId, Running>, taken: ReadonlySet<TaskId>, oldest: number): void {
    let place = this.ids.indexOf(undefined)
    for (const [id, { startedAt }] of running) {
      if (place === -1 || startedAt > oldest) return
      if (taken.has(id)) continue
      this.ids[place] = id
      this.width = Math.max(this.width, displayWidth(id))
      place = this.ids.indexOf(undefined, place)
    }
  }
}
