/** What requests and responses contain. */
import { Report } from "@baton/core/Audit"
import { Attempt as TaskAttempt, LeaseToken } from "@baton/core/Attempt"
import { AttemptProgress } from "@baton/core/AttemptProgress"
import { Budget as QueueBudget } from "@baton/core/Budget"
import { optionalNullOr } from "@baton/core/OptionalKey"
import { QueuePause } from "@baton/core/QueuePause"
import { QueueName, Task as StoredTask, TaskId, TaskStatus } from "@baton/core/Task"
import { Counts, Worker as StoredWorker } from "@baton/core/TaskStore"
import { Usage } from "@baton/core/Usage"
import { AuditFinding, maxComment, Verification as Verdict } from "@baton/core/Verification"
import * as Schema from "effect/Schema"

/**
 * The limits of requests and responses.
 *
 * @category configuration
 * @since 0.1.0
 */
export const limits = {
  /** Tasks on a page of `GET /api/tasks`, unless the request has a `limit`. */
  pageSize: 100,
  /** The largest `limit` of a page. */
  maxPageSize: 500,
  /** The share of the tasks in the sample of an audit, unless the request has a `share`. */
  share: 0.05,
  /** Verdicts that wait for an audit in a response. */
  waiting: 100,
  /** Characters of a description or a feedback in a list. */
  listedText: 300,
  /** Characters of an output or another long text of a task. */
  text: 65_536,
  /** Workers of a queue in a response. */
  workers: 100,
  /** Failed tasks that `GET /api/failures` reads. */
  failures: 10_000,
  /** Tasks that `GET /api/activity` reads. */
  activity: 10_000,
  /** Ids of tasks that are given for each cause. */
  idsPerCause: 10,
  /** Ids in a request, and in the response to one that changes tasks. */
  ids: 1_000
} as const

/**
 * A text that may have been cut.
 *
 * @category models
 * @since 0.1.0
 */
export const Text = Schema.Struct({
  text: Schema.String,
  /** The length of the whole text, in UTF-16 code units like that of a string in JavaScript. */
  length: Schema.Int,
  cut: Schema.Boolean
})

/** @since 0.1.0 */
export interface Text extends Schema.Schema.Type<typeof Text> {}

const { queue: _queue, ...budget } = QueueBudget.fields

const { cause, reason, until } = QueuePause.fields

const { queue: _workersQueue, ...worker } = StoredWorker.fields

/**
 * A worker with tasks in progress in a queue.
 *
 * @category models
 * @since 0.2.0
 */
export const Worker = Schema.Struct(worker)

/** @since 0.2.0 */
export interface Worker extends Schema.Schema.Type<typeof Worker> {}

/**
 * A queue: the number of its tasks per status, its workers, its budget and its pause. `waiting` is the part of `pending` that waits for other tasks.
 *
 * @category models
 * @since 0.1.0
 */
export const Queue = Schema.Struct({
  queue: QueueName,
  ...Counts.fields,
  /** The usage of all tasks of the queue; absent if nothing was metered. */
  usage: optionalNullOr(Usage),
  /** A worker without tasks in progress is not known. Read once a second at most. */
  workers: Schema.Struct({
    total: Schema.Int,
    /** Those with the most running tasks, 100 at most. */
    first: Schema.Array(Worker)
  }),
  /** Money is in nano-dollars: billionths of a dollar. Absent if the queue has no budget. */
  budget: optionalNullOr(Schema.Struct(budget)),
  /** Absent if the queue is not paused. After the time of a usage limit, one task goes first. */
  pause: optionalNullOr(Schema.Struct({ cause, until, reason }))
})

/** @since 0.1.0 */
export interface Queue extends Schema.Schema.Type<typeof Queue> {}

/**
 * What is set for the runs of a queue.
 *
 * @category models
 * @since 0.2.0
 */
export const Settings = Schema.Struct({
  queue: QueueName,
  budget: Queue.fields.budget,
  pause: Queue.fields.pause,
  /** The tasks at a time of each worker that runs. Absent for as many as each was started with. */
  concurrency: optionalNullOr(Schema.Int),
  /** What this store can keep. */
  canSet: Schema.Struct({ budget: Schema.Boolean, pause: Schema.Boolean, concurrency: Schema.Boolean })
})

