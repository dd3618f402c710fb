/**
 * The journal of requests that are sent in batches: which requests are in which batch, and their answers. It is part of the
 * store, so that every worker finds, follows and collects a batch that another one created.
 *
 * Every step is recorded before it happens:
 *
 * 1. `begin`: these requests are about to become a batch. After a crash, it is unknown whether the batch exists.
 * 2. `created`: the batch exists and has this id.
 * 3. `record`: these requests have an answer. It is kept after it was delivered, because the task that it is for may not be
 *    settled yet.
 * 4. `end`: all requests of the batch have an answer.
 *
 * **Budgets**
 *
 * A request in a batch outlives the lease under which it was sent. So `begin` moves the amount that the lease has reserved for it
 * to the journal: the end of the lease does not commit it. `record` replaces it by the amount that the answer cost, in the
 * same write as the answer, whichever worker collects it. Each answer is therefore committed once.
 *
 * @since 0.2.0
 */
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Amount } from "./Budget.ts"
import type { TaskId } from "./Task.ts"
import type { Lease } from "./TaskStore.ts"
import type { Column, LeaseRow } from "./TaskStoreDriver.ts"
import type { TaskStoreError } from "./TaskStoreError.ts"

/**
 * The journal of a store.
 *
 * @category models
 * @since 0.2.0
 */
export interface BatchJournal {
  /**
   * Records that these requests are about to become a batch, and moves what their leases hold for them to the journal. Call it
   * again with the same `run` for more requests. Send only the requests that the reply does not name.
   */
  readonly begin: (batch: NewBatch, requests: ReadonlyArray<BatchRequest>) => Effect.Effect<BeginReply, TaskStoreError>

  /** Records the id of a batch that exists. */
  readonly created: (run: string, id: string) => Effect.Effect<void, TaskStoreError>

