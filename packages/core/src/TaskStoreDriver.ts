/**
 * The contract of a store's author: transitions over plain rows, each of them one atomic statement or script over a
 * batch. {@link make} builds the `TaskStore` service from a driver.
 *
 * The driver knows the database: where rows are stored, how they are locked, and the current time. Everything that is the
 * same for all stores is implemented here: encoding and decoding, cursors, cycles and refusals, splitting of batches, the
 * distinction between lost leases and lost answers, waiting and wake-ups, and error messages.
 *
 * **Guarantees a driver gives**
 *
 * - Each method is atomic: it changes all that it says, or nothing. When it returns, its change is durable.
 * - A write under a lease changes a row only if the row is in progress and its token is the lease's token.
 * - A token is greater than every earlier token of the same id, also after the id was pruned and added again.
 * - The statuses that a change leads from and to come from `TaskState.transition`. The driver applies them and adds none.
 *
 * Delivery is at-least-once: a task is executed again when its lease expires. At most one result per lease is accepted.
 *
 * **Strings and documents**
 *
 * Every string that a driver gets is valid Unicode without U+0000, so any database can hold it. Documents (executions,
 * verifications, usage, metadata) are JSON texts without line breaks. A driver stores both without looking at them.
 *
 * **Rows**
 *
 * A driver returns rows as its database returns them. A number may be a `number`, a `bigint` or a decimal string, a time
 * epoch milliseconds or a `Date`, a truth value a boolean or 0 and 1. A value of another kind fails the operation as
 * `Unusable`, with a message that names the column.
 *
 * Hold a driver against the suite in `@baton/core/testing`. `examples/custom-store` in the repository is a complete driver.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as service from "./internal/store/service.ts"
import type { AttemptOutcome } from "./Attempt.ts"
import type { BatchJournalDriver } from "./BatchJournal.ts"
import type { Amount, Budget } from "./Budget.ts"
import type { PauseCause } from "./QueuePause.ts"
import type { TaskStatus } from "./Task.ts"
import type { ControlRequest, TaskStore } from "./TaskStore.ts"
import type { TaskStoreError } from "./TaskStoreError.ts"
import type { UsageSum } from "./UsageSum.ts"

/**
 * A store's access to its database. Methods fail with a `TaskStoreError` that names the place and the way out.
 *
 * @category services
 * @since 0.1.0
 */
export interface TaskStoreDriver {
  /** Names the place in messages, as the subject of a sentence: `The SQLite file tasks.db`. */
  readonly place: string

  readonly limits?: Limits | undefined

  /** Whether the driver supports concurrency keys. Without them, tasks that have a key are refused. Default false. */
  readonly concurrencyKeys?: boolean | undefined

  /**
   * Adds tasks whose ids are new; a task whose id exists is not changed. Adds nothing when the reply names a conflict or
   * an unknown dependency, or with `checkOnly`. Each id occurs once in a call. All tasks of a call are added in one write.
   */
  readonly add: (
    tasks: ReadonlyArray<NewTaskRow>,
    options: { readonly checkOnly: boolean }
  ) => Effect.Effect<AddReply, TaskStoreError>

  /**
   * Claims up to `limit` tasks of a queue: pending, `availableAt` reached, all dependencies completed; higher priority first, then
   * tasks that have had an attempt, then the one available for longest, then the one added first. Each becomes in progress under the next token, with one more
   * attempt. The first `started` of them, in this order, are started, the others are not. Tasks that another call is
   * claiming at the same moment are passed over. Never waits.
   *
   * With `concurrencyKeys`, at most `maxPerKey` tasks of a queue with the same key are in progress at a time. Within a priority,
   * keys wait in a line: a key enters it at the end when it gets its first pending task that waits for no other, and goes to
   * the end whenever one of its tasks is claimed. The next task is the first one of the first key in the line that is not
   * busy, or the first one without a key, whichever comes first in this order. A task that is not available yet, or waits for
   * another, does not hold up its key.
   *
   * When calls named in `unanswered` have claimed tasks for this owner that are still in progress under that claim, returns
   * those, with a new lease and nothing else but whether they are started, up to `limit`; they are then claimed by this call. A driver that cannot lose an answer ignores this.
   */
  readonly claim: (options: ClaimRequest) => Effect.Effect<ReadonlyArray<ClaimRow>, TaskStoreError>