/** @since 0.2.0 */
export interface Settings extends Schema.Schema.Type<typeof Settings> {}

const positive = Schema.isGreaterThan(0)

/**
 * Changes the settings of a queue. What is left out stays.
 *
 * @category models
 * @since 0.2.0
 */
export const ChangeSettings = Schema.Struct({
  queue: QueueName,
  /** The most that the tasks of the queue may cost in all, in US dollars. Null: no limit. */
  maxCostUsd: Schema.optionalKey(Schema.NullOr(Schema.Finite.check(positive))),
  /** The most tokens that the tasks of the queue may use in all. Null: no limit. */
  maxTokens: Schema.optionalKey(Schema.NullOr(Schema.Int.check(positive))),
  /** For the workers that run now. Null: as many as each was started with. */
  concurrency: Schema.optionalKey(Schema.NullOr(Schema.Int.check(positive))),
  /** Whether workers take no more tasks of the queue. */
  paused: Schema.optionalKey(Schema.Boolean)
})

/** @since 0.2.0 */
export interface ChangeSettings extends Schema.Schema.Type<typeof ChangeSettings> {}

/**
 * The requests in force for all runs on the store.
 *
 * @category models
 * @since 0.1.0
 */
export const Control = Schema.Struct({
  paused: Schema.Boolean,
  /** The number of stop requests so far. */
  stops: Schema.Int
})

/** @since 0.1.0 */
export interface Control extends Schema.Schema.Type<typeof Control> {}

/**
 * What a token permits. Each role includes the ones before it.
 *
 * - `view`: read everything
 * - `review`: decide about outputs in review
 * - `operate`: add, requeue and cancel tasks, control all runs, and set budgets and the other settings of queues
 *
 * @category models
 * @since 0.2.0
 */
export const Role = Schema.Literals(["view", "review", "operate"])

/** @since 0.2.0 */
export type Role = typeof Role.Type

/**
 * @category models
 * @since 0.1.0
 */
export const Overview = Schema.Struct({
  queues: Schema.Array(Queue),
  control: Control,
  server: Schema.Struct({
    /** Whether the server refuses every change. */
    readOnly: Schema.Boolean,
    /** The role of the token of this request: `operate` where no token is required, `view` on a read-only server. */
    role: Role,
    /** The name of the token of this request, which its decisions carry. Absent if it has none. */
    name: Schema.optionalKey(Schema.String)
  })
})

/** @since 0.1.0 */
export interface Overview extends Schema.Schema.Type<typeof Overview> {}

const {
  description: _description,
  feedback: _feedback,
  metadata,
  overrides,
  payload,
  result: _result,
  ...short
} = StoredTask.fields

/**
 * A task in a list, with the beginning of its description and its feedback.
 *
 * @category models
 * @since 0.1.0
 */
export const ListedTask = Schema.Struct({ ...short, description: Text, feedback: optionalNullOr(Text) })

/** @since 0.1.0 */
export interface ListedTask extends Schema.Schema.Type<typeof ListedTask> {}

/**
 * @category models
 * @since 0.1.0
 */
export const TaskPage = Schema.Struct({
  tasks: Schema.Array(ListedTask),
  /** The `after` of the next page. Absent on the last page. */
  next: optionalNullOr(Schema.String),
  /** The number of tasks on all pages. Absent when it is unknown, as for a search. */
  total: optionalNullOr(Schema.Int)
})

/** @since 0.1.0 */
export interface TaskPage extends Schema.Schema.Type<typeof TaskPage> {}

/**
 * A task.
 *
 * @category models
 * @since 0.1.0
 */
export const Task = Schema.Struct({
  ...ListedTask.fields,
  metadata,
  overrides,
  payload,
  result: optionalNullOr(Text)
})

/** @since 0.1.0 */
export interface Task extends Schema.Schema.Type<typeof Task> {}

/**
 * A verdict on the output of an attempt.
 *
 * @category models
 * @since 0.1.0
 */
export const Verification = Schema.Struct({ ...Verdict.fields, feedback: Text })

/** @since 0.1.0 */
export interface Verification extends Schema.Schema.Type<typeof Verification> {}