  /** The requests with these keys that are in the journal. */
  readonly find: (keys: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<BatchEntry>, TaskStoreError>

  /** The same as `find`. Replies that no task has taken are taken by these. */
  readonly take: (requests: ReadonlyArray<TakenRequest>) => Effect.Effect<ReadonlyArray<BatchEntry>, TaskStoreError>

  /** The keys of the requests of a batch that have no answer yet. */
  readonly unanswered: (run: string) => Effect.Effect<ReadonlyArray<string>, TaskStoreError>

  /** Records answers and their costs. Returns the keys that had no answer before; the others do not change. */
  readonly record: (
    run: string,
    answers: ReadonlyArray<BatchAnswer>
  ) => Effect.Effect<ReadonlyArray<string>, TaskStoreError>

  /**
   * The batch does not exist: removes its requests that have no answer. Their reservations return to their leases, or is
   * freed if these have ended.
   */
  readonly drop: (run: string) => Effect.Effect<void, TaskStoreError>

  /** Records that a batch has ended. */
  readonly end: (run: string) => Effect.Effect<void, TaskStoreError>

  /** The batches that have not ended, the oldest first. */
  readonly list: Effect.Effect<ReadonlyArray<BatchRun>, TaskStoreError>

  /** Removes batches that have ended and were created this long ago, with their answers. */
  readonly prune: (age: Duration.Duration) => Effect.Effect<void, TaskStoreError>
}

/** A batch that is about to be created. */
export interface NewBatch {
  /** Unique among all batches. */
  readonly run: string
  readonly queue: string
}

/** A request, and the lease under which it is sent. */
export interface BatchRequest extends Lease {
  /** Identifies the request: the same request of the same task has the same key, whichever worker sends it. */
  readonly key: string
  /** What the lease has reserved for it. */
  readonly held: Amount
}

/** The requests that were not recorded. */
export interface BeginReply {
  /** Keys of requests that are in another batch, or have a reply. */
  readonly existing: ReadonlyArray<string>
  /** Keys of requests whose lease is no longer current. */
  readonly lost: ReadonlyArray<string>
}

/** A request that a task waits for. */
export interface TakenRequest {
  readonly key: string
  readonly taskId: TaskId
}

/** The answer to a request. */
export interface BatchAnswer {
  readonly key: string
  /** A JSON text. */
  readonly answer: string
  /** Whether it is a reply. Anything else says why there is none, and the request can be sent again. */
  readonly isReply: boolean
  /** Its cost. Absent if it is unknown, and the whole reservation counts. */
  readonly spent?: Amount | undefined
  /** The task that waits for it. */
  readonly takenBy?: TaskId | undefined
}

/** A request in the journal. */
export interface BatchEntry {
  readonly key: string
  readonly run: string
  /** Absent while there is none. */
  readonly answer?: string | undefined
  readonly isReply: boolean
  /** The task that has taken the reply. */
  readonly takenBy?: TaskId | undefined
}

/**
 * A batch that has not ended.
 *
 * @category models
 * @since 0.2.0
 */
export interface BatchRun extends NewBatch {
  /** Absent while it is unknown whether the batch exists. */
  readonly id?: string | undefined
  readonly requests: number
  readonly createdAt: DateTime.Utc
}

/**
 * The journal as a driver keeps it: the methods of `BatchJournal` over rows. Batches and requests have a row each.
 *
 * **Guarantees a driver gives**
 *
 * - `begin` takes from each lease at most its reservation. A request whose lease is not current, or whose key has a row, is
 *   not recorded; a row with an answer other than a reply is replaced. Repeating a call changes nothing, and names nothing that it
 *   has recorded before
 * - `record` changes only rows of the batch without an answer. It subtracts their reservation from the budget of the queue and
 *   adds their costs, in the same write
 * - In a queue without a budget, nothing is counted
 *
 * @category models
 * @since 0.2.0
 */
export interface BatchJournalDriver {
  readonly begin: (
    batch: NewBatch,
    requests: ReadonlyArray<BatchRequestRow>
  ) => Effect.Effect<BeginReply, TaskStoreError>
  readonly created: (run: string, id: string) => Effect.Effect<void, TaskStoreError>
  readonly find: (keys: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<BatchEntryRow>, TaskStoreError>
  /** Each key occurs once in a call. */
  readonly take: (requests: ReadonlyArray<TakenRow>) => Effect.Effect<ReadonlyArray<BatchEntryRow>, TaskStoreError>
  readonly unanswered: (run: string) => Effect.Effect<ReadonlyArray<string>, TaskStoreError>
  /** Each key occurs once in a call. */
  readonly record: (
    run: string,
    answers: ReadonlyArray<BatchAnswerRow>
  ) => Effect.Effect<ReadonlyArray<string>, TaskStoreError>
  readonly drop: (run: string) => Effect.Effect<void, TaskStoreError>
  readonly end: (run: string) => Effect.Effect<void, TaskStoreError>
  readonly list: Effect.Effect<ReadonlyArray<BatchRow>, TaskStoreError>
  readonly prune: (ageMillis: number) => Effect.Effect<void, TaskStoreError>
}

/** @since 0.2.0 */
export interface BatchRequestRow extends LeaseRow {
  readonly key: string
  readonly held: Amount
}

/** @since 0.2.0 */
export interface TakenRow {
  readonly key: string
  readonly task: string
}

/** @since 0.2.0 */
export interface BatchAnswerRow {
  readonly key: string
  readonly answer: string
  readonly isReply: boolean
  /** Null commits the reservation. */
  readonly spent: Amount | null
  readonly takenBy: string | null
}

/** @since 0.2.0 */
export interface BatchEntryRow {
  readonly key: Column
  readonly run: Column
  readonly answer: Column
  readonly isReply: Column
  readonly takenBy: Column
}

/** @since 0.2.0 */
export interface BatchRow {
  readonly run: Column
  readonly queue: Column
  readonly id: Column
  readonly requests: Column
  readonly createdAt: Column
}

/**
 * A batch with its requests, for stores that are written as a whole.
 *
 * @category models
 * @since 0.2.0
 */
export const BatchRecord = Schema.Struct({
  run: Schema.String,
  queue: Schema.String,
  id: Schema.NullOr(Schema.String),
  /** How many requests it was created with. */
  size: Schema.Int,
  /** Epoch milliseconds. */
  createdAt: Schema.Number,
  hasEnded: Schema.Boolean,
  requests: Schema.Array(
    Schema.Struct({
      key: Schema.String,
      task: Schema.String,
      token: Schema.Int,
      held: Amount,
      answer: Schema.NullOr(Schema.String),
      isReply: Schema.Boolean,
      takenBy: Schema.NullOr(Schema.String)
    })
  )
})

/** @since 0.2.0 */
export interface BatchRecord extends Schema.Schema.Type<typeof BatchRecord> {}