  /** Saves outputs of attempts that are under way. Each task occurs once in a call. Returns the leases that were lost. */
  readonly checkpoint: (
    checkpoints: ReadonlyArray<CheckpointRow>
  ) => Effect.Effect<ReadonlyArray<LostLeaseRow>, TaskStoreError>

  /**
   * Ends attempts: changes the task, writes the ledger, and frees dependants of completed tasks, in one write. Each task
   * occurs once in a call. Returns the leases that were lost. A driver with `budgets` commits what the attempts spent.
   *
   * With `decide`, an attempt can end as `in_review`. The ledger keeps its execution, verification and usage, and the task
   * has no lease from then on.
   */
  readonly settle: (
    settlements: ReadonlyArray<SettlementRow>
  ) => Effect.Effect<ReadonlyArray<LostLeaseRow>, TaskStoreError>

  /**
   * Marks the attempts as started now, unless they are already. Each task occurs once in a call. Returns the leases that were
   * lost. Leave it out in a driver that treats each claimed task as started, whatever `started` says.
   */
  readonly start?:
    | ((leases: ReadonlyArray<LeaseRow>) => Effect.Effect<ReadonlyArray<LostLeaseRow>, TaskStoreError>)
    | undefined

  /** Sets the end of leases to `leaseMillis` from now. Each task occurs once in a call. Returns the leases that were lost. */
  readonly extend: (
    leases: ReadonlyArray<LeaseRow>,
    leaseMillis: number
  ) => Effect.Effect<ReadonlyArray<LostLeaseRow>, TaskStoreError>

  /**
   * Ends up to `limit` attempts of a queue whose lease has expired. The expiry is checked in the write itself. An attempt that
   * has started ends as `lease_expired`, and the task becomes pending or failed. One that has not ends as `released`, and the
   * task becomes pending with `notStarted.attemptsReturned` attempts less.
   */
  readonly sweep: (options: SweepRequest) => Effect.Effect<ReadonlyArray<SweptRow>, TaskStoreError>

