/**
 * The store of tasks: the one place where a task's state lives.
 *
 * Every operation is one atomic transition over a *batch* of tasks. A claim carries a lease token, and whatever is
 * written with a token that is no longer current changes nothing and is named in the reply. Delivery is at-least-once:
 * a worker that dies is replaced after its lease, so the same task can be executed again; at most one result per lease
 * is accepted.
 *
 * Implement this service to bring your own store, and hold it against the suite in `@baton/core/testing`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Attempt, LeaseToken } from "./Attempt.ts"
import type { Execution } from "./Execution.ts"
import * as MemoryDriver from "./internal/memory/driver.ts"
import * as Table from "./internal/memory/table.ts"
import * as Service from "./internal/store/service.ts"
import type { NewTask, Task, TaskId, TaskStatus } from "./Task.ts"
import type { TaskRecord } from "./TaskRecord.ts"
import type { TaskStoreError, TasksRefused } from "./TaskStoreError.ts"
import type { Usage } from "./Usage.ts"
import type { Verification } from "./Verification.ts"

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
     * Adds tasks; one whose id is already there is left as it is. All or nothing: when a task is refused, none of the
     * call's tasks is added. A dependency has to be in the store or in the same call.
     */
    readonly add: (tasks: ReadonlyArray<NewTask>) => Effect.Effect<AddResult, TaskStoreError | TasksRefused>

    /**
     * Takes up to `limit` claimable tasks: pending, `availableAt` reached, all dependencies completed; higher priority
     * first, then the one available for longest, then the one added first. Counts an attempt and starts a lease for each.
     * Never waits; returns an empty array when there is nothing to claim.
     */
    readonly claim: (options: ClaimOptions) => Effect.Effect<ReadonlyArray<Claim>, TaskStoreError>

    /**
     * Makes outputs durable before they are verified. A task that is claimed again after a crash brings its checkpoint
     * along, so that it is verified and not executed again.
     */
    readonly checkpoint: (checkpoints: ReadonlyArray<Checkpoint>) => Effect.Effect<FencedReply, TaskStoreError>

    /** Ends attempts: task, ledger row and dependants change in one write. When it returns, the write is durable. */
    readonly settle: (settlements: ReadonlyArray<Settlement>) => Effect.Effect<FencedReply, TaskStoreError>

    /** Extends leases to `lease` from now: the heartbeat. The reply names those that were lost or cancelled. */
    readonly extend: (
      leases: ReadonlyArray<Lease>,
      lease: Duration.Duration
    ) => Effect.Effect<FencedReply, TaskStoreError>

    /**
     * Takes back tasks whose lease has expired; checked again in the same write, so that a heartbeat that was just in
     * time wins. The attempt counts: a task that kills its workers ends in the dead-letter queue.
     */
    readonly sweep: (options: SweepOptions) => Effect.Effect<ReadonlyArray<SweptTask>, TaskStoreError>

    /** The task with this id. */
    readonly get: (id: TaskId) => Effect.Effect<Option.Option<Task>, TaskStoreError>

    /** Tasks in the order they were added, a page at a time. */
    readonly list: (query?: ListQuery) => Effect.Effect<TaskPage, TaskStoreError>

    /** A task's ledger, oldest attempt first, the one under way included. */
    readonly attempts: (id: TaskId) => Effect.Effect<ReadonlyArray<Attempt>, TaskStoreError>

    /** How many tasks there are of each kind. */
    readonly counts: Effect.Effect<Counts, TaskStoreError>

    /** Puts failed or cancelled tasks back to pending with no attempts used. Returns the ids that changed. */
    readonly requeue: (selection: Selection) => Effect.Effect<ReadonlyArray<TaskId>, TaskStoreError>

    /**
     * Cancels pending and running tasks. A running one loses its lease at once; its worker hears of it by its next
     * heartbeat, or sooner through `awaitControl`. Returns the ids that changed.
     */
    readonly cancel: (selection: Selection) => Effect.Effect<ReadonlyArray<TaskId>, TaskStoreError>

    /** Deletes tasks in a terminal status, with their history. Returns how many. */
    readonly prune: (options: PruneOptions) => Effect.Effect<number, TaskStoreError>

    /**
     * Returns `claimable` when something may be claimable or a lease may have expired: on a notification, or at the next
     * `availableAt` or lease end. It may wake for nothing, and never sleeps through. With `untilDrained` it returns
     * `drained` as soon as no task is in progress and none will become claimable by itself.
     */
    readonly awaitWork: (options: { readonly untilDrained: boolean }) => Effect.Effect<WorkSignal, TaskStoreError>

    /** The requests in force for all runs on this store. */
    readonly control: Effect.Effect<Control, TaskStoreError>

    /** Asks every run on this store to pause, resume or stop, in whatever process it is. */
    readonly request: (request: ControlRequest) => Effect.Effect<Control, TaskStoreError>

    /** Returns when the control state's revision is no longer `revision`. */
    readonly awaitControl: (revision: number) => Effect.Effect<Control, TaskStoreError>

    /**
     * Everything that the store knows of its tasks, in the order they were added, a page at a time: for a backup, or to
     * `restore` it in another store. Every record is consistent; tasks that change between two pages are as they were when
     * their page was read.
     */
    readonly dump: (query?: DumpQuery) => Effect.Effect<RecordPage, TaskStoreError>

    /**
     * Adds tasks as they were in another store, in their order: status, history, fencing and all. All or nothing; an id
     * that is in the store already is refused with `IdInUse`. A dependency need not be there: whoever waits for it goes on
     * once it completes or is restored as completed. A task that was in progress is restored with a lease that has ended,
     * so that the next `sweep` takes it back as it does after a crash.
     */
    readonly restore: (records: ReadonlyArray<TaskRecord>) => Effect.Effect<void, TaskStoreError | TasksRefused>
  }
