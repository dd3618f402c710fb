/**
 * The store of tasks: the one place where a task's state lives.
 *
 * Every operation is one atomic transition over a *batch* of tasks. A claim carries a lease token. A write with a token
 * that is no longer current changes nothing, and the reply names it. Delivery is at-least-once: when a worker dies, its
 * lease expires and the task is executed again. At most one result per lease is accepted.
 *
 * To bring your own store, implement a `TaskStoreDriver`, and test it with the suite in `@baton/core/testing`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Attempt, LeaseToken } from "./Attempt.ts"
import type { AttemptProgress } from "./AttemptProgress.ts"
import type { BatchJournal } from "./BatchJournal.ts"
import type { Amount, Budget, BudgetLimit } from "./Budget.ts"
import type { Execution } from "./Execution.ts"
import * as MemoryDriver from "./internal/memory/driver.ts"
import * as Table from "./internal/memory/table.ts"
import * as InQueues from "./internal/store/inQueues.ts"
import * as Service from "./internal/store/service.ts"
import type { RunningConcurrency } from "./RunningConcurrency.ts"
import type { PauseCause, QueuePause } from "./QueuePause.ts"
import type { RateShares } from "./RateShares.ts"
import { type Metadata, type NewTask, QueueName, type Task, type TaskId, type TaskStatus } from "./Task.ts"
import type { TaskRecord } from "./TaskRecord.ts"
import type { TaskStoreError, TasksRefused } from "./TaskStoreError.ts"
import type { Usage } from "./Usage.ts"
import type { AuditFinding, Decision, Verification } from "./Verification.ts"

/**
 * The store service. Its methods need nothing from their caller's context.
 *
 * @category services
 * @since 0.1.0
 */