  /** The tasks with these ids, each once, in any order, without those that do not exist. */
  readonly get: (ids: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<TaskRow>, TaskStoreError>

  /**
   * Up to `limit` tasks with a `seq` greater than `after`, by `seq`; those of one queue, with one status, or all. Without
   * `results`, nothing reads the executions: a driver that can leaves them out, because they can be large.
   *
   * `contains` is null except in a search. A driver that can search leaves out the tasks whose id and description do not
   * contain it, after it made the letters A to Z in them lower case. The driver chooses how many tasks it examines, and always
   * returns the last of them, after which the next page begins. No tasks mean that there are no more.
   */
  readonly list: (
    page: Page & {
      readonly status: TaskStatus | null
      readonly queue: string | null
      readonly results: boolean
      readonly contains: string | null
    }
  ) => Effect.Effect<ReadonlyArray<TaskRow>, TaskStoreError>

  /** The ledger of a task, oldest attempt first, the one under way included. Empty for an unknown id. */
  readonly attempts: (id: string) => Effect.Effect<ReadonlyArray<AttemptRow>, TaskStoreError>

  /**
   * The number of tasks per status and the sum of their usage, a row for each queue that has tasks. `UsageSum` says what it
   * adds up.
   *
   * Takes as long for ten million tasks as for ten: keep both in counters, which change in the write that changes a task.
   * `settle` and `checkpoint` replace the usage of a task, `restore` adds some and `prune` deletes some.
   */
  readonly counts: Effect.Effect<ReadonlyArray<CountsRow>, TaskStoreError>

  /** The owners of tasks in progress: a row for each queue and each owner of tasks in it. */
  readonly workers: Effect.Effect<ReadonlyArray<WorkerRow>, TaskStoreError>

  /** Puts the selected tasks whose status is in `from` back to pending, available now, with no attempts used. */
  readonly requeue: (
    selection: SelectionRow,
    change: { readonly from: ReadonlyArray<TaskStatus> }
  ) => Effect.Effect<ChangeReply, TaskStoreError>

  /**
   * Cancels the selected tasks whose status is in `from`. An attempt under way ends as `cancelled` with `reason`, its lease
   * with it, and the control revision grows.
   */
  readonly cancel: (
    selection: SelectionRow,
    change: { readonly from: ReadonlyArray<TaskStatus>; readonly reason: string }
  ) => Effect.Effect<ChangeReply, TaskStoreError>

  /**
   * Puts tasks whose status is in `from` back to pending, with no attempts used and one more requeue: they get the feedback
   * of their row, null included, and its work where there is some. Pending tasks keep their `availableAt`, others are available
   * now. Result, checkpoint and `verified` are cleared; ledger, token and usage stay, and so does the freedom of dependants.
   * The attempt that completed a task is the last of its ledger. Each task occurs once in a call. Returns the ids that changed.
   *
   * A driver without it cannot change the work of a task: then the store refuses to.
   */
  readonly revise?:
    | ((
        revisions: ReadonlyArray<RevisionRow>,
        change: { readonly from: ReadonlyArray<TaskStatus> }
      ) => Effect.Effect<ReadonlyArray<string>, TaskStoreError>)
    | undefined

  /**
   * Fails those of these tasks whose status is in `from` and that wait for a task which has not completed. They get the
   * feedback; attempts, dependencies and ledger stay. Returns the ids that changed. A driver without it cannot fail the
   * dependents of failed tasks: then the store refuses to.
   */
  readonly failWaiting?:
    | ((
        ids: ReadonlyArray<string>,
        change: { readonly from: ReadonlyArray<TaskStatus>; readonly feedback: string }
      ) => Effect.Effect<ReadonlyArray<string>, TaskStoreError>)
    | undefined

  /**
   * Deletes the selected tasks whose status is in `from`, with ledgers and dependencies, if they have not changed for
   * `unchangedMillis`. Keeps those that pending tasks wait for: they would wait forever.
   */
  readonly prune: (
    selection: SelectionRow,
    change: { readonly from: ReadonlyArray<TaskStatus>; readonly unchangedMillis: number | null }
  ) => Effect.Effect<ChangeReply, TaskStoreError>

  /**
   * When there is something to do next in a queue, and the control state, seen at one moment. A task of a key with `maxPerKey`
   * tasks in progress is nothing to do: or its workers would claim in vain, again and again.
   */
  readonly outlook: (queue: string, maxPerKey: number) => Effect.Effect<OutlookRow, TaskStoreError>

  readonly control: Effect.Effect<ControlRow, TaskStoreError>

  /** Makes a request to all runs on this store. The revision grows, and `stops` with a stop. */
  readonly request: (request: ControlRequest) => Effect.Effect<ControlRow, TaskStoreError>

  /**
   * Up to `limit` tasks with a `seq` greater than `after`, by `seq`, with everything that is known of each at one moment; those
   * of one queue, or of all if it is null.
   */
  readonly dump: (
    page: Page & { readonly queue: string | null }
  ) => Effect.Effect<ReadonlyArray<RecordRow>, TaskStoreError>

  /**
   * Adds tasks as they were in another store, in one write. Adds nothing when ids are present, and returns these. A task in
   * progress gets a lease that has expired. Dependants of tasks that are restored as completed are freed.
   */
  readonly restore: (records: ReadonlyArray<RestoreRow>) => Effect.Effect<ReadonlyArray<string>, TaskStoreError>

  /**
   * How long a worker waits whose claim found nothing although a task looked claimable: another call may have locked it. For
   * drivers whose `claim` passes over locked rows. Default: not at all.
   */
  readonly contendedPause?: Duration.Input | undefined

  /** What other processes change. Without it, only changes of this process wake waiting fibers before the poll interval. */
  readonly notifications?: Notifications | undefined

  /** The budgets of queues. A driver without this field keeps none: then a run can only limit itself. */
  readonly budgets?: Budgets | undefined

  /**
   * Ends reviews. A driver without this field never gets a settlement with the status `in_review`.
   *
   * Each row is about a task in review whose last attempt has this token. Replaces the outcome, error, execution and
   * verification of that attempt, which then ends now, and changes the task as a settlement with the same fields does; a
   * task that becomes pending is available now. Attempts, usage and budgets stay. Each task occurs once in a call. Returns
   * the rows that changed nothing.
   */
  readonly decide?:
    | ((decisions: ReadonlyArray<DecisionRow>) => Effect.Effect<ReadonlyArray<LostLeaseRow>, TaskStoreError>)
    | undefined

  /**
   * Replaces the verification of the attempt with this token, which is completed, retried or failed, if it still is `before`.
   * Nothing else of the attempt or its task changes. Returns whether it was replaced. Belongs to `decide`: a driver has both
   * or neither.
   */
  readonly amend?: ((amendment: AmendmentRow) => Effect.Effect<boolean, TaskStoreError>) | undefined

  /** The pauses of queues. A driver without this field keeps none: then only all runs of the store can be paused. */
  readonly pauses?: Pauses | undefined

  /** The progress of attempts under way. A driver without this field keeps none. */
  readonly progress?: Progress | undefined

  /**
   * Texts that processes share. A driver without this field keeps none: then the concurrency of running workers cannot be set,
   * and each process uses the rate limits of an API as if it were alone.
   */
  readonly texts?: Texts | undefined

  /** The journal of batches. A driver without this field keeps none: then requests cannot be sent in batches. */
  readonly batches?: BatchJournalDriver | undefined
}

/**
 * The latest progress of attempts under way, as a text that core writes and reads.
 *
 * @category models
 * @since 0.2.0
 */
export interface Progress {
  /**
   * Saves the progress of the attempts whose leases are current, in place of the reports before. Each task occurs once in a
   * call. The reports of attempts that have ended may be deleted.
   */
  readonly save: (rows: ReadonlyArray<ProgressRow>) => Effect.Effect<void, TaskStoreError>

