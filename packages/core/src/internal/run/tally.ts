import type { Stats } from "../../Stats.ts"
import type { Usage } from "../../Usage.ts"

/** The counters of one run, counted where things happen. */
export interface Tally {
  readonly startedAt: number
  endedAt: number | undefined
  started: number
  completed: number
  unverified: number
  failed: number
  retried: number
  released: number
  executions: number
  leasesLost: number
  usage: Usage | null
}

export const make = (startedAt: number): Tally => ({
  startedAt,
  endedAt: undefined,
  started: 0,
  completed: 0,
  unverified: 0,
  failed: 0,
  retried: 0,
  released: 0,
  executions: 0,
  leasesLost: 0,
  usage: null
})

export const toStats = (tally: Tally, now: number): Stats => ({
  tasksStarted: tally.started,
  tasksCompleted: tally.completed,
  tasksUnverified: tally.unverified,
  tasksFailed: tally.failed,
  tasksRetried: tally.retried,
  tasksReleased: tally.released,
  executions: tally.executions,
  leasesLost: tally.leasesLost,
  elapsedSeconds: ((tally.endedAt ?? now) - tally.startedAt) / 1000,
  successRate: tally.completed === 0 ? 0 : tally.completed / (tally.completed + tally.failed),
  usage: tally.usage
})