export class TaskStore extends Context.Service<
  TaskStore,
  {
    /**
     * Adds tasks. A task whose id exists is not changed, and is in `different` of the result if the call has, for instance,
     * other metadata: `revise` stores them. All or nothing: when a task is refused, no task of the call is added. A dependency has to be in the store or
     * in the same call.
     */
    readonly add: (tasks: ReadonlyArray<NewTask>) => Effect.Effect<AddResult, TaskStoreError | TasksRefused>

    /** How many tasks one `add` should get, where many take the store too long; undefined in most stores. */
    readonly addLimit?: number | undefined

    /**
     * Claims up to `limit` tasks of the queues: pending, `availableAt` reached, all dependencies completed; within a queue,
     * higher priority first, then tasks that have had an attempt, so that started work finishes first, then the one available
     * for longest, then the one added first. Several queues take turns: each call begins with another one. Counts an attempt and starts a lease for each task.
     *
     * At most `maxPerKey` tasks of a queue with the same concurrency key are in progress at a time. Within a priority, keys
     * take turns: the first task of the key whose turn was the longest ago, or the first task without a key, whichever of
     * the two comes first in this order.
     *
     * Never waits: returns an empty array when no task is claimable.
     */
    readonly claim: (options: ClaimOptions) => Effect.Effect<ReadonlyArray<Claim>, TaskStoreError>

    /**
     * Makes outputs durable before they are verified. When the task is claimed again after a crash, the claim contains the
     * checkpoint, so that it is verified and not executed again.
     */
    readonly checkpoint: (checkpoints: ReadonlyArray<Checkpoint>) => Effect.Effect<FencedReply, TaskStoreError>

    /** Ends attempts: task, ledger row and dependants change in one write. When it returns, the write is durable. */
    readonly settle: (settlements: ReadonlyArray<Settlement>) => Effect.Effect<FencedReply, TaskStoreError>

    /**
     * Marks that work on claimed tasks starts. Durable when it returns, so that the work can begin then. An attempt that
     * has started counts if its worker dies; one that has not is given back. Repeating it changes nothing.
     */
    readonly start: (leases: ReadonlyArray<Lease>) => Effect.Effect<FencedReply, TaskStoreError>

    /** Extends leases to `lease` from now: the heartbeat. The reply names those that were lost or cancelled. */
    readonly extend: (
      leases: ReadonlyArray<Lease>,
      lease: Duration.Duration
    ) => Effect.Effect<FencedReply, TaskStoreError>

    /**
     * Ends the attempts in the queues whose lease has expired. The write checks the expiry again, so that a heartbeat that was just in
     * time wins. An attempt that had started counts: a task that kills its workers ends in the dead-letter queue. One that had
     * not started is given back, whatever the policy.
     */
    readonly sweep: (options: SweepOptions) => Effect.Effect<ReadonlyArray<SweptTask>, TaskStoreError>

    /** The task with this id. */
    readonly get: (id: string) => Effect.Effect<Option.Option<Task>, TaskStoreError>

    /**
     * Returns the task once it is completed, failed or cancelled, by whatever process; none when there is no such task. All
     * that this process waits for is read together, when something changes, and at the poll interval of the store: seconds.
     */
    readonly awaitSettled: (id: string) => Effect.Effect<Option.Option<Task>, TaskStoreError>

    /** Tasks in the order they were added, a page at a time. */
    readonly list: (query?: ListQuery) => Effect.Effect<TaskPage, TaskStoreError>

    /** A task's ledger, oldest attempt first, the one under way included. */
    readonly attempts: (id: string) => Effect.Effect<ReadonlyArray<Attempt>, TaskStoreError>

    /** The number of tasks per status, in all queues together. */
    readonly counts: Effect.Effect<Counts, TaskStoreError>

    /** The number of tasks per status, and their usage, of each queue that has tasks, by name. */
    readonly queues: Effect.Effect<ReadonlyArray<QueueCounts>, TaskStoreError>

    /** The workers of tasks in progress, by queue and name. */
    readonly workers: Effect.Effect<ReadonlyArray<Worker>, TaskStoreError>

    /** Puts failed or cancelled tasks back to pending with no attempts used. Returns the ids that changed. */
    readonly requeue: (selection: Selection) => Effect.Effect<ReadonlyArray<TaskId>, TaskStoreError>

    /**
     * Changes tasks that no worker holds, and puts them back to pending with no attempts used: to replace their work, or
     * because an accepted output turned out to be wrong. A task keeps its place in the order of adding, its history and its
     * tokens, and loses its result and an output that waits to be verified. Tasks that waited for it and were freed stay free.
     * Each part of 1 000 tasks is one write. Returns the ids that changed. Fails in a store that cannot do this.
     */
    readonly revise: (
      revisions: ReadonlyArray<Revision>,
      options?: ReviseOptions
    ) => Effect.Effect<ReadonlyArray<TaskId>, TaskStoreError>

    /**
     * Cancels pending and running tasks. A running task loses its lease at once; its worker is notified by its next
     * heartbeat, or sooner through `awaitControl`. Returns the ids that changed.
     */
    readonly cancel: (selection: Selection) => Effect.Effect<ReadonlyArray<TaskId>, TaskStoreError>

    /**
     * Sends pending tasks that wait for others to the dead-letter queue, with a reason: one of those has failed. Tasks that wait
     * for none do not change. Returns the ids that changed. Fails in a store that cannot do this.
     */
    readonly failWaiting: (
      ids: ReadonlyArray<string>,
      reason: string
    ) => Effect.Effect<ReadonlyArray<TaskId>, TaskStoreError>

    /**
     * Deletes tasks in a terminal status, with their history. Keeps those that pending tasks wait for. Returns the number of
     * deleted tasks.
     */
    readonly prune: (options: PruneOptions) => Effect.Effect<number, TaskStoreError>

    /**
     * Returns `claimable` when something in the queues may be claimable or a lease may have expired: on a notification, or at
     * the next `availableAt` or lease end. Tasks whose concurrency key is busy are not claimable. It may return without a
     * reason, and never misses one. With `untilDrained` it
     * returns `drained` as soon as no task of the queues is in progress and none will become claimable by itself.
     */
    readonly awaitWork: (options: AwaitWorkOptions) => Effect.Effect<WorkSignal, TaskStoreError>

    /** The requests in force for all runs on this store. */
    readonly control: Effect.Effect<Control, TaskStoreError>

    /** Asks every run on this store to pause, resume or stop, in whatever process it is. */
    readonly request: (request: ControlRequest) => Effect.Effect<Control, TaskStoreError>

    /** Returns when the control state's revision is no longer `revision`. */
    readonly awaitControl: (revision: number) => Effect.Effect<Control, TaskStoreError>

    /**
     * Returns the number of changes that this process knows of, once it is not `seen`: its own changes, and those that other
     * processes make known. It also counts what may be a change. Claims of other processes are not made known, and some stores
     * make nothing known: a program that shows the state of a store also reads it at an interval.
     */
    readonly awaitChange: (seen: number) => Effect.Effect<number>

    /**
     * Everything that the store knows about its tasks, in the order they were added, a page at a time: for a backup, or to
     * `restore` it in another store. Each page is consistent; a task that changes between two pages is in the state in which
     * its page was read.
     */
    readonly dump: (query?: DumpQuery) => Effect.Effect<RecordPage, TaskStoreError>

    /**
     * Adds tasks as they were in another store, in their order, with status, history and tokens. All or nothing: an id that
     * is already in the store is refused with `IdInUse`. A dependency may be missing: its dependants become claimable once it
     * completes or is restored as completed. A task that was in progress is restored with an expired lease, so that the next
     * `sweep` ends its attempt as after a crash.
     */
    readonly restore: (records: ReadonlyArray<TaskRecord>) => Effect.Effect<void, TaskStoreError | TasksRefused>

    /** The budgets of queues; undefined in a store that keeps none, where a run can only limit itself. */
    readonly budgets?: Budgets | undefined

    /** The tasks in review; undefined in a store that cannot hold tasks for people, where no task is sent to review. */
    readonly reviews?: Reviews | undefined

    /** The pauses of queues; undefined in a store that keeps none, where only all of its runs can be paused. */
    readonly pauses?: Pauses | undefined

    /** The progress of attempts under way; undefined in a store that keeps none. */
    readonly progress?: Progress | undefined

    /** The concurrency of running workers; undefined in a store that cannot pass it on to them. */
    readonly concurrency?: Concurrency | undefined

    /** The shares of processes in rate limits; undefined in a store that only one process can use at a time. */
    readonly rateShares?: RateShares | undefined

    /** The journal of batches; undefined in a store that keeps none, where no request can be sent in a batch. */
    readonly batches?: BatchJournal | undefined
  }