const {
  error: _error,
  execution: _execution,
  taskId: _taskId,
  verification: _verification,
  ...ledger
} = TaskAttempt.fields

/**
 * An attempt. `token` identifies it: `number` begins again with 1 when the task is requeued.
 *
 * @category models
 * @since 0.1.0
 */
export const Attempt = Schema.Struct({
  ...ledger,
  /** Absent as long as there is none. */
  output: optionalNullOr(Text),
  /** The executor's own confidence in its output. */
  confidence: optionalNullOr(Schema.Finite),
  executionUsage: optionalNullOr(Usage),
  executionMetadata: metadata,
  verification: optionalNullOr(Verification),
  error: optionalNullOr(Text)
})

/** @since 0.1.0 */
export interface Attempt extends Schema.Schema.Type<typeof Attempt> {}

/**
 * @category models
 * @since 0.1.0
 */
export const TaskWithAttempts = Schema.Struct({
  task: Task,
  attempts: Schema.Array(Attempt),
  /** What the attempt under way has reported last. Absent when it has reported nothing, or when none is under way. */
  progress: optionalNullOr(AttemptProgress)
})

/** @since 0.1.0 */
export interface TaskWithAttempts extends Schema.Schema.Type<typeof TaskWithAttempts> {}

/**
 * An execution of a workflow, which is a task, with its steps that are tasks. Its parts have the order in which they began.
 *
 * @category models
 * @since 0.2.0
 */
export const WorkflowExecution = Schema.Struct({
  execution: Task,
  steps: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      task: ListedTask,
      /** 0 for its own steps. Those of an execution among its steps follow it, one deeper. */
      depth: Schema.Int
    })
  ),
  /** A worker with workflows, its steps, or code of the workflow, such as a timer; absent when it has ended. */
  waitsFor: optionalNullOr(Schema.Literals(["worker", "steps", "workflow"]))
})

/** @since 0.2.0 */
export interface WorkflowExecution extends Schema.Schema.Type<typeof WorkflowExecution> {}

/**
 * The failed tasks with one cause.
 *
 * @category models
 * @since 0.1.0
 */
export const Cause = Schema.Struct({
  /** The feedback without the ids, numbers and paths in which the failures differ; as `POST /api/requeue` takes it. */
  cause: Schema.String,
  tasks: Schema.Int,
  queues: Schema.Array(QueueName),
  /** The first of them. */
  ids: Schema.Array(TaskId),
  /** The feedback of the first one. */
  example: Text
})

/** @since 0.1.0 */
export interface Cause extends Schema.Schema.Type<typeof Cause> {}

/**
 * @category models
 * @since 0.1.0
 */
export const Failures = Schema.Struct({
  /** The most frequent first. */
  causes: Schema.Array(Cause),
  /** The failed tasks that were read. */
  failed: Schema.Int,
  /** False if there are more failed tasks. */
  complete: Schema.Boolean
})

/** @since 0.1.0 */
export interface Failures extends Schema.Schema.Type<typeof Failures> {}

/**
 * @category models
 * @since 0.1.0
 */
export const Added = Schema.Struct({
  added: Schema.Array(TaskId),
  /** The number of tasks that were in the store, and were not changed. */
  existing: Schema.Int,
  /** Those of them with another description, priority or concurrency key, or other metadata, overrides or dependencies. */
  different: Schema.Array(TaskId)
})

/** @since 0.1.0 */
export interface Added extends Schema.Schema.Type<typeof Added> {}

/**
 * @category models
 * @since 0.1.0
 */
export const Changed = Schema.Struct({
  /** The number of tasks that changed. */
  changed: Schema.Int,
  /** The first of them. */
  ids: Schema.Array(TaskId),
  /** The ids of the request that no task has. */
  unknown: Schema.Array(Schema.String)
})

/** @since 0.1.0 */
export interface Changed extends Schema.Schema.Type<typeof Changed> {}

const PerInterval = Schema.Array(Schema.Int)

/**
 * The number of tasks of a queue that ended in each of the intervals of `widthMillis` from `start` on. A task that is requeued
 * has not ended.
 *
 * @category models
 * @since 0.2.0
 */
