/** The contract as a small model: the answers of a store to any sequence of commands. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Claim, Lease, SweepOptions } from "../../TaskStore.ts"
import type { TaskStatus } from "../../Task.ts"
import * as TaskState from "../../TaskState.ts"

/** The tasks of a run, by number: later ones are more urgent or depend on earlier ones. */
export const specs: ReadonlyArray<Spec> = [
  { id: "plain", priority: 0, dependsOn: [] },
  { id: "urgent", priority: 5, dependsOn: [], concurrencyKey: "key" },
  { id: "other", priority: 0, dependsOn: [], concurrencyKey: "key" },
  { id: "behind", priority: 5, dependsOn: ["plain"] },
  { id: "last", priority: 0, dependsOn: ["other", "behind"] }
]

export interface Spec {
  readonly id: string
  readonly priority: number
  readonly dependsOn: ReadonlyArray<string>
  readonly concurrencyKey?: string
}

const from = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** Which of the leases that were ever given out, counted from the newest: the older, the more likely that it is stale. */
const LeaseChoice = from(0, 4)

const TaskChoices = Schema.Array(from(0, specs.length - 1)).check(Schema.isMaxLength(2))

const Ending = Schema.Union([
  Schema.Struct({
    way: Schema.Literals(["Complete", "Complete", "Complete", "Review", "Fail", "Release"]),
    lease: LeaseChoice
  }),
  Schema.Struct({ way: Schema.Literals(["Retry"]), lease: LeaseChoice, delay: from(0, 2) })
])

export type Ending = typeof Ending.Type

/** A command to the store. Times are in the suite's seconds. */
export const Command = Schema.TaggedUnion({
  Add: {},
  Claim: { limit: from(1, 4), lease: from(1, 3), started: from(0, 4) },
  Start: { leases: Schema.Array(LeaseChoice).check(Schema.isMaxLength(3)) },
  Checkpoint: { lease: LeaseChoice },
  Settle: { endings: Schema.Array(Ending).check(Schema.isMinLength(1), Schema.isMaxLength(3)) },
  Extend: { leases: Schema.Array(LeaseChoice).check(Schema.isMaxLength(2)), lease: from(1, 3) },
  Sweep: { maxAttempts: from(2, 4), onCrash: Schema.Literals(["retry", "dead-letter"]) },
  Pass: { seconds: from(1, 3) },
  Cancel: { tasks: TaskChoices },
  Requeue: { tasks: TaskChoices },
  FailWaiting: { tasks: TaskChoices },
  Revise: { tasks: TaskChoices, feedback: Schema.UndefinedOr(Schema.Literals(["Again."])) },
  Decide: { lease: LeaseChoice, way: Schema.Literals(["Approve", "Reject", "GiveUp", "Edit", "Expire"]) }
})

export type Command = typeof Command.Type

const { Claim: ClaimTasks, Decide, Pass, Revise, Settle, Start, Sweep } = Command.cases

/** A run. Claims and the passing of time come often, or tasks would not get far. */
export const Commands = Schema.Array(
  Schema.Union([ClaimTasks, ClaimTasks, Settle, Settle, Start, Decide, Pass, Sweep, Revise, Command])
).check(Schema.isMaxLength(50))

/** A task of the model. */
export interface ModelTask extends TaskState.TaskState, Spec {
  readonly availableAt: number
  /** The dependencies that have not completed since the task was added. */
  readonly waitsFor: ReadonlyArray<string>
  /** The last token that was issued. */
  readonly token: number
  readonly leaseEnd: number
  /** The outcome of each attempt; `claimed` or `running` for the one under way. */
  readonly outcomes: ReadonlyArray<string>
  readonly checkpoint: string | null
}

/** All tasks, in the order of adding. Commands replace the tasks that they change. */
export interface Model {
  now: number
  readonly tasks: Map<string, ModelTask>
}