>()("@baton/core/TaskStore") {}

/**
 * The budgets of queues: limits on what all workers and runs together spend. A queue has no budget until one is set.
 *
 * `settle` commits what an attempt has spent. `sweep` and `cancel` commit the whole reservation of an attempt that they end,
 * because its calls may have been made.
 *
 * @category models
 * @since 0.2.0
 */
export interface Budgets {
  /**
   * Notes what attempts have spent, and reserves amounts for their next calls. Within a queue, requests are granted in their
   * order, and none after the first that does not fit: `committed + reserved` never exceeds a limit. Repeating a call
   * changes nothing. In a queue without a budget, everything is granted and nothing is kept.
   */
  readonly reserve: (spending: ReadonlyArray<Spending>) => Effect.Effect<Reserved, TaskStoreError>
  /** The budgets of all queues that have one, by name. */
  readonly list: Effect.Effect<ReadonlyArray<Budget>, TaskStoreError>
  /**
   * Sets a limit, or what counts as spent, and returns the budget. The first call makes the budget, which counts from then
   * on. Runs learn of it at once. A limit below the committed and reserved amounts grants nothing more.
   */
  readonly set: (queue: string, change: BudgetChange) => Effect.Effect<Budget, TaskStoreError>
}

/**
 * Tasks in review. They hold no lease, and wait for a person for any time.
 *
 * @category models
 * @since 0.2.0
 */
export interface Reviews {
  /**
   * Decides about outputs. Each decision is about the attempt that the person has seen: when another person was faster, or
   * the task is no longer in review, the decision changes nothing, and the reply says who decided what.
   */
  readonly decide: (decisions: ReadonlyArray<ReviewDecision>) => Effect.Effect<ReviewReply, TaskStoreError>

