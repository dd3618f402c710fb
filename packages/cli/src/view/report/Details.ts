/**
 * What the HTML report shows besides the figures: all attempts over time, and the histories of tasks. Its memory does not grow
 * with the texts of tasks.
 */
import type { Attempt, AttemptOutcome } from "@baton/core/Attempt"
import * as Report from "@baton/core/Report"
import type { TaskStatus } from "@baton/core/Task"
import type { TaskRecord } from "@baton/core/TaskRecord"
import type * as Usage from "@baton/core/Usage"
import { modelOf } from "../taskReport.ts"

/** A task with its attempts; long texts are shortened. */
export interface TaskHistory {
  readonly id: string
  readonly description: string
  readonly status: TaskStatus
  readonly verified: boolean
  readonly usage?: Usage.Usage | undefined
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
  readonly usage?: Usage.Usage | undefined
}

/** Longer texts are shortened; the store has the full texts. */
const maxTextLength = 2000

/** The number of tasks with a history in the report: failed tasks first, then tasks with the most attempts. */
const maxHistories = 250

export class Details {
  /** The start, end and outcome of each attempt, by index. */
  readonly starts: Array<number> = []
  readonly ends: Array<number> = []
  readonly ended: Array<AttemptOutcome> = []
  private histories: Array<TaskHistory> = []
  private readonly now: number

  constructor(now: number) {
    this.now = now
  }

  add({ attempts: all, task }: TaskRecord): void {
    const attempts = all.filter(Report.isCounted)
    for (const { endedAt, outcome, startedAt } of attempts) {
      const start = startedAt.epochMilliseconds
      this.starts.push(start)
      this.ends.push(Math.max(start, endedAt?.epochMilliseconds ?? this.now))
      this.ended.push(outcome)
    }
    this.histories.push(historyOf(task, attempts))
    if (this.histories.length >= 2 * maxHistories) this.histories = mostRelevant(this.histories)
  }

  /** The tasks that are shown with their history, the most relevant first. */
  shownHistories(): ReadonlyArray<TaskHistory> {
    return mostRelevant(this.histories)
  }
}

const historyOf = (task: TaskRecord["task"], attempts: ReadonlyArray<Attempt>): TaskHistory => ({
  id: task.id,
  description: shortened(task.description),
  status: task.status,
  verified: task.verified,
  usage: task.usage,
  result: task.result === undefined ? null : shortened(task.result),
  attempts: attempts.map((attempt) => ({
    number: attempt.number,
    outcome: attempt.outcome,
    owner: attempt.owner,
    model: modelOf(attempt) ?? null,
    startedAt: attempt.startedAt.epochMilliseconds,
    endedAt: attempt.endedAt?.epochMilliseconds ?? null,
    error: attempt.error === undefined ? null : shortened(attempt.error),
    // The output of a completed attempt is the result of the task.
    output:
      attempt.execution === undefined || attempt.outcome === "completed" ? null : shortened(attempt.execution.output),
    usage: attempt.usage
  }))
})

const shortened = (text: string): string => (text.length > maxTextLength ? `${text.slice(0, maxTextLength)}…` : text)

const relevance = ({ attempts, status }: TaskHistory): number =>
  (status === "failed" ? 1_000_000 : status === "in_progress" ? 500_000 : 0) + attempts.length

const mostRelevant = (histories: ReadonlyArray<TaskHistory>): Array<TaskHistory> =>
  histories.toSorted((a, b) => relevance(b) - relevance(a)).slice(0, maxHistories)