export const make = (specs: ReadonlyArray<Spec>): Model => ({
  now: 0,
  tasks: new Map(
    specs.map((spec) => [
      spec.id,
      {
        ...spec,
        status: "pending",
        attempts: 0,
        availableAt: 0,
        waitsFor: spec.dependsOn,
        token: 0,
        leaseEnd: 0,
        outcomes: [],
        checkpoint: null
      }
    ])
  )
})

const anyPolicy: TaskState.FailurePolicy = { maxAttempts: Infinity, onCrash: "retry" }

/** Sends a task through the state machine; returns whether it has this transition. */
const move = (
  model: Model,
  task: ModelTask,
  event: TaskState.Transition,
  changes: Partial<ModelTask>,
  policy: TaskState.FailurePolicy = anyPolicy
): boolean =>
  Result.match(TaskState.transition(task, event, policy), {
    onFailure: () => false,
    onSuccess: (state) => {
      model.tasks.set(task.id, { ...task, ...state, ...changes })
      return true
    }
  })

const ended = (task: ModelTask, outcome: string) =>
  task.status === "in_progress" ? [...task.outcomes.slice(0, -1), outcome] : task.outcomes

/** The tasks that a claim takes, in its order: one of each key at a time. */
export const claimable = (model: Model, limit: number): ReadonlyArray<ModelTask> => {
  const busy = new Set<string>()
  for (const { concurrencyKey, status } of model.tasks.values()) {
    if (status === "in_progress" && concurrencyKey !== undefined) busy.add(concurrencyKey)
  }
  return due(model)
    .filter(({ concurrencyKey }) => {
      if (concurrencyKey === undefined) return true
      const isFree = !busy.has(concurrencyKey)
      busy.add(concurrencyKey)
      return isFree
    })
    .slice(0, limit)
}

/** The tasks whose time has come, the most urgent first; among those, the ones that have had an attempt. */
const due = (model: Model): ReadonlyArray<ModelTask> =>
  [...model.tasks.values()]
    .filter(
      ({ availableAt, status, waitsFor }) => status === "pending" && availableAt <= model.now && waitsFor.length === 0
    )
    .sort(
      (left, right) =>
        right.priority - left.priority ||
        Number(right.outcomes.length > 0) - Number(left.outcomes.length > 0) ||
        left.availableAt - right.availableAt
    )

export const claim = (model: Model, task: ModelTask, lease: number, isStarted: boolean) =>
  move(model, task, TaskState.Transition.cases.Claimed.make({}), {
    token: task.token + 1,
    leaseEnd: model.now + lease,
    outcomes: [...task.outcomes, isStarted ? "running" : "claimed"]
  })

/** The task that a lease is for, if the lease is current. */
export const held = (model: Model, { taskId, token }: Lease): ModelTask | undefined => {
  const task = model.tasks.get(taskId)
  return task?.status === "in_progress" && task.token === token ? task : undefined
}

export const start = (model: Model, task: ModelTask) => {
  model.tasks.set(task.id, { ...task, outcomes: ended(task, "running") })
}

export const checkpoint = (model: Model, task: ModelTask, output: string) => {
  model.tasks.set(task.id, { ...task, checkpoint: output })
}

export const extend = (model: Model, task: ModelTask, lease: number) => {
  model.tasks.set(task.id, { ...task, leaseEnd: model.now + lease })
}

const events = TaskState.Transition.cases

/** Frees the tasks that wait for this one. */
const free = (model: Model, { id }: ModelTask) => {
  for (const other of model.tasks.values()) {
    model.tasks.set(other.id, { ...other, waitsFor: other.waitsFor.filter((each) => each !== id) })
  }
}