  /** What the attempt of a task that is under way has saved; null when it has saved nothing, or when none is under way. */
  readonly read: (id: string) => Effect.Effect<Column, TaskStoreError>
}

/** @since 0.2.0 */
export interface ProgressRow extends LeaseRow {
  readonly text: string
}

/**
 * Short texts that core writes and reads, by name. They outlive tasks and processes.
 *
 * @category models
 * @since 0.2.0
 */
export interface Texts {
  /** The text that was written last; null when there is none. */
  readonly read: (name: string) => Effect.Effect<Column, TaskStoreError>

  /**
   * Replaces the text if it is still `before`, null for none. Returns whether it was. Then, with `isControl`, the control
   * revision grows.
   */
  readonly write: (text: TextChange) => Effect.Effect<boolean, TaskStoreError>
}

/** @since 0.2.0 */
export interface TextChange {
  readonly name: string
  readonly before: string | null
  readonly text: string
  readonly isControl: boolean
}

/**
 * The pauses of queues. A queue has at most one, which outlives the tasks of the queue.
 *
 * **Guarantees a driver gives**
 *
 * - `claim` claims what `QueuePause.claimable` says, as decided in the write that claims: nothing from a queue that is paused,
 *   and one task as the probe of a usage limit. With a probe it sets the `probeUntil` of the pause to the end of the new lease
 * - `outlook` reports nothing to claim before `QueuePause.endOf`. A queue with pending tasks is not drained by a pause
 * - The end of a pause that was requested needs no write
 *
 * @category models
 * @since 0.2.0
 */
export interface Pauses {
  readonly list: Effect.Effect<ReadonlyArray<PauseRow>, TaskStoreError>

  /** Makes or changes the pause of a queue, as `QueuePause.after` says. The control revision grows, and identifies the pause. */
  readonly set: (change: PauseChange) => Effect.Effect<PauseRow, TaskStoreError>

  /**
   * Ends the pause of a queue; with a `revision`, only if it still is that pause. Returns whether there was one. The control
   * revision grows if there was.
   */
  readonly remove: (queue: string, revision: number | null) => Effect.Effect<boolean, TaskStoreError>
}

/** @since 0.2.0 */
export interface PauseChange {
  readonly queue: string
  readonly cause: PauseCause
  /** Epoch milliseconds; null: until the queue is resumed. */
  readonly until: number | null
  readonly reason: string
}

/**
 * A pause as its row is.
 *
 * @category models
 * @since 0.2.0
 */
export interface PauseRow {
  readonly queue: Column
  readonly cause: Column
  readonly until: Column
  readonly probeUntil: Column
  readonly reason: Column
  readonly revision: Column
}

/**
 * The budgets of queues: limits, committed and reserved amounts. A budget exists from its first `set` on, and outlives the
 * tasks of its queue.
 *
 * **Guarantees a driver gives**
 *
 * - Nothing is reserved that would make `committed + reserved` exceed a limit. The write that reserves checks it
 * - `settle` adds the rest of the attempt's `spent` to the budget's committed amount, and frees its reservation. `sweep` and
 *   `cancel` commit the reservation of a lease that they end. All of them do so in the write that ends the lease
 * - In a queue without a budget, nothing is counted
 *
 * @category models
 * @since 0.2.0
 */
export interface Budgets {
  /**
   * Sets what attempts have spent and reserved under their leases. Each task occurs once in a call. Rows are carried out in
   * their order: each sets the committed and the held amount of its lease, and then reserves `wanted` on top, if that fits.
   * When it does not fit, later rows of the same queue reserve nothing either, so that small calls do not overtake a large
   * one. Repeating a call changes nothing.
   */
  readonly reserve: (spending: ReadonlyArray<SpendingRow>) => Effect.Effect<ReserveReply, TaskStoreError>