export const Activity = Schema.Struct({
  /** Absent if no task has ended. */
  start: optionalNullOr(Schema.DateTimeUtcFromString),
  widthMillis: Schema.Int,
  completed: PerInterval,
  failed: PerInterval,
  /** False if the queue has more tasks than were read. */
  complete: Schema.Boolean
})

/** @since 0.2.0 */
export interface Activity extends Schema.Schema.Type<typeof Activity> {}

/** A comment of a person. */
export const Comment = Schema.String.check(
  Schema.isMaxLength(maxComment, { expected: `a comment of at most ${maxComment} characters` })
)

const decision = {
  id: Schema.NonEmptyString,
  /** The token of the attempt that the person has seen. Default: the one in review. */
  attempt: Schema.optionalKey(LeaseToken),
  /** The person who decides. Default: the name of the token, or `web`. A token that has a name refuses another one. */
  by: Schema.optionalKey(Schema.String.check(Schema.isPattern(/\S/, { expected: "a name" })))
}

/**
 * A decision about an output in review. The comment of a rejection becomes the feedback of the next attempt; with `giveUp`
 * there is none.
 *
 * @category models
 * @since 0.2.0
 */
export const Decide = Schema.Union([
  Schema.Struct({ ...decision, decision: Schema.Literal("approve") }),
  Schema.Struct({
    ...decision,
    decision: Schema.Literal("reject"),
    comment: Comment.check(Schema.isPattern(/\S/, { expected: "a comment for the next attempt" })),
    giveUp: Schema.optionalKey(Schema.Boolean)
  }),
  Schema.Struct({ ...decision, decision: Schema.Literal("edit"), text: Schema.String })
])

/** @since 0.2.0 */
export type Decide = typeof Decide.Type

/**
 * Whether a person agrees with the verdict on an attempt.
 *
 * @category models
 * @since 0.2.0
 */
export const Finding = Schema.Struct({
  ...decision,
  attempt: LeaseToken,
  agrees: Schema.Boolean,
  comment: Schema.optionalKey(Comment)
})

/** @since 0.2.0 */
export interface Finding extends Schema.Schema.Type<typeof Finding> {}

/**
 * @category models
 * @since 0.2.0
 */
export const AuditedVerdict = Schema.Struct({ id: TaskId, audit: AuditFinding })

/** @since 0.2.0 */
export interface AuditedVerdict extends Schema.Schema.Type<typeof AuditedVerdict> {}

/**
 * The sample of an audit.
 *
 * @category models
 * @since 0.2.0
 */
export const AuditOverview = Schema.Struct({
  /** The share of the tasks in the sample. */
  share: Schema.Finite,
  ...Report.fields,
  /** The first verdicts without a finding. */
  waiting: Schema.Array(
    Schema.Struct({
      id: TaskId,
      queue: QueueName,
      /** The token of the attempt. */
      attempt: LeaseToken,
      /** Whether the verifier accepted the output. */
      passed: Schema.Boolean
    })
  )
})

/** @since 0.2.0 */
export interface AuditOverview extends Schema.Schema.Type<typeof AuditOverview> {}

/**
 * The status of a task after a decision.
 *
 * @category models
 * @since 0.2.0
 */
export const Decided = Schema.Struct({ id: TaskId, status: TaskStatus })

/** @since 0.2.0 */
export interface Decided extends Schema.Schema.Type<typeof Decided> {}

/**
 * What changed. The first event has every queue, later ones have the queues with changes.
 *
 * @category models
 * @since 0.1.0
 */
export const Changes = Schema.Struct({
  queues: Schema.Array(Queue),
  /** The queues that no longer have tasks. */
  removed: Schema.Array(QueueName),
  control: Control
})

/** @since 0.1.0 */
export interface Changes extends Schema.Schema.Type<typeof Changes> {}

/**
 * An event of `GET /api/events`. `reload`: events were lost, so that everything has to be read again.
 *
 * @category models
 * @since 0.1.0
 */
export const Event = Schema.Union([
  Schema.Struct({ event: Schema.Literal("changed"), data: Schema.fromJsonString(Changes) }),
  Schema.Struct({ event: Schema.Literal("reload"), data: Schema.fromJsonString(Schema.Struct({})) })
])

/** @since 0.1.0 */
export type Event = typeof Event.Type