  /**
   * Keeps what a person says about the verdict on an attempt that was accepted or rejected, with the attempt. The first
   * person to say so counts. Changes nothing else. See `Audit`.
   */
  readonly audit: (finding: Finding) => Effect.Effect<AuditReply, TaskStoreError>
}

/**
 * What a person says about a verdict.
 *
 * @category models
 * @since 0.2.0
 */
export interface Finding {
  readonly taskId: TaskId
  readonly token: LeaseToken
  readonly by: string
  /** Whether the person would have decided as the verifier did. */
  readonly agrees: boolean
  readonly comment?: string | undefined
}

/** @since 0.2.0 */
export interface AuditReply {
  /** Whether the finding is kept: by this call, or by an earlier one of the same person. */
  readonly kept: boolean
  /** The finding that the attempt has. Absent when the attempt does not exist or has no verdict to audit. */
  readonly audit?: AuditFinding | undefined
}

interface DecisionFields {
  readonly taskId: TaskId
  /** The attempt that the decision is about. Default: the one that is in review. */
  readonly token?: LeaseToken | undefined
  /** The person who decides. */
  readonly by: string
}

/**
 * What a person decides about an output.
 *
 * - `Approve`: the output becomes the task's result
 * - `Reject`: the comment becomes the feedback of another attempt, whatever the limit of attempts. With `giveUp` there is
 *   none, and the task goes to the dead-letter queue
 * - `Edit`: the text becomes the task's result. The attempt keeps the output that it replaces
 * - `Expire`: no person decided in time. The task goes to the dead-letter queue
 *
 * @category models
 * @since 0.2.0
 */
export type ReviewDecision =
  | (DecisionFields & { readonly _tag: "Approve"; readonly comment?: string | undefined })
  | (DecisionFields & { readonly _tag: "Reject"; readonly comment: string; readonly giveUp?: boolean | undefined })
  | (DecisionFields & { readonly _tag: "Edit"; readonly text: string; readonly comment?: string | undefined })
  | (DecisionFields & { readonly _tag: "Expire" })

export interface ReviewReply {
  /** The tasks that the decisions changed. */
  readonly decided: ReadonlyArray<TaskId>
  readonly refused: ReadonlyArray<RefusedDecision>
}

/** A decision that changed nothing. */
export interface RefusedDecision {
  readonly taskId: TaskId
  /** The status of the task now. Absent when it does not exist. */
  readonly status?: TaskStatus | undefined
  /** What a person has decided about the attempt before, if any has. */
  readonly decision?: Decision | undefined
}

/**
 * The pauses of queues. While a queue is paused, `claim` returns none of its tasks, and `awaitWork` waits for the end of the
 * pause.
 *
 * @category models
 * @since 0.2.0
 */
export interface Pauses {
  /** The pauses that are in force, by the name of their queue. */
  readonly list: Effect.Effect<ReadonlyArray<QueuePause>, TaskStoreError>
  /**
   * Pauses a queue for all workers, and returns its pause. A pause that is `requested` takes the place of an earlier one. A
   * pause for a usage limit ends at the latest time that was reported; a requested pause that lasts longer stays instead.
   */
  readonly pause: (queue: string, options: PauseOptions) => Effect.Effect<QueuePause, TaskStoreError>
  /** Ends the pause of a queue. With a `revision`, only that pause. Returns whether there was one. */
  readonly resume: (
    queue: string,
    options?: { readonly revision?: number | undefined }
  ) => Effect.Effect<boolean, TaskStoreError>
}

/**
 * The latest progress that attempts under way have reported, for other processes to see.
 *
 * @category models
 * @since 0.2.0
 */
export interface Progress {
  /** Saves what attempts have reported. What attempts report whose leases are lost is ignored. */
  readonly save: (reports: ReadonlyArray<Lease & AttemptProgress>) => Effect.Effect<void, TaskStoreError>
  /** What the attempt of a task that is under way has reported. */
  readonly of: (id: string) => Effect.Effect<Option.Option<AttemptProgress>, TaskStoreError>
}

/**
 * The concurrency that was set for workers that are running.
 *
 * @category models
 * @since 0.2.0
 */