  /** The budgets of all queues that have one. */
  readonly list: Effect.Effect<ReadonlyArray<BudgetRow>, TaskStoreError>

  /** Makes a budget, or changes it. Fields that are left out stay. The control revision grows. Returns the budget. */
  readonly set: (queue: string, change: BudgetChange) => Effect.Effect<BudgetRow, TaskStoreError>
}

/** @since 0.2.0 */
export interface SpendingRow extends LeaseRow {
  /** The amount that the attempt has spent so far. A smaller amount than before counts as the same. */
  readonly committed: Amount
  /** The amount reserved for calls that are under way. */
  readonly held: Amount
  /** The additional amount that it asks for. */
  readonly wanted: Amount
}

/** @since 0.2.0 */
export interface ReserveReply {
  readonly lost: ReadonlyArray<LostLeaseRow>
  /** The places in the call of the rows that reserved nothing although they wanted to. */
  readonly refused: ReadonlyArray<number>
  /** The budgets of the queues of the rows after the call. */
  readonly budgets: ReadonlyArray<BudgetRow>
}

/**
 * A budget as its row is. Money is in whole nano-dollars.
 *
 * @category models
 * @since 0.2.0
 */
export interface BudgetRow {
  readonly queue: Column
  /** Null for no limit. */
  readonly limitNanoUsd: Column
  /** Null for no limit. */
  readonly limitTokens: Column
  readonly committedNanoUsd: Column
  readonly committedTokens: Column
  readonly reservedNanoUsd: Column
  readonly reservedTokens: Column
}

/**
 * The row of a budget, for drivers that compute budgets in JavaScript.
 *
 * @category constructors
 * @since 0.2.0
 */
export const budgetRow = ({ committed, limit, queue, reserved }: Budget): BudgetRow => ({
  queue,
  limitNanoUsd: limit.nanoUsd ?? null,
  limitTokens: limit.tokens ?? null,
  committedNanoUsd: committed.nanoUsd,
  committedTokens: committed.tokens,
  reservedNanoUsd: reserved.nanoUsd,
  reservedTokens: reserved.tokens
})

/** @since 0.2.0 */
export interface BudgetChange {
  /** Null for no limit. */
  readonly limitNanoUsd?: number | null
  /** Null for no limit. */
  readonly limitTokens?: number | null
  readonly committed?: Amount
}

/**
 * How much one call of a driver takes. Larger batches are split, except for `add` and `restore`, which are one write.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limits {
  /** Rows that one call gets or returns. Default 1 000. */
  readonly rows?: number | undefined
  /** Characters of text in one call, a single row aside. Default 16 million. */
  readonly characters?: number | undefined
  /** Tasks that one `add` should get, for programs that add long lists. Default: any number. */
  readonly added?: number | undefined
  /** Tasks that one call selects by status or sweeps; other processes write in between. Default 1 000. */
  readonly selected?: number | undefined
  /** Bytes of an id in UTF-8; longer ones are refused. Default: any number. */
  readonly idBytes?: number | undefined
}

/**
 * How a driver learns of changes by other processes, and makes its own known to them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Notifications {
  /**
   * Runs while fibers wait, from the first wait on. A stream that ends or fails is started again after a pause. Emit
   * `listening` once changes are seen from then on.
   */
  readonly changes: Stream.Stream<Notification, TaskStoreError>
  /** Makes changes of this process known. Called after writes, gathered. Leave it out when the writes do that themselves. */
  readonly publish?:
    | ((kinds: ReadonlyArray<"work" | "control" | "settled">) => Effect.Effect<void, TaskStoreError>)
    | undefined
  /** How long a waiting fiber waits before it checks by itself: while `changes` is listening, and while it is not. */
  readonly pollInterval: { readonly listening: Duration.Input; readonly disconnected: Duration.Input }
  /** The minimum time between two checks of one waiting fiber. Default: none. */
  readonly rest?: Duration.Input | undefined
}

