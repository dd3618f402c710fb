/** What the server sends. It is decoded once, where it arrives. */
import { Report as AuditReport } from "@baton/core/Audit"
import { AttemptOutcome } from "@baton/core/Attempt"
import { AttemptProgress } from "@baton/core/AttemptProgress"
import { Budget as QueueBudget } from "@baton/core/Budget"
import { optionalNullOr } from "@baton/core/OptionalKey"
import { QueuePause } from "@baton/core/QueuePause"
import { Task, TaskStatus } from "@baton/core/Task"
import { Counts, Worker as StoredWorker } from "@baton/core/TaskStore"
import { Usage } from "@baton/core/Usage"
import * as Schema from "effect/Schema"

export { type Group, Report } from "@baton/core/Report"

/** A text that can be long: its first part, and the length of the whole. */
export const Text = Schema.Struct({ text: Schema.String, length: Schema.Int, cut: Schema.Boolean })
export interface Text extends Schema.Schema.Type<typeof Text> {}

const { committed, limit, reserved } = QueueBudget.fields

/** The limits of a queue, and the amounts spent and reserved. */
export const Budget = Schema.Struct({ limit, committed, reserved })
export interface Budget extends Schema.Schema.Type<typeof Budget> {}

const { cause, reason, until } = QueuePause.fields

/** Why a queue is paused, and until when, if not until it is resumed. */
export const Pause = Schema.Struct({ cause, until, reason })
export interface Pause extends Schema.Schema.Type<typeof Pause> {}

const { claimed, isLost, name, running, since } = StoredWorker.fields

/** A worker with tasks in progress in a queue. */
export const Worker = Schema.Struct({ claimed, isLost, name, running, since })
export interface Worker extends Schema.Schema.Type<typeof Worker> {}

export const Queue = Schema.Struct({
  queue: Schema.String,
  ...Counts.fields,
  /** The usage of all tasks of the queue; absent if nothing was metered. */
  usage: optionalNullOr(Usage),
  /** `first` are those with the most running tasks. */
  workers: Schema.Struct({ total: Schema.Int, first: Schema.Array(Worker) }),
  budget: optionalNullOr(Budget),
  pause: optionalNullOr(Pause)
})
export interface Queue extends Schema.Schema.Type<typeof Queue> {}

/** What is set for the runs of a queue. */
export const Settings = Schema.Struct({
  queue: Schema.String,
  budget: optionalNullOr(Budget),
  pause: optionalNullOr(Pause),
  /** Absent: as many as each worker was started with. */
  concurrency: optionalNullOr(Schema.Int),
  /** What the store can keep. */
  canSet: Schema.Struct({ budget: Schema.Boolean, pause: Schema.Boolean, concurrency: Schema.Boolean })
})
export interface Settings extends Schema.Schema.Type<typeof Settings> {}

/** What is left out stays. */
export interface ChangeSettings {
  readonly queue: string
  readonly maxCostUsd?: number | null
  readonly maxTokens?: number | null
  readonly concurrency?: number | null
  readonly paused?: boolean
}

/** What the reader may do. Each role includes the ones before it. */
export const Role = Schema.Literals(["view", "review", "operate"])
export type Role = typeof Role.Type

export const Control = Schema.Struct({ paused: Schema.Boolean, stops: Schema.Int })

export const Queues = Schema.Struct({
  queues: Schema.Array(Queue),
  control: Control,
  server: Schema.Struct({ role: Role, name: Schema.optionalKey(Schema.String) })
})
export interface Queues extends Schema.Schema.Type<typeof Queues> {}

const task = {
  id: Schema.String,
  queue: Task.fields.queue,
  status: TaskStatus,
  attempts: Schema.Int,
  description: Text,
  feedback: optionalNullOr(Text),
  verified: Schema.Boolean,
  priority: Schema.Int,
  dependsOn: Schema.Array(Schema.String),
  requeues: Schema.Int,
  usage: optionalNullOr(Usage),
  availableAt: Schema.String,
  createdAt: Schema.String,
  updatedAt: Schema.String
}

/** A task in a list. */
export const TaskItem = Schema.Struct(task)
export interface TaskItem extends Schema.Schema.Type<typeof TaskItem> {}

export const TaskPage = Schema.Struct({
  tasks: Schema.Array(TaskItem),
  /** The cursor of the next page. Absent on the last page. */
  next: optionalNullOr(Schema.String),
  /** Absent when it is not known, as in a search. */
  total: optionalNullOr(Schema.Int)
})
export interface TaskPage extends Schema.Schema.Type<typeof TaskPage> {}

export const Verdict = Schema.Struct({
  passed: Schema.Boolean,
  confidence: Schema.Finite,
  feedback: Text,
  issues: Schema.Array(Schema.String),
  usage: optionalNullOr(Usage),
  models: Schema.optionalKey(Schema.Array(Schema.String)),
  /** Why a person has to decide. */
  review: Schema.optionalKey(Schema.String),
  decision: Schema.optionalKey(
    Schema.Struct({
      kind: Schema.Literals(["approved", "rejected", "edited", "expired"]),
      by: Schema.String,
      at: Schema.String,
      comment: Schema.String,
      /** The output before it was edited. */
      output: Schema.optionalKey(Schema.String)
    })
  )
})
export interface Verdict extends Schema.Schema.Type<typeof Verdict> {}