export interface Concurrency {
  /** The settings, the oldest first. They stay after their workers have ended; workers that start later ignore them. */
  readonly list: Effect.Effect<ReadonlyArray<RunningConcurrency>, TaskStoreError>
  /** Sets the concurrency of all workers of a queue that are running, or of one of them. */
  readonly set: (
    setting: Pick<RunningConcurrency, "queue" | "worker" | "concurrency">
  ) => Effect.Effect<void, TaskStoreError>
}

export interface PauseOptions {
  readonly cause: PauseCause
  /** Default: until the queue is resumed. */
  readonly until?: DateTime.Utc | undefined
  readonly reason: string
}

/** The amounts that an attempt has spent, holds and asks for. */
export interface Spending extends Lease {
  /** The amount spent so far. */
  readonly committed: Amount
  /** The amount reserved for calls that are under way. */
  readonly held: Amount
  /** The additional amount that it asks for. */
  readonly wanted: Amount
}

export interface Reserved extends FencedReply {
  /** The leases whose wanted amount did not fit. */
  readonly refused: ReadonlyArray<Lease>
  /** The present budgets of the queues of these leases. */
  readonly budgets: ReadonlyArray<Budget>
}

/** Fields that are left out stay. */
export interface BudgetChange {
  /** Null removes a limit. */
  readonly limit?: { readonly [Limit in keyof BudgetLimit]?: BudgetLimit[Limit] | null } | undefined
  readonly committed?: Amount | undefined
}

/** The ids that were new, and the number of tasks that existed. */
export interface AddResult {
  readonly added: ReadonlyArray<TaskId>
  /** The number of ids that exist. These tasks were not changed. */
  readonly existing: number
  /**
   * Tasks that exist with another description, priority or concurrency key, or with other metadata, overrides or
   * dependencies than in the call; or that occur in the call a second time with others. Objects whose keys are in another
   * order count as different.
   */
  readonly different: ReadonlyArray<TaskId>
}

/** Which queues an operation is about. */
export interface QueueOptions {
  /** Default: the queue `default`. */
  readonly queues?: ReadonlyArray<string> | undefined
}

/** How many tasks with the same concurrency key are in progress at a time. */
export interface KeyOptions {
  /** Default 1. */
  readonly maxPerKey?: number | undefined
}

export interface AwaitWorkOptions extends QueueOptions, KeyOptions {
  readonly untilDrained: boolean
}

export interface ClaimOptions extends QueueOptions, KeyOptions {
  readonly limit: number
  /** The worker that claims; kept in the ledger. Unique per process start, so that a restarted worker is never mistaken for its predecessor. */
  readonly owner: string
  readonly lease: Duration.Duration
  /**
   * How many of the claimed tasks, in the order of claiming, start at once, so that the claim marks them as started. The
   * others wait for `start`. Default: all.
   */
  readonly started?: number | undefined
}

/** Permission to work on a task until a time. */
export interface Lease {
  readonly taskId: TaskId
  readonly token: LeaseToken
}

/** A claimed task. */
export interface Claim {
  /** The task after the claim: in progress, this attempt counted. It does not say whether the task has started. */
  readonly task: Task
  readonly token: LeaseToken
  /** An output saved by an earlier attempt whose verification never finished: verify it, do not execute again. */
  readonly checkpoint?: Execution | undefined
  /**
   * The output of the last attempt that failed, or that completed the task before it was revised; absent when there is none or it
   * was empty. An executor gets it together with feedback only.
   */
  readonly previousOutput?: string | undefined
  /**
   * The `revision` of the pause that this task goes ahead of, as its probe. When it was not refused, resume the queue with
   * this revision.
   */
  readonly probes?: number | undefined
}

/** An output to be saved before it is verified. */
export interface Checkpoint extends Lease {
  readonly execution: Execution
  /** The task's usage with this execution included. */
  readonly usage?: Usage | undefined
}