/**
 * - `listening`: from now on changes are seen
 * - `work`: something may be claimable, expired or drained, now or after `delayMillis`
 * - `control`: the control revision may have grown
 * - `settled`: tasks may have been completed, failed, cancelled or deleted. Every `work` says so too
 *
 * @category models
 * @since 0.1.0
 */
export interface Notification {
  readonly kind: "listening" | "work" | "control" | "settled"
  readonly delayMillis?: number | undefined
}

/**
 * A value as a driver read it.
 *
 * @category models
 * @since 0.1.0
 */
export type Column = unknown

/** @since 0.1.0 */
export interface NewTaskRow {
  readonly id: string
  readonly queue: string
  readonly description: string
  /** A JSON text; null when the task has none. */
  readonly payload: string | null
  /** A JSON object; null when it is empty. */
  readonly overrides: string | null
  /** The `maxAttempts` of `overrides`, for the sweep; null when there is none. */
  readonly maxAttempts: number | null
  /** A JSON object; null when it is empty. */
  readonly metadata: string | null
  readonly priority: number
  /** Epoch milliseconds; null for now. */
  readonly availableAt: number | null
  /** The dependencies as the task was given them, a JSON array; null when there are none. */
  readonly dependsOn: string | null
  /** The ids that the task depends on, each once. */
  readonly dependencies: ReadonlyArray<string>
  /** Null when the task has none. */
  readonly concurrencyKey: string | null
}

/** What a task is about. */
export interface WorkRow extends Pick<
  NewTaskRow,
  "description" | "payload" | "overrides" | "maxAttempts" | "metadata"
> {}

/** @since 0.2.0 */
export interface RevisionRow {
  readonly id: string
  /** The last token that the task gave out; null for any. A task with another one does not change. */
  readonly token: number | null
  /** Null keeps the work. */
  readonly work: WorkRow | null
  readonly feedback: string | null
}

/** @since 0.1.0 */
export interface AddReply {
  /** Ids that were present. */
  readonly existing: ReadonlyArray<string>
  /**
   * Those of `existing` whose task is another one: it is in another queue, has another payload, or, where neither has a
   * payload, another description.
   */
  readonly conflicts: ReadonlyArray<string>
  /**
   * The other ones of `existing` whose task has another description, priority or concurrency key, or other metadata, overrides
   * or dependencies than in this call. Texts in JSON are compared as they are.
   */
  readonly different: ReadonlyArray<string>
  /** Dependencies of new tasks that are missing from both the store and this call. */
  readonly unknown: ReadonlyArray<{ readonly id: string; readonly dependency: string }>
}

/** @since 0.1.0 */
export interface ClaimRequest {
  readonly queue: string
  readonly limit: number
  readonly owner: string
  readonly leaseMillis: number
  /** How many tasks with the same concurrency key may be in progress at a time. */
  readonly maxPerKey: number
  /** Identifies this call, so that a later call can ask for its claims. */
  readonly call: number
  /** Calls of this owner whose answers never arrived. */
  readonly unanswered: ReadonlyArray<number>
  /** How many of the claimed tasks are started. */
  readonly started: number
}

/**
 * A task as its row is.
 *
 * @category models
 * @since 0.1.0
 */
export interface TaskRow {
  /** Grows in the order of adding, and is never used again: the cursor. */
  readonly seq: Column
  readonly id: Column
  readonly queue: Column
  readonly description: Column
  readonly payload: Column
  readonly overrides: Column
  readonly status: Column
  readonly attempts: Column
  readonly metadata: Column
  readonly priority: Column
  readonly availableAt: Column
  readonly dependsOn: Column
  /** Left out by a driver without `concurrencyKeys`. */
  readonly concurrencyKey?: Column
  readonly feedback: Column
  readonly verified: Column
  readonly requeues: Column
  readonly usage: Column
  readonly createdAt: Column
  readonly updatedAt: Column
  /** When the attempt under way started; null while it has not, and when there is none. */
  readonly startedAt: Column
  /** The execution of the attempt that completed the task; read only of completed tasks. */
  readonly execution: Column
}