>()("@baton/core/TaskStore") {}

/** What `add` did: the ids that were new, and how many were there before. */
export interface AddResult {
  readonly added: ReadonlyArray<TaskId>
  readonly existing: number
}

export interface ClaimOptions {
  readonly limit: number
  /** Who claims; kept in the ledger. Unique per process start, so that a restarted worker is never mistaken for its predecessor. */
  readonly owner: string
  readonly lease: Duration.Duration
}

/** The right to work on a task until its lease ends. */
export interface Lease {
  readonly taskId: TaskId
  readonly token: LeaseToken
}

/** A claimed task. */
export interface Claim {
  /** The task as it is now: in progress, this attempt counted. */
  readonly task: Task
  readonly token: LeaseToken
  /** An output saved by an earlier attempt whose verification never finished: verify it, do not execute again. */
  readonly checkpoint: Execution | null
  /** What the last failed attempt brought out, if it brought out anything. */
  readonly previousOutput: string | null
}

/** An output to be made durable before it is verified. */
export interface Checkpoint extends Lease {
  readonly execution: Execution
  /** The task's usage with this execution included. */
  readonly usage: Usage | null
}

interface SettlementFields extends Lease {
  /** What this attempt alone used. */
  readonly attemptUsage: Usage | null
  /** What all attempts of the task used, this one included. */
  readonly usage: Usage | null
  readonly execution: Execution | null
  readonly verification: Verification | null
}

interface FailureFields extends SettlementFields {
  readonly feedback: string
  /**
   * An output whose verification could not be carried out: kept, so that the next attempt verifies it and executes
   * nothing. Null when the next attempt has to execute.
   */
  readonly checkpoint: Execution | null
}

/**
 * How an attempt ended.
 *
 * - `Complete`: the execution's output becomes the task's result
 * - `Retry`: back to pending, available after `delay`
 * - `Fail`: to the dead-letter queue
 * - `Release`: back to pending at once; the attempt is given back and does not count
 *
 * @category models
 * @since 0.1.0
 */
export type Settlement =
  | (SettlementFields & { readonly _tag: "Complete"; readonly execution: Execution; readonly verified: boolean })
  | (FailureFields & { readonly _tag: "Retry"; readonly delay: Duration.Duration })
  | (FailureFields & { readonly _tag: "Fail" })
  | (Lease & {
      readonly _tag: "Release"
      readonly reason: string
      /** What it used until then. */
      readonly attemptUsage: Usage | null
      readonly usage: Usage | null
    })

/** Names the leases of a call that were no longer current; for these nothing was written. */
export interface FencedReply {
  readonly lost: ReadonlyArray<LostLease>
}

/** A lease that is no longer current, and where its task stands now (`null`: it is gone). */
export interface LostLease extends Lease {
  readonly status: TaskStatus | null
}

export interface SweepOptions {
  /** Tasks with this many attempts used go to the dead-letter queue instead of back to pending. */
  readonly maxAttempts: number
  /** `dead-letter`: work that must not run twice goes to the dead-letter queue at once. */
  readonly onCrash: "retry" | "dead-letter"
}

export interface SweptTask extends Lease {
  readonly status: "pending" | "failed"
  readonly owner: string
  readonly attempts: number
}

export interface ListQuery {
  readonly status?: TaskStatus | undefined
  /** Default 100. */
  readonly limit?: number | undefined
  /** The `next` of the page before. */
  readonly cursor?: string | undefined
}

export interface TaskPage {
  readonly tasks: ReadonlyArray<Task>
  /** Where the next page starts; null on the last page. */
  readonly next: string | null
}

export interface DumpQuery {
  /** Default 100. */
  readonly limit?: number | undefined
  /** The `next` of the page before. */
  readonly cursor?: string | undefined
}

export interface RecordPage {
  readonly records: ReadonlyArray<TaskRecord>
  /** Where the next page starts; null on the last page. */
  readonly next: string | null
}

/**
 * How many tasks there are of each status.
 *
 * @category models
 * @since 0.1.0
 */
export const Counts = Schema.Struct({
  pending: Schema.Int,
  in_progress: Schema.Int,
  completed: Schema.Int,
  failed: Schema.Int,
  cancelled: Schema.Int,
  /** Those of `pending` that wait for another task to complete. */
  waiting: Schema.Int
})

/** @since 0.1.0 */
export interface Counts extends Schema.Schema.Type<typeof Counts> {}

/** Which tasks to act on: by id, or all of a status. */
export type Selection = { readonly ids: ReadonlyArray<TaskId> } | { readonly status: TaskStatus }

export interface PruneOptions {
  readonly statuses: ReadonlyArray<"completed" | "failed" | "cancelled">
  /** Only tasks that have not changed for this long. */
  readonly olderThan?: Duration.Duration | undefined
  /** Only these. */
  readonly ids?: ReadonlyArray<TaskId> | undefined
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
  /** How many stop requests were made; a run ends when it sees this grow. */
  readonly stops: number
}

/**
 * A store in the memory of this process: for tests, for trying things out, and for work that need not survive.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory: Layer.Layer<TaskStore> = Layer.effect(
  TaskStore,
  Effect.map(
    Effect.flatMap(
      Effect.suspend(() => MemoryDriver.make(Table.make())),
      Service.make
    ),
    ({ store }) => store
  )
)