interface SettlementFields extends Lease {
  /** The usage of this attempt alone. */
  readonly attemptUsage?: Usage | undefined
  /** The part of `attemptUsage` that the journal of batches has committed. Default none. */
  readonly committed?: Amount | undefined
  /** The usage of all attempts of the task, this one included. */
  readonly usage?: Usage | undefined
  readonly execution?: Execution | undefined
  readonly verification?: Verification | undefined
}

interface FailureFields extends SettlementFields {
  readonly feedback: string
  /**
   * An output whose verification could not be carried out: the next attempt verifies it and executes nothing. Absent when the
   * next attempt has to execute.
   */
  readonly checkpoint?: Execution | undefined
}

/**
 * The write that records the outcome of an attempt.
 *
 * - `Complete`: the execution's output becomes the task's result
 * - `Retry`: back to pending, available after `delay`
 * - `Fail`: to the dead-letter queue
 * - `Review`: the task is in review, until a person decides. The attempt has spent its cost
 * - `Release`: back to pending at once; the attempt does not count
 *
 * @category models
 * @since 0.1.0
 */
export type Settlement =
  | (SettlementFields & { readonly _tag: "Complete"; readonly execution: Execution; readonly verified: boolean })
  | (SettlementFields & {
      readonly _tag: "Review"
      readonly execution: Execution
      readonly verification: Verification
    })
  | (FailureFields & { readonly _tag: "Retry"; readonly delay: Duration.Duration })
  | (FailureFields & { readonly _tag: "Fail" })
  | (Lease & {
      readonly _tag: "Release"
      readonly reason: string
      /** The usage until then. */
      readonly attemptUsage?: Usage | undefined
      readonly committed?: Amount | undefined
      readonly usage?: Usage | undefined
    })

/** The leases of a call that were no longer current: nothing was written for them. */
export interface FencedReply {
  readonly lost: ReadonlyArray<LostLease>
}

/** A lease that is no longer current, and the status of its task after the call, if the task exists. */
export interface LostLease extends Lease {
  readonly status?: TaskStatus | undefined
}

export interface SweepOptions extends QueueOptions {
  /** Tasks with this many attempts used go to the dead-letter queue instead of pending; a task's own `maxAttempts` comes first. */
  readonly maxAttempts: number
  /** `dead-letter`: work that must not run twice goes to the dead-letter queue at once. */
  readonly onCrash: "retry" | "dead-letter"
}

export interface SweptTask extends Lease {
  readonly status: "pending" | "failed"
  readonly owner: string
  /** The attempts used. */
  readonly attempts: number
  /** Whether the attempt had started, and so counts. */
  readonly started: boolean
}

export interface ListQuery {
  readonly status?: TaskStatus | undefined
  readonly queue?: string | undefined
  /** Only tasks whose id or description contains this text, in upper or lower case. */
  readonly text?: string | undefined
  /** Only tasks that have all of these metadata keys, with these values. */
  readonly metadata?: Metadata | undefined
  /** Only tasks that changed at this time or later. */
  readonly updatedSince?: DateTime.Utc | undefined
  /** Whether tasks have their results, which can be large: without them, every `result` is absent. Default true. */
  readonly results?: boolean | undefined
  /** Default 100. */
  readonly limit?: number | undefined
  /** The `next` of the previous page. */
  readonly cursor?: string | undefined
}

export interface TaskPage {
  readonly tasks: ReadonlyArray<Task>
  /** The cursor of the next page. Absent on the last page. */
  readonly next?: string | undefined
}

export interface DumpQuery {
  /** Only tasks of this queue. */
  readonly queue?: string | undefined
  /** Default 100. */
  readonly limit?: number | undefined
  /** The `next` of the previous page. */
  readonly cursor?: string | undefined
}

export interface RecordPage {
  readonly records: ReadonlyArray<TaskRecord>
  /** The cursor of the next page. Absent on the last page. */
  readonly next?: string | undefined
}

/**
 * The number of tasks per status.
 *
 * @category models
 * @since 0.1.0
 */
export const Counts = Schema.Struct({
  pending: Schema.Int,
  in_progress: Schema.Int,
  in_review: Schema.Int,
  completed: Schema.Int,
  failed: Schema.Int,
  cancelled: Schema.Int,
  /** The pending tasks that wait for another task to complete. */
  waiting: Schema.Int
})

