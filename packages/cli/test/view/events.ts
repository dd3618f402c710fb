/** Events for tests, one second apart unless stated otherwise. */
import { type Event, type StopReason, type Stats, Task, Usage } from "@baton/core"
import { DateTime } from "effect"

type AnyEvent = Event.Event

const at = (seconds: number) => ({ at: DateTime.makeUnsafe(seconds * 1000) })
const attempt = (seconds: number, id: string, attempt: number) => ({
  ...at(seconds),
  taskId: Task.TaskId.make(id),
  attempt
})
const costing = (costUsd: number | null): Usage.Usage => ({ ...Usage.zero, inputTokens: 10, costUsd })

export const started = (seconds: number, id: string, n = 1, description = `do ${id}`): AnyEvent => ({
  _tag: "TaskStarted",
  ...attempt(seconds, id, n),
  description,
  resumed: false
})

/** A task that starts with an output saved by an earlier run. */
export const resumed = (seconds: number, id: string): AnyEvent => ({
  _tag: "TaskStarted",
  ...attempt(seconds, id, 1),
  description: `do ${id}`,
  resumed: true
})

export const executed = (seconds: number, id: string): AnyEvent => ({
  _tag: "TaskExecuted",
  ...attempt(seconds, id, 1),
  durationMillis: 1000
})

export const progress = (
  seconds: number,
  id: string,
  reported: { readonly text?: string; readonly fraction?: number; readonly output?: string }
): AnyEvent => ({
  _tag: "TaskProgress",
  ...attempt(seconds, id, 1),
  ...reported
})

export const executionRetried = (seconds: number, id: string, reason: string, delayMillis: number): AnyEvent => ({
  _tag: "ExecutionRetried",
  ...attempt(seconds, id, 1),
  reason,
  delayMillis
})

export const completed = (seconds: number, id: string, n = 1, cost?: number | null): AnyEvent => ({
  _tag: "TaskCompleted",
  outcome: "completed",
  ...attempt(seconds, id, n),
  output: "",
  verified: true,
  durationMillis: 1000,
  usage: cost === undefined ? undefined : costing(cost)
})

export const inReview = (seconds: number, id: string): AnyEvent => ({
  _tag: "TaskInReview",
  outcome: "in_review",
  ...attempt(seconds, id, 1),
  output: "a draft",
  reason: "The judge is unsure.",
  durationMillis: 1000
})

export const retried = (seconds: number, id: string, n: number, delayMillis: number): AnyEvent => ({
  _tag: "TaskRetried",
  outcome: "retried",
  ...attempt(seconds, id, n),
  feedback: "try harder",
  delayMillis,
  durationMillis: 1000
})

export const failed = (seconds: number, id: string, feedback: string, n = 3): AnyEvent => ({
  _tag: "TaskFailed",
  outcome: "failed",
  ...attempt(seconds, id, n),
  feedback,
  durationMillis: 1000
})

export const cancelled = (seconds: number, id: string): AnyEvent => ({
  _tag: "TaskCancelled",
  outcome: "cancelled",
  ...attempt(seconds, id, 1)
})

export const released = (seconds: number, id: string): AnyEvent => ({
  _tag: "TaskReleased",
  outcome: "released",
  ...attempt(seconds, id, 1),
  reason: "shutdown"
})

export const reclaimed = (seconds: number, id: string, status: "pending" | "failed"): AnyEvent => ({
  _tag: "LeaseReclaimed",
  ...attempt(seconds, id, 1),
  owner: "host/1-abc",
  status
})

export const plain = (_tag: "Paused" | "Resumed", seconds: number): AnyEvent => ({ _tag, ...at(seconds) })

export const reasoned = (
  _tag: "CircuitOpened" | "CircuitClosed" | "StoreUnavailable" | "Draining",
  seconds: number,
  reason: string
): AnyEvent => ({ _tag, ...at(seconds), reason })

export const stats = (fields: Partial<Stats.Stats> = {}): Stats.Stats => ({
  tasksStarted: 0,
  tasksCompleted: 0,
  tasksUnverified: 0,
  tasksInReview: 0,
  tasksFailed: 0,
  tasksRetried: 0,
  tasksReleased: 0,
  executions: 0,
  leasesLost: 0,
  elapsedSeconds: 10,
  successRate: 1,
  ...fields
})

export const ended = (seconds: number, reason: StopReason.StopReason, fields?: Partial<Stats.Stats>): AnyEvent => ({
  _tag: "RunEnded",
  ...at(seconds),
  reason,
  stats: stats(fields)
})

export const counts = (
  fields: Partial<
    Record<"pending" | "in_progress" | "in_review" | "completed" | "failed" | "cancelled" | "waiting", number>
  >
) => ({
  pending: 0,
  in_progress: 0,
  in_review: 0,
  completed: 0,
  failed: 0,
  cancelled: 0,
  waiting: 0,
  ...fields
})
