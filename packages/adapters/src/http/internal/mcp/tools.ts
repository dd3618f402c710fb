/** The tools of the MCP server: their names, parameters and results. */
import { LeaseToken } from "@baton/core/Attempt"
import { Budget } from "@baton/core/Budget"
import { optionalNullOr } from "@baton/core/OptionalKey"
import { ConcurrencyKey, Metadata, QueueName, TaskId, TaskStatus } from "@baton/core/Task"
import { Counts } from "@baton/core/TaskStore"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { McpRequestContext } from "effect/ai/McpSchema"
import * as Context from "effect/Context"
import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import * as Errors from "../../ApiError.ts"
import { Caller } from "../middleware.ts"
import * as Model from "../model.ts"

/** Smaller than those of the API: an agent reads every result as a whole. */
export const limits = {
  pageSize: 50,
  /** Characters of a text, unless the call has a `maxCharacters`. */
  text: 4_000,
  /** The seconds that a wait lasts, unless the call says so. Many clients give up after 60. */
  wait: 45,
  maxWait: 600
} as const

const describe = <S extends Schema.Top>(schema: S, description: string) => schema.annotate({ description })

const optional = <S extends Schema.Top>(schema: S, description: string) =>
  Schema.optionalKey(schema.annotate({ description }))

const queue = optional(QueueName, "The name of a queue. Default: all queues")
const ids = Schema.Array(Schema.NonEmptyString).check(Schema.isMinLength(1), Schema.isMaxLength(Model.limits.ids))
const after = optional(
  Schema.String.check(Schema.isPattern(/^\d{1,15}$/, { expected: "the `next` of the previous page" })),
  "The `next` of the previous page"
)
const limit = optional(
  Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: Model.limits.maxPageSize })),
  `The largest number of tasks. Default: ${limits.pageSize}`
)
const maxCharacters = optional(
  Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: Model.limits.text })),
  `Longer texts are cut. Default: ${limits.text}`
)

/** Every refusal is a sentence for the agent. */
const failure = Schema.Union([
  Errors.BadRequest,
  Errors.TaskNotFound,
  Errors.TasksRefused,
  Errors.NotInReview,
  Errors.StoreUnavailable,
  Errors.StoreUnusable
])

const shared = { failure, dependencies: [McpRequestContext, Caller] }

const readsOnly = Context.make(Tool.Readonly, true).pipe(
  Context.add(Tool.Destructive, false),
  Context.add(Tool.OpenWorld, false)
)
const repeatable = Context.make(Tool.Destructive, false).pipe(Context.add(Tool.Idempotent, true))

const addTasks = Tool.make("add_tasks", {
  ...shared,
  description:
    "Add tasks to a queue, all or none of them. Adding a task that exists has no effect, so the same call can be repeated. " +
    "Returns the ids of all tasks of the call, in their order. A worker executes the tasks, if one runs for the queue.",
  parameters: Schema.Struct({
    queue: optional(QueueName, "The name of the queue, which need not exist. Default: default"),
    tasks: Schema.Array(
      Schema.Struct({
        description: describe(Schema.NonEmptyString, "The prompt"),
        id: optional(TaskId, "Unique in the queue. Default: made from the content of the task"),
        dependsOn: optional(
          Schema.Array(TaskId),
          "The ids of tasks that have to be completed first: tasks of this call, or ids that a tool returned"
        ),
        priority: optional(Schema.Int, "Tasks with a higher priority start first. Default: 0"),
        metadata: optional(Metadata, "A JSON object that stays with the task"),
        concurrencyKey: optional(ConcurrencyKey, "Tasks with the same key do not run at the same time")
      })
    ).check(Schema.isMinLength(1), Schema.isMaxLength(Model.limits.ids))
  }),
  success: Schema.Struct({
    ids: Schema.Array(TaskId),
    added: Schema.Int,
    existing: Schema.Int,
    different: Schema.Array(TaskId)
  })
})
  .annotate(Tool.Title, "Add tasks")
  .annotateMerge(repeatable)

const getProgress = Tool.make("get_progress", {
  ...shared,
  description:
    "The number of tasks per status of each queue, its budget and its pause. `waiting` is the part of `pending` that waits " +
    "for other tasks. Tasks that stay pending while none is in progress need a worker, which a person starts.",
  parameters: Schema.Struct({ queue }),
  success: Schema.Struct({ queues: Schema.Array(Model.Queue), control: Model.Control })
})
  .annotate(Tool.Title, "Show the progress")
  .annotateMerge(readsOnly)

const listTasks = Tool.make("list_tasks", {
  ...shared,
  description:
    "Tasks in the order they were added, a page at a time, with the beginning of their descriptions and of the feedback of their last attempt.",
  parameters: Schema.Struct({
    queue,
    status: optional(TaskStatus, "Only tasks with this status"),
    text: optional(Schema.String, "Only tasks whose id or description contains this text"),
    after,
    limit
  }),
  success: Schema.Struct({
    ...Model.TaskPage.fields,
    tasks: Schema.Array(
      Model.ListedTask.mapFields(
        Struct.pick(["id", "queue", "status", "attempts", "description", "feedback", "updatedAt"])
      )
    )
  })
})
  .annotate(Tool.Title, "List tasks")
  .annotateMerge(readsOnly)