/** @since 0.1.0 */
export interface Counts extends Schema.Schema.Type<typeof Counts> {}

/** The tasks of one queue. */
export interface QueueCounts extends Counts {
  readonly queue: string
  /** The usage of all tasks of the queue; absent if nothing was metered. */
  readonly usage?: Usage | undefined
}

/**
 * A worker with tasks in progress in a queue. A worker that has none is not known.
 *
 * @category models
 * @since 0.2.0
 */
export const Worker = Schema.Struct({
  queue: QueueName,
  /** The `owner` of its claims. */
  name: Schema.String,
  /** The number of tasks that it works on. */
  running: Schema.Int,
  /** The number of tasks that it has claimed and not started. */
  claimed: Schema.Int,
  /** When the first of its running tasks started; absent without any. */
  since: Schema.optionalKey(Schema.DateTimeUtcFromString),
  /** Whether all of its leases have expired: it has stopped responding, and the next `sweep` ends its attempts. */
  isLost: Schema.Boolean
})

/** @since 0.2.0 */
export interface Worker extends Schema.Schema.Type<typeof Worker> {}

/** Which tasks to act on: by id, or all with a status, in one queue or in all. */
export type Selection =
  | { readonly ids: ReadonlyArray<string> }
  | { readonly status: TaskStatus; readonly queue?: string | undefined }

/** A change of a task that no worker holds. */
export interface Revision {
  readonly taskId: TaskId
  /** What takes the place of the task's description, payload, overrides and metadata; undefined keeps them. */
  readonly work?: Pick<NewTask, "description" | "payload" | "overrides" | "metadata"> | undefined
  /** Why the task has to be done again, for its next attempt, which also gets the last output. Without it, the feedback is removed. */
  readonly feedback?: string | undefined
  /** The token of the task's last attempt: a task that was claimed since then does not change. Undefined for any. */
  readonly token?: LeaseToken | undefined
}

export interface ReviseOptions {
  /** Only tasks with one of these statuses. Default: all but those in progress. */
  readonly from?: ReadonlyArray<Exclude<TaskStatus, "in_progress">> | undefined
}

export interface PruneOptions {
  readonly statuses: ReadonlyArray<"completed" | "failed" | "cancelled">
  /** Only tasks that have not changed for this long. */
  readonly olderThan?: Duration.Duration | undefined
  /** Only these. */
  readonly ids?: ReadonlyArray<string> | undefined
  /** Only tasks of this queue. Not together with `ids`. */
  readonly queue?: string | undefined
}

/** @since 0.1.0 */
export type WorkSignal = "claimable" | "drained"

/** @since 0.1.0 */
export type ControlRequest = "pause" | "resume" | "stop"

/** The control state that all runs on a store share. */
export interface Control {
  /** Grows with every request and with every cancellation of a running task. */
  readonly revision: number
  readonly paused: boolean
  /** The number of stop requests; a run ends when it sees this grow. */
  readonly stops: number
}

/**
 * A store in the memory of this process: for tests, for experiments, and for work that need not survive the process.
 *
 * @category layers
 * @since 0.1.0
 */
// A program that imports other things of this module, such as a client in a browser, does not bundle the store.
export const layerMemory: Layer.Layer<TaskStore> = /* @__PURE__ */ Layer.suspend(() =>
  Layer.effect(
    TaskStore,
    Effect.map(Effect.flatMap(MemoryDriver.make(Table.make()), Service.make), ({ store }) => store)
  )
)

/**
 * The part of a store that is in these queues, as a store. Tasks of other queues do not exist in it: a list or a selection
 * that names another queue finds nothing, and a task, a budget, a pause or a concurrency of another queue is refused.
 *
 * The part of a single queue calls its tasks as the queue does: `1` instead of `prompts/1`. Dependencies are in the same
 * queue. A run on it, its executor, its events and its hooks know only these names.
 *
 * @category combinators
 * @since 0.1.0
 */
export const inQueues: (
  store: TaskStore["Service"],
  queues: readonly [string, ...ReadonlyArray<string>]
) => TaskStore["Service"] = InQueues.make
