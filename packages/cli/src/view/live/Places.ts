/**
 * Which task is shown in which line: one that goes on stays where it is, and a new one takes a place that is free.
 *
 * @since 0.1.0
 */
import type { TaskId } from "@baton/core/Task"
import { displayWidth } from "../width.ts"
import type { Running } from "../Progress.ts"

/** More lines than any terminal has. */
const most = 200

/** A task that is over before it could be read is not shown. */
const readable = 300

/** While tasks come and go faster than a person can read, only those that hang are worth a line. */
const hanging = 2000

/**
 * The places of a run.
 *
 * @category models
 * @since 0.1.0
 */
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