export const Attempt = Schema.Struct({
  /** Unique for its task, unlike the number, which starts again after a requeue. */
  token: Schema.Int,
  number: Schema.Int,
  owner: Schema.String,
  startedAt: Schema.String,
  endedAt: optionalNullOr(Schema.String),
  outcome: AttemptOutcome,
  output: optionalNullOr(Text),
  confidence: optionalNullOr(Schema.Finite),
  executionMetadata: Schema.Record(Schema.String, Schema.Unknown),
  verification: optionalNullOr(Verdict),
  error: optionalNullOr(Text),
  usage: optionalNullOr(Usage)
})
export interface Attempt extends Schema.Schema.Type<typeof Attempt> {}

export const TaskDetail = Schema.Struct({
  task: Schema.Struct({
    ...task,
    result: optionalNullOr(Text),
    payload: Task.fields.payload,
    overrides: Task.fields.overrides,
    metadata: Task.fields.metadata
  }),
  attempts: Schema.Array(Attempt),
  /** What the attempt under way has reported last. */
  progress: optionalNullOr(AttemptProgress)
})
export interface TaskDetail extends Schema.Schema.Type<typeof TaskDetail> {}

/** An execution of a workflow, which is a task, with its steps that are tasks. */
export const WorkflowExecution = Schema.Struct({
  execution: TaskDetail.fields.task,
  steps: Schema.Array(Schema.Struct({ name: Schema.String, task: TaskItem, depth: Schema.Int })),
  waitsFor: optionalNullOr(Schema.Literals(["worker", "steps", "workflow"]))
})
export interface WorkflowExecution extends Schema.Schema.Type<typeof WorkflowExecution> {}

export const Cause = Schema.Struct({
  cause: Schema.String,
  tasks: Schema.Int,
  queues: Schema.Array(Schema.String),
  /** Some of the tasks. */
  ids: Schema.Array(Schema.String),
  example: Text
})
export interface Cause extends Schema.Schema.Type<typeof Cause> {}

export const Failures = Schema.Struct({
  causes: Schema.Array(Cause),
  failed: Schema.Int,
  /** False when there are more failed tasks than the server reads. */
  complete: Schema.Boolean
})
export interface Failures extends Schema.Schema.Type<typeof Failures> {}

/** How many tasks of a queue ended in each of the intervals from `start` on. */
export const Activity = Schema.Struct({
  start: optionalNullOr(Schema.String),
  widthMillis: Schema.Int,
  completed: Schema.Array(Schema.Int),
  failed: Schema.Array(Schema.Int),
  /** False when the queue has more tasks than the server reads. */
  complete: Schema.Boolean
})
export interface Activity extends Schema.Schema.Type<typeof Activity> {}

export const Changes = Schema.Struct({
  changed: Schema.Int,
  /** The ids that were given and belong to no task. */
  unknown: Schema.Array(Schema.String)
})
export interface Changes extends Schema.Schema.Type<typeof Changes> {}

/** The status of a task after a decision. */
export const Decided = Schema.Struct({ id: Schema.String, status: TaskStatus })

/** A decision about the output of the attempt with this token. */
export type Decision = { readonly id: string; readonly attempt: number; readonly by: string } & (
  | { readonly decision: "approve" }
  | { readonly decision: "reject"; readonly comment: string; readonly giveUp: boolean }
  | { readonly decision: "edit"; readonly text: string }
)

/** How often people disagree with verdicts in a sample, and verdicts that wait for them. */
export const AuditOverview = Schema.Struct({
  share: Schema.Finite,
  ...AuditReport.fields,
  waiting: Schema.Array(
    Schema.Struct({ id: Schema.String, queue: Schema.String, attempt: Schema.Int, passed: Schema.Boolean })
  )
})
export interface AuditOverview extends Schema.Schema.Type<typeof AuditOverview> {}

/** Whether a person agrees with the verdict on the attempt with this token. */
export interface Finding {
  readonly id: string
  readonly attempt: number
  readonly by: string
  readonly agrees: boolean
  readonly comment: string
}

export const AuditedVerdict = Schema.Struct({ id: Schema.String })

/** The data of the event `changed`. */
export const Changed = Schema.Struct({
  queues: Schema.Array(Queue),
  removed: Schema.Array(Schema.String),
  control: Control
})
export interface Changed extends Schema.Schema.Type<typeof Changed> {}

/** The tasks that an action is about. */
export type Selection =
  | { readonly ids: ReadonlyArray<string> }
  | { readonly queue?: string | undefined; readonly status: typeof TaskStatus.Type }
  | { readonly queue?: string | undefined; readonly cause: string }