const getTask = Tool.make("get_task", {
  ...shared,
  description: "A task with its attempts, oldest first: outputs, verdicts, feedback, cost.",
  parameters: Schema.Struct({ id: Schema.NonEmptyString, maxCharacters }),
  success: Model.TaskWithAttempts
})
  .annotate(Tool.Title, "Show a task")
  .annotateMerge(readsOnly)

const waitForTasks = Tool.make("wait_for_tasks", {
  ...shared,
  description:
    "Wait until no task is pending or in progress, of a queue or of these ids, and return the number of tasks per status. " +
    "When the time is over before, `done` is false: call it again.",
  parameters: Schema.Struct({
    queue: optional(QueueName, "All tasks of this queue"),
    ids: optional(ids, "These tasks"),
    timeoutSeconds: optional(
      Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: limits.maxWait })),
      `The longest wait. Default: ${limits.wait}`
    )
  }),
  success: Schema.Struct({ done: Schema.Boolean, ...Counts.fields })
})
  .annotate(Tool.Title, "Wait for tasks")
  .annotateMerge(readsOnly)

const readResults = Tool.make("read_results", {
  ...shared,
  description:
    "The results of completed tasks: of these ids, whatever their status, or of a queue, a page at a time. " +
    "`result` is absent when a task is not completed. The resource baton://tasks/{id}/result has the whole result.",
  parameters: Schema.Struct({ ids: optional(ids, "These tasks"), queue, after, limit, maxCharacters }),
  success: Schema.Struct({
    results: Schema.Array(
      Schema.Struct({
        ...Struct.pick(Model.ListedTask.fields, ["id", "status", "verified"]),
        result: optionalNullOr(Model.Text)
      })
    ),
    /** The `after` of the next page. Absent on the last page, and for ids. */
    next: optionalNullOr(Schema.String),
    /** The ids that no task has. */
    unknown: Schema.Array(Schema.String)
  })
})
  .annotate(Tool.Title, "Read results")
  .annotateMerge(readsOnly)

const listFailures = Tool.make("list_failures", {
  ...shared,
  description: "The failed tasks, grouped by cause, the most frequent cause first.",
  parameters: Schema.Struct({ queue }),
  success: Model.Failures
})
  .annotate(Tool.Title, "List failures")
  .annotateMerge(readsOnly)

const requeueTasks = Tool.make("requeue_tasks", {
  ...shared,
  description:
    "Make failed or cancelled tasks pending again, with no attempts used: these ids, all with a status, or all with a cause as list_failures returns it.",
  parameters: Schema.Struct({
    ids: optional(ids, "These tasks"),
    status: optional(Schema.Literals(["failed", "cancelled"]), "All tasks with this status"),
    cause: optional(Schema.NonEmptyString, "All failed tasks with this cause"),
    queue: optional(QueueName, "Only in this queue, with a status or a cause. Default: all queues")
  }),
  success: Model.Changed
})
  .annotate(Tool.Title, "Requeue tasks")
  .annotateMerge(repeatable)

const decideReview = Tool.make("decide_review", {
  ...shared,
  description:
    "Decide about an output in review: approve it, reject it with a comment that becomes the feedback of the next attempt, or replace it with a text.",
  parameters: Schema.Struct({
    id: Schema.NonEmptyString,
    attempt: optional(LeaseToken, "The token of the attempt that you have read. Default: the one in review"),
    decision: Schema.Literals(["approve", "reject", "edit"]),
    comment: optional(Model.Comment, "Required to reject"),
    giveUp: optional(Schema.Boolean, "With reject: no further attempt"),
    text: optional(Schema.String, "Required to edit: the text that becomes the result")
  }),
  success: Model.Decided
}).annotate(Tool.Title, "Decide about an output")

const setBudget = Tool.make("set_budget", {
  ...shared,
  description: "Set what the tasks of a queue may cost in all. A limit that is left out stays.",
  parameters: Schema.Struct({
    queue: QueueName,
    maxCostUsd: optional(
      Schema.NullOr(Schema.Finite.check(Schema.isGreaterThan(0))),
      "The most that the tasks may cost, in US dollars; null removes the limit"
    ),
    maxTokens: optional(
      Schema.NullOr(Schema.Int.check(Schema.isGreaterThan(0))),
      "The most tokens that the tasks may use; null removes the limit"
    )
  }),
  success: Budget
}).annotate(Tool.Title, "Set a budget")

export const tools = Toolkit.make(
  addTasks,
  getProgress,
  listTasks,
  getTask,
  waitForTasks,
  readResults,
  listFailures,
  requeueTasks,
  decideReview,
  setBudget
)

/** The permissions to give when the server is started. */
export const allowances = ["review", "budget"] as const

export type Allowance = (typeof allowances)[number]

interface Permission {
  readonly role: Model.Role
  readonly allowance?: Allowance
}

/** What the tools that change something require. The others require the role `view`. */
export const permissions: Readonly<Record<string, Permission>> = {
  [addTasks.name]: { role: "operate" },
  [requeueTasks.name]: { role: "operate" },
  [decideReview.name]: { role: "review", allowance: "review" },
  [setBudget.name]: { role: "operate", allowance: "budget" }
}