/** A task after its claim. */
export interface ClaimRow extends Omit<TaskRow, "status" | "execution" | "verified" | "startedAt"> {
  readonly token: Column
  readonly checkpoint: Column
  /** The execution of the last attempt that was retried, failed or completed. */
  readonly previousExecution: Column
  /** The `revision` of the pause whose probe this claim is. */
  readonly probes?: Column
}

/** @since 0.1.0 */
export interface LeaseRow {
  readonly id: string
  readonly token: number
}

/** @since 0.1.0 */
export interface CheckpointRow extends LeaseRow {
  /** It is the attempt's output, and becomes the task's checkpoint if the attempt ends without a settlement. */
  readonly execution: string
  /** What this execution alone used; what the ledger shows for an attempt that ends without a settlement. */
  readonly executionUsage: string | null
  /** What all attempts of the task used. */
  readonly usage: string | null
}

/**
 * What a settlement writes. `completed`, `retried`, `failed` and `in_review` write every column. `released` keeps feedback and
 * checkpoint, keeps `usage` where it is null, and takes execution and usage of the ledger's row from what the attempt has
 * checkpointed.
 *
 * @category models
 * @since 0.1.0
 */
export interface SettlementRow extends LeaseRow {
  /** How the ledger says the attempt ended. */
  readonly outcome: "completed" | "retried" | "failed" | "released" | "in_review"
  /** The task's next status. */
  readonly status: "completed" | "pending" | "failed" | "in_review"
  /** How many attempts are given back to the task. */
  readonly attemptsReturned: 0 | 1
  /** The task becomes available after this many milliseconds; null keeps its `availableAt`. */
  readonly availableInMillis: number | null
  /** The error in the ledger. */
  readonly error: string | null
  readonly feedback: string | null
  readonly verified: boolean
  readonly execution: string | null
  readonly verification: string | null
  /** What this attempt used. */
  readonly attemptUsage: string | null
  /** What all attempts of the task used. */
  readonly usage: string | null
  readonly checkpoint: string | null
  /** What this attempt spent in all, for the budget of its queue. It includes what `reserve` has committed. */
  readonly spent: Amount
}

/**
 * What a decision about a task in review writes. The token is that of the attempt in review.
 *
 * @category models
 * @since 0.2.0
 */
export interface DecisionRow extends LeaseRow {
  /** How the ledger says the attempt ended. */
  readonly outcome: "completed" | "retried" | "failed"
  /** The task's next status. */
  readonly status: "completed" | "pending" | "failed"
  /** The error in the ledger. */
  readonly error: string | null
  readonly feedback: string | null
  readonly verified: boolean
  readonly execution: string | null
  readonly verification: string
  /** What the attempt used, which the ledger has already. */
  readonly attemptUsage: string | null
}

/** @since 0.2.0 */
export interface AmendmentRow extends LeaseRow {
  /** The verification as `attempts` returned it. */
  readonly before: string
  readonly verification: string
}

/** A lease that was not current: nothing was written for it. */
export interface LostLeaseRow {
  /** Its place in the call. */
  readonly index: number
  /** The task's status now; null when the task does not exist. */
  readonly status: Column
  /**
   * How the ledger says that the attempt under this id and token ended; null where that is not known or not kept. A
   * driver that cannot lose an answer returns null.
   */
  readonly outcome: Column
}

/** @since 0.1.0 */
export interface SweepRequest {
  readonly queue: string
  /**
   * Tasks with this many attempts or more become failed, others pending. The `maxAttempts` of a task takes its place, unless
   * it is 0: then all become failed.
   */
  readonly failFromAttempts: number
  readonly limit: number
  /** The error in the ledger, and the feedback of tasks that fail: the owner goes between the two. */
  readonly message: { readonly beforeOwner: string; readonly afterOwner: string }
  /** For attempts that have not started: the same, and how many attempts are given back. */
  readonly notStarted: {
    readonly message: { readonly beforeOwner: string; readonly afterOwner: string }
    readonly attemptsReturned: 0 | 1
  }
}

/** @since 0.1.0 */
export interface SweptRow {
  readonly id: Column
  readonly token: Column
  readonly status: Column
  readonly owner: Column
  readonly attempts: Column
  /** Whether the attempt had started. */
  readonly started: Column
}

