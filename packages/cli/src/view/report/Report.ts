/** Aggregates the records of a store for a report, in memory that does not grow with the texts of tasks. */
import * as FailureCause from "@baton/core/FailureCause"
import type { Attempt, AttemptOutcome } from "@baton/core/Attempt"
import type { TaskStatus } from "@baton/core/Task"
import type { TaskRecord } from "@baton/core/TaskRecord"
import * as Usage from "@baton/core/Usage"
import { modelOf } from "../taskReport.ts"
import { reasonLine } from "../safeText.ts"
import { Durations } from "../Progress.ts"

/** Tasks and attempts with the same cause, model or worker. */
export interface Group {
  readonly name: string
  attempts: number
  tasks: number
  usage: Usage.Usage | null
}

/** A task with its attempts; long texts are shortened. */
export interface TaskHistory {
  readonly id: string
  readonly description: string
  readonly status: TaskStatus
  readonly verified: boolean
  readonly usage: Usage.Usage | null
  readonly result: string | null
  readonly attempts: ReadonlyArray<AttemptLine>
}

/** An attempt of a task. Times are milliseconds since the epoch. */
export interface AttemptLine {
  readonly number: number
  readonly outcome: AttemptOutcome
  readonly owner: string
  readonly model: string | null
  readonly startedAt: number
  readonly endedAt: number | null
  readonly error: string | null
  readonly output: string | null
  readonly usage: Usage.Usage | null
}

/** Longer texts are shortened; the store has the full texts. */
const maxTextLength = 2000

/** The number of tasks with a history in the report: failed tasks first, then tasks with the most attempts. */
const maxHistories = 250

const maxGroupsShown = 50

/** The data of a report. */
export class Report {
  readonly statuses = { pending: 0, in_progress: 0, in_review: 0, completed: 0, failed: 0, cancelled: 0 }
  unverified = 0
  tasks = 0
  attempts = 0
  readonly outcomes = new Map<AttemptOutcome, number>()
  readonly durations = new Durations()
  usage: Usage.Usage | null = null
  readonly models = new Map<string, Group>()
  readonly workers = new Map<string, Group>()
  readonly causes = new Map<string, Group>()
  readonly costs: Array<number> = []
  /** The start, end and outcome of each attempt, by index. */
  readonly starts: Array<number> = []
  readonly ends: Array<number> = []
  readonly ended: Array<AttemptOutcome> = []
  private histories: Array<TaskHistory> = []
  readonly now: number

  constructor(now: number) {
    this.now = now
  }

  add({ attempts: all, task }: TaskRecord): void {
    const attempts = all.filter(isCounted)
    this.tasks++
    this.statuses[task.status]++
    if (task.status === "completed" && !task.verified) this.unverified++
    this.usage = Usage.add(this.usage, task.usage)
    if (task.usage?.costUsd != null) this.costs.push(task.usage.costUsd)
    for (const attempt of attempts) this.addAttempt(attempt)
    if (task.status === "failed") count(this.causes, FailureCause.of(reasonLine(task.feedback ?? "")), { tasks: 1 })
    this.histories.push(historyOf(task, attempts))
    if (this.histories.length >= 2 * maxHistories) this.histories = mostRelevant(this.histories)
  }

  private addAttempt(attempt: Attempt): void {
    const start = attempt.startedAt.epochMilliseconds
    const end = attempt.endedAt?.epochMilliseconds ?? this.now
    this.attempts++
    this.outcomes.set(attempt.outcome, (this.outcomes.get(attempt.outcome) ?? 0) + 1)
    if (attempt.endedAt !== null) this.durations.add(end - start)
    this.starts.push(start)
    this.ends.push(Math.max(start, end))
    this.ended.push(attempt.outcome)
    count(this.workers, attempt.owner, { attempts: 1, usage: attempt.usage })
    const model = modelOf(attempt)
    if (model !== undefined) count(this.models, model, { attempts: 1, usage: attempt.usage })
    if (attempt.error !== null && attempt.outcome !== "released") {
      count(this.causes, FailureCause.of(reasonLine(attempt.error)), { attempts: 1 })
    }
  }

  /** The tasks that are shown with their history, the most relevant first. */
  shownHistories(): ReadonlyArray<TaskHistory> {
    return mostRelevant(this.histories)
  }

  /** The time from the first start to the last end; undefined without attempts. */
  span(): { readonly from: number; readonly until: number } | undefined {
    let from = Infinity
    let until = -Infinity
    for (const start of this.starts) from = Math.min(from, start)
    for (const end of this.ends) until = Math.max(until, end)
    return from === Infinity ? undefined : { from, until }
  }
}

/**
 * Whether a report counts an attempt. A task that a worker claimed ahead and gave back was not worked on, and a released
 * attempt does not count either, unless it used tokens.
 */
const isCounted = ({ outcome, usage }: Attempt): boolean =>
  outcome !== "claimed" && (outcome !== "released" || usage !== null)

/** The groups with the most tasks and attempts first. */
export const ranked = (groups: ReadonlyMap<string, Group>): ReadonlyArray<Group> =>
  Array.from(groups.values())
    .sort((a, b) => b.tasks - a.tasks || b.attempts - a.attempts || (a.name < b.name ? -1 : 1))
    .slice(0, maxGroupsShown)

// Limits memory if every failure has a different cause.
const maxGroups = 10_000

const count = (
  groups: Map<string, Group>,
  name: string,
  add: { readonly attempts?: number; readonly tasks?: number; readonly usage?: Usage.Usage | null }
): void => {
  let group = groups.get(name)
  if (group === undefined) {
    if (groups.size >= maxGroups) return
    group = { name, attempts: 0, tasks: 0, usage: null }
    groups.set(name, group)
  }
  group.attempts += add.attempts ?? 0
  group.tasks += add.tasks ?? 0
  group.usage = Usage.add(group.usage, add.usage ?? null)
}

const historyOf = (task: TaskRecord["task"], attempts: ReadonlyArray<Attempt>): TaskHistory => ({
  id: task.id,
  description: shortened(task.description),
  status: task.status,
  verified: task.verified,
  usage: task.usage,
  result: task.result === null ? null : shortened(task.result),
  attempts: attempts.map((attempt) => ({
    number: attempt.number,
    outcome: attempt.outcome,
    owner: attempt.owner,
    model: modelOf(attempt) ?? null,
    startedAt: attempt.startedAt.epochMilliseconds,
    endedAt: attempt.endedAt?.epochMilliseconds ?? null,
    error: attempt.error === null ? null : shortened(attempt.error),
    // The output of a completed attempt is the result of the task.
    output: attempt.execution === null || attempt.outcome === "completed" ? null : shortened(attempt.execution.output),
    usage: attempt.usage
  }))
})

const shortened = (text: string): string => (text.length > maxTextLength ? `${text.slice(0, maxTextLength)}…` : text)

const relevance = ({ attempts, status }: TaskHistory): number =>
  (status === "failed" ? 1_000_000 : status === "in_progress" ? 500_000 : 0) + attempts.length

const mostRelevant = (histories: ReadonlyArray<TaskHistory>): Array<TaskHistory> =>
  histories.toSorted((a, b) => relevance(b) - relevance(a)).slice(0, maxHistories)
