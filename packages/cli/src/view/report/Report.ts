/** What became of all tasks of a store: gathered record by record, so that a list of any length fits into memory. */
import type { Attempt, AttemptOutcome } from "@baton/core/Attempt"
import type { TaskStatus } from "@baton/core/Task"
import type { TaskRecord } from "@baton/core/TaskRecord"
import * as Usage from "@baton/core/Usage"
import { modelOf } from "../models.ts"
import { firstLine } from "../safeText.ts"
import { Durations } from "../Progress.ts"

/** Tasks and attempts under one name: a cause, a model, a worker. */
export interface Group {
  readonly name: string
  attempts: number
  tasks: number
  usage: Usage.Usage | null
}

/** A task with its history, shortened for reading. */
export interface Story {
  readonly id: string
  readonly description: string
  readonly status: TaskStatus
  readonly verified: boolean
  readonly usage: Usage.Usage | null
  readonly result: string | null
  readonly attempts: ReadonlyArray<Chapter>
}

/** One attempt of a story. Times are milliseconds since the epoch. */
export interface Chapter {
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

/** Texts in a report are for reading; the whole of them is in the store. */
const longestText = 2000

/** So many tasks are told one by one: those that failed first, then those that took the most attempts. */
const storiesTold = 250

const causesTold = 50

/** Gathers a report. */
export class Report {
  readonly statuses = { pending: 0, in_progress: 0, completed: 0, failed: 0, cancelled: 0 }
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
  /** Starts, ends and outcomes of all attempts, side by side. */
  readonly starts: Array<number> = []
  readonly ends: Array<number> = []
  readonly ended: Array<AttemptOutcome> = []
  private stories: Array<Story> = []
  readonly now: number

  constructor(now: number) {
    this.now = now
  }

  add({ attempts, task }: TaskRecord): void {
    this.tasks++
    this.statuses[task.status]++
    if (task.status === "completed" && !task.verified) this.unverified++
    this.usage = Usage.add(this.usage, task.usage)
    if (task.usage?.costUsd != null) this.costs.push(task.usage.costUsd)
    for (const attempt of attempts) this.addAttempt(attempt)
    if (task.status === "failed") count(this.causes, causeOf(task.feedback ?? ""), { tasks: 1 })
    this.stories.push(storyOf(task, attempts))
    if (this.stories.length >= 2 * storiesTold) this.stories = mostTelling(this.stories)
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
      count(this.causes, causeOf(attempt.error), { attempts: 1 })
    }
  }

  /** The tasks that are told one by one, the most telling first. */
  told(): ReadonlyArray<Story> {
    return mostTelling(this.stories)
  }

  /** From the first start to the last end; undefined before the first. */
  span(): { readonly from: number; readonly until: number } | undefined {
    let from = Infinity
    let until = -Infinity
    for (const start of this.starts) from = Math.min(from, start)
    for (const end of this.ends) until = Math.max(until, end)
    return from === Infinity ? undefined : { from, until }
  }
}

/** The groups with the most to tell first. */
export const ranked = (groups: ReadonlyMap<string, Group>): ReadonlyArray<Group> =>
  Array.from(groups.values())
    .sort((a, b) => b.tasks - a.tasks || b.attempts - a.attempts || (a.name < b.name ? -1 : 1))
    .slice(0, causesTold)

// More causes than this are all different: they say nothing as groups.
const mostGroups = 10_000

const count = (
  groups: Map<string, Group>,
  name: string,
  add: { readonly attempts?: number; readonly tasks?: number; readonly usage?: Usage.Usage | null }
): void => {
  let group = groups.get(name)
  if (group === undefined) {
    if (groups.size >= mostGroups) return
    group = { name, attempts: 0, tasks: 0, usage: null }
    groups.set(name, group)
  }
  group.attempts += add.attempts ?? 0
  group.tasks += add.tasks ?? 0
  group.usage = Usage.add(group.usage, add.usage ?? null)
}

/** What failures have in common: their first line, without the numbers and names that differ from task to task. */
const causeOf = (error: string): string =>
  firstLine(error)
    .slice(0, 300)
    .replace(/(?=[a-f]*\d)[0-9a-f]{8,}(?:-[0-9a-f]{4,})*/gi, "…")
    .replace(/\d+(?:[.,]\d+)*/g, "#")

const storyOf = (task: TaskRecord["task"], attempts: ReadonlyArray<Attempt>): Story => ({
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
    // The accepted one is the task's result.
    output: attempt.execution === null || attempt.outcome === "completed" ? null : shortened(attempt.execution.output),
    usage: attempt.usage
  }))
})

const shortened = (text: string): string => (text.length > longestText ? `${text.slice(0, longestText)}…` : text)

const weight = ({ attempts, status }: Story): number =>
  (status === "failed" ? 1_000_000 : status === "in_progress" ? 500_000 : 0) + attempts.length

const mostTelling = (stories: ReadonlyArray<Story>): Array<Story> =>
  stories.toSorted((a, b) => weight(b) - weight(a)).slice(0, storiesTold)