/** @since 0.1.0 */
export interface AttemptRow {
  readonly number: Column
  readonly token: Column
  readonly owner: Column
  /** When it started; when it was claimed, for one under way that has not; when it ended, for one that never did. */
  readonly startedAt: Column
  readonly endedAt: Column
  /** `running` for the attempt under way, or `claimed` while it has not started. */
  readonly outcome: Column
  readonly error: Column
  readonly execution: Column
  readonly verification: Column
  readonly usage: Column
}

/** @since 0.1.0 */
export interface CountsRow extends Readonly<Record<keyof UsageSum, Column>> {
  readonly queue: Column
  readonly pending: Column
  readonly in_progress: Column
  /** Left out by a driver without `decide`. */
  readonly in_review?: Column
  readonly completed: Column
  readonly failed: Column
  readonly cancelled: Column
  readonly waiting: Column
}

/** @since 0.2.0 */
export interface WorkerRow {
  readonly queue: Column
  readonly owner: Column
  /** The number of its tasks that are started. */
  readonly running: Column
  /** The number of its tasks that are claimed and not started. */
  readonly claimed: Column
  /** When the first of those that are started did; null without any. */
  readonly startedAt: Column
  /** In how many milliseconds the last of its leases ends; 0 or less if all have expired. */
  readonly leaseEndsInMillis: Column
}

/** Part of all tasks by `seq`. */
export interface Page {
  readonly after: number
  readonly limit: number
}

/** Tasks by their ids, each once, or the next part of all tasks with a status, of one queue or of all. */
export type SelectionRow =
  | { readonly ids: ReadonlyArray<string> }
  | (Page & { readonly status: TaskStatus; readonly queue: string | null })

/** @since 0.1.0 */
export interface ChangeReply {
  /** The tasks that changed. */
  readonly ids: ReadonlyArray<string>
  /** How many of them were in progress. */
  readonly interrupted: number
  /** The greatest `seq` that this part has looked at; null when there are no more tasks, or for a selection by ids. */
  readonly last: number | null
}

/** @since 0.1.0 */
export interface ControlRow {
  readonly revision: Column
  readonly paused: Column
  readonly stops: Column
}

/** @since 0.1.0 */
export interface OutlookRow extends ControlRow {
  /** In how many milliseconds something becomes claimable or a lease expires; 0 or less for now, null for never. */
  readonly dueInMillis: Column
  /** No task of the queue is in progress, and none of its pending tasks becomes claimable by itself. */
  readonly drained: Column
}

/** @since 0.1.0 */
export interface RecordRow extends TaskRow {
  /** The last token that was given out; 0 when there was none. */
  readonly token: Column
  /** When the lease of a task in progress ends. */
  readonly leaseUntil: Column
  readonly checkpoint: Column
  /** The dependencies that have yet to complete. */
  readonly waitsFor: ReadonlyArray<Column>
  readonly attemptRows: ReadonlyArray<AttemptRow>
}

/** @since 0.1.0 */
export interface RestoreRow {
  readonly id: string
  readonly queue: string
  readonly description: string
  readonly payload: string | null
  readonly overrides: string | null
  readonly maxAttempts: number | null
  readonly status: TaskStatus
  readonly attempts: number
  readonly metadata: string | null
  readonly priority: number
  readonly availableAt: number
  readonly dependsOn: string | null
  readonly concurrencyKey: string | null
  readonly feedback: string | null
  readonly verified: boolean
  readonly requeues: number
  readonly usage: string | null
  readonly createdAt: number
  readonly updatedAt: number
  readonly token: number
  readonly checkpoint: string | null
  /** Ids that the task waits for, each once, whether they are present or not. */
  readonly waitsFor: ReadonlyArray<string>
  /** Oldest first. The one under way has no end. */
  readonly attemptRows: ReadonlyArray<RestoreAttemptRow>
}

/** @since 0.1.0 */
export interface RestoreAttemptRow {
  readonly number: number
  readonly token: number
  readonly owner: string
  readonly startedAt: number
  readonly endedAt: number | null
  readonly outcome: AttemptOutcome
  readonly error: string | null
  readonly execution: string | null
  readonly verification: string | null
  readonly usage: string | null
}

/**
 * The store over a driver, for as long as the scope is open.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: (driver: TaskStoreDriver) => Effect.Effect<TaskStore["Service"], never, Scope.Scope> = (driver) =>
  Effect.map(service.make(driver), ({ store }) => store)