export const settle = (model: Model, task: ModelTask, ending: Ending): boolean => {
  switch (ending.way) {
    case "Complete":
      free(model, task)
      return move(model, task, events.Verified.make({}), { outcomes: ended(task, "completed"), checkpoint: null })
    case "Review":
      return move(model, task, events.SentToReview.make({}), { outcomes: ended(task, "in_review"), checkpoint: null })
    case "Retry":
      return move(model, task, events.AttemptFailed.make({ permanent: false }), {
        outcomes: ended(task, "retried"),
        availableAt: model.now + ending.delay,
        checkpoint: null
      })
    case "Fail":
      return move(model, task, events.AttemptFailed.make({ permanent: true }), {
        outcomes: ended(task, "failed"),
        checkpoint: null
      })
    case "Release":
      return move(model, task, events.Released.make({}), {
        outcomes: ended(task, "released"),
        availableAt: model.now
      })
  }
}

export type Decision = (typeof Command.cases.Decide.Type)["way"]

/** Whether the decision about the attempt with this token changes its task. */
export const decide = (model: Model, { taskId, token }: Lease, way: Decision): boolean => {
  const task = model.tasks.get(taskId)
  if (task?.status !== "in_review" || task.token !== token) return false
  const outcome = (name: string) => ({ outcomes: [...task.outcomes.slice(0, -1), name] })
  switch (way) {
    case "Approve":
      free(model, task)
      return move(model, task, events.Approved.make({}), outcome("completed"))
    case "Edit":
      free(model, task)
      return move(model, task, events.Edited.make({}), outcome("completed"))
    case "Reject":
      return move(model, task, events.Rejected.make({ permanent: false }), {
        ...outcome("retried"),
        availableAt: model.now
      })
    case "GiveUp":
      return move(model, task, events.Rejected.make({ permanent: true }), outcome("failed"))
    case "Expire":
      return move(model, task, events.ReviewExpired.make({}), outcome("failed"))
  }
}

/** The ids that are swept. */
export const sweep = (model: Model, options: SweepOptions): ReadonlyArray<string> =>
  [...model.tasks.values()]
    .filter((task) => task.status === "in_progress" && task.leaseEnd <= model.now)
    .filter((task) => {
      const isStarted = task.outcomes.at(-1) === "running"
      const change = { outcomes: ended(task, isStarted ? "lease_expired" : "released"), availableAt: model.now }
      const event = isStarted ? events.LeaseExpired.make({}) : events.ClaimExpired.make({})
      return move(model, task, event, change, options)
    })
    .map(({ id }) => id)

export const cancel = (model: Model, id: string): boolean => {
  const task = model.tasks.get(id)
  return task !== undefined && move(model, task, events.Cancelled.make({}), { outcomes: ended(task, "cancelled") })
}

export const failWaiting = (model: Model, id: string): boolean => {
  const task = model.tasks.get(id)
  return task !== undefined && task.waitsFor.length > 0 && move(model, task, events.DependencyFailed.make({}), {})
}

export const requeue = (model: Model, id: string): boolean => {
  const task = model.tasks.get(id)
  return task !== undefined && move(model, task, events.Requeued.make({}), { availableAt: model.now })
}

export const revise = (model: Model, id: string): boolean => {
  const task = model.tasks.get(id)
  if (task === undefined) return false
  const availableAt = task.status === "pending" ? task.availableAt : model.now
  return move(model, task, events.Revised.make({}), { availableAt, checkpoint: null })
}

/** The number of tasks per status. */
export const counts = (model: Model): Record<TaskStatus | "waiting", number> => {
  const found = { pending: 0, in_progress: 0, in_review: 0, completed: 0, failed: 0, cancelled: 0, waiting: 0 }
  for (const { status, waitsFor } of model.tasks.values()) {
    found[status]++
    if (status === "pending" && waitsFor.length > 0) found.waiting++
  }
  return found
}

/** Whether a claim says what the model says of its task. */
export const describes = (task: ModelTask, claimed: Claim): boolean =>
  claimed.token === task.token &&
  claimed.task.attempts === task.attempts &&
  (claimed.checkpoint?.output ?? null) === task.checkpoint
