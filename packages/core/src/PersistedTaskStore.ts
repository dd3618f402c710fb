/**
 * The base for a store that one process keeps in memory as a whole and persists elsewhere: in a file, in a bucket, under a
 * key.
 *
 * This module implements `TaskStore`; the caller provides one function that writes changes. An operation that changes
 * something returns after its change is written. Changes that arrive during a write are written together by the next one, so
 * there is one write at a time for any number of operations. When a write fails, its operations fail with its error and
 * have changed nothing. Reads do not wait, so they can return changes that are still being written.
 *
 * No other process may write to the same place. The caller has to ensure this.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import type { BatchRecord } from "./BatchJournal.ts"
import * as Budget from "./Budget.ts"
import * as Batches from "./internal/memory/batches.ts"
import * as MemoryDriver from "./internal/memory/driver.ts"
import * as Journal from "./internal/memory/journal.ts"
import * as Table from "./internal/memory/table.ts"
import * as Codec from "./internal/store/codec.ts"
import * as Service from "./internal/store/service.ts"
import * as QueuePause from "./QueuePause.ts"
import type { TaskId } from "./Task.ts"
import type { TaskRecord } from "./TaskRecord.ts"
import type { TaskStore } from "./TaskStore.ts"
import type { TasksRefused, TaskStoreError } from "./TaskStoreError.ts"

/**
 * The changes of one write, to be applied all or nothing: delete `removed`, then insert `written`, replacing records with
 * the same id. Heartbeats alone are not written.
 *
 * @category models
 * @since 0.1.0
 */
export interface Changes {
  readonly removed: ReadonlyArray<TaskId>
  /** New tasks are in the order of adding, and come after all existing ones. */
  readonly written: ReadonlyArray<TaskRecord>
  /** Whether runs on this store are paused. */
  readonly paused: boolean
  /**
   * Grows when tasks are removed, and has to be given to {@link make} when the store is opened again: lease tokens of an id
   * that is removed and added again start above it.
   */
  readonly tokenFloor: number
  /** The budgets of all queues. Pass them to {@link make} when the store is opened again. */
  readonly budgets: ReadonlyArray<Budget.Budget>
  /** The pauses of all queues. Pass them to {@link make} when the store is opened again. */
  readonly pauses: ReadonlyArray<QueuePause.QueuePause>
  /** The journal of batches. Pass it to {@link make} when the store is opened again. */
  readonly batches: ReadonlyArray<BatchRecord>
}

export interface Options {
  /** The existing records. Tasks that are in progress were left by a worker that has ended. */
  readonly records: ReadonlyArray<TaskRecord>
  readonly paused: boolean
  /** The `tokenFloor` of the last changes that were written. Default 0. */
  readonly tokenFloor?: number | undefined
  /** The `budgets` of the last changes that were written. Their reserved amounts count as spent. Default none. */
  readonly budgets?: ReadonlyArray<Budget.Budget> | undefined
  /** The `pauses` of the last changes that were written. Default none. */
  readonly pauses?: ReadonlyArray<QueuePause.QueuePause> | undefined
  /** The `batches` of the last changes that were written. Default none. */
  readonly batches?: ReadonlyArray<BatchRecord> | undefined
  /** Makes changes durable. It is not interrupted, and is called once at a time. */
  readonly write: (changes: Changes) => Effect.Effect<void, TaskStoreError>
}

/**
 * A store that `write` persists, for as long as the scope is open. Closing the scope waits for the last write. Fails when the
 * records contradict each other or themselves.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<TaskStore["Service"], TasksRefused | TaskStoreError, Scope.Scope> {
  const clock = yield* Clock.Clock
  const hasChanges = Latch.makeUnsafe()
  /** The write that changes go into from now on. */
  let pending = makeWrite()
  /** The number of changes, and the write that the newest one goes into. */
  const newest = { change: 0, write: pending }
  const noteChange = () => {
    newest.change++
    newest.write = pending
    hasChanges.openUnsafe()
  }

  const journal = Journal.make(noteChange)
  const initialBatches = options.batches ?? []
  // All leases were of a process that has ended, and its calls may have been made. Requests in batches are answered later.
  const initialBudgets = (options.budgets ?? []).map(({ committed, limit, queue, reserved }) => {
    const inBatches = Batches.reservedIn(initialBatches, queue)
    return {
      queue,
      limit,
      committed: Budget.add(committed, Budget.subtract(reserved, inBatches)),
      reserved: inBatches
    }
  })
  const byQueue = new Map(initialBudgets.map((budget) => [budget.queue, budget]))
  const initialPauses = options.pauses ?? []
  const pausesByQueue = new Map(initialPauses.map((pause) => [pause.queue, { ...pause, ...QueuePause.timesOf(pause) }]))
  const batchesByRun = Batches.fromRecords(initialBatches)
  const table = Table.make(journal, options.tokenFloor, byQueue, pausesByQueue, batchesByRun)
  const driver = yield* MemoryDriver.make(table, options)
  const { store, wake } = yield* Service.make(driver)
  yield* store.restore(options.records)
  journal.take(table)
  journal.confirm()
  hasChanges.closeUnsafe()
  let { paused } = options
  let lastBudgets: ReadonlyArray<Budget.Budget> = initialBudgets
  let lastPauses = initialPauses
  let lastBatches = initialBatches

  /** Lets later changes go into another write. */
  const startPending = (): Write => {
    const started = pending
    pending = started.next = makeWrite()
    hasChanges.closeUnsafe()
    return started
  }

  const write = Effect.gen(function* () {
    // In one step, so that each change goes into the write that its operation waits for.
    const taken = journal.take(table)
    const { batches = lastBatches, budgets = lastBudgets, pauses: pauseRows, removed, tokenFloor, written } = taken
    const pauses = pauseRows?.map(Codec.pause) ?? lastPauses
    const changes = {
      written: written.map(Codec.record),
      removed: removed.map(Codec.taskId),
      tokenFloor,
      budgets,
      pauses,
      batches,
      paused: driver.isPaused()
    }
    const started = startPending()
    const exit = yield* Effect.exit(options.write(changes))
    if (Exit.isSuccess(exit)) {
      journal.confirm()
      paused = changes.paused
      lastBudgets = budgets
      lastPauses = pauses
      lastBatches = batches
    } else {
      journal.undo(table, clock.currentTimeMillisUnsafe())
      driver.resetPaused(paused)
      wake("work")
      wake("control")
      // Changes since then depend on changes that are undone.
      Deferred.doneUnsafe(startPending().done, exit)
    }
    Deferred.doneUnsafe(started.done, exit)
  }).pipe(Effect.uninterruptible)

  // An operation can be interrupted while it waits: its changes are written anyway.
  yield* Effect.addFinalizer(() => Effect.suspend(() => (hasChanges.isOpen() ? write : Effect.void)))
  // Opening a latch resumes the waiting fiber at once, in the middle of an operation: it has to yield.
  const writeNext = hasChanges.await.pipe(Effect.andThen(Effect.yieldNow), Effect.andThen(write))
  yield* Effect.forkScoped(Effect.forever(writeNext))

  /** Returns once the changes of an operation are written, in however many writes. */
  const durably = <A, E>(operation: Effect.Effect<A, E>): Effect.Effect<A, E | TaskStoreError> =>
    Effect.suspend(() => {
      const { change } = newest
      const first = pending
      return Effect.tap(operation, () => (newest.change === change ? Effect.void : written(first, newest.write)))
    })

  const { batches, budgets, pauses, reviews } = store
  return {
    ...store,
    add: (tasks) => durably(store.add(tasks)),
    claim: (options) => durably(store.claim(options)),
    checkpoint: (checkpoints) => durably(store.checkpoint(checkpoints)),
    start: (leases) => durably(store.start(leases)),
    settle: (settlements) => durably(store.settle(settlements)),
    sweep: (options) => durably(store.sweep(options)),
    requeue: (selection) => durably(store.requeue(selection)),
    failWaiting: (ids, reason) => durably(store.failWaiting(ids, reason)),
    revise: (revisions, options) => durably(store.revise(revisions, options)),
    cancel: (selection) => durably(store.cancel(selection)),
    prune: (options) => durably(store.prune(options)),
    request: (request) => {
      const requested = store.request(request)
      // A stop is for the current runs, which are all in this process.
      return request === "stop" ? requested : durably(Effect.tap(requested, Effect.sync(noteChange)))
    },
    restore: (records) => durably(store.restore(records)),
    budgets: budgets && {
      list: budgets.list,
      reserve: (spending) => durably(budgets.reserve(spending)),
      set: (queue, change) => durably(budgets.set(queue, change))
    },
    reviews: reviews && {
      audit: (finding) => durably(reviews.audit(finding)),
      decide: (decisions) => durably(reviews.decide(decisions))
    },
    pauses: pauses && {
      list: pauses.list,
      pause: (queue, options) => durably(pauses.pause(queue, options)),
      resume: (queue, options) => durably(pauses.resume(queue, options))
    },
    batches: batches && {
      ...batches,
      begin: (batch, requests) => durably(batches.begin(batch, requests)),
      created: (run, id) => durably(batches.created(run, id)),
      take: (requests) => durably(batches.take(requests)),
      record: (run, answers) => durably(batches.record(run, answers)),
      drop: (run) => durably(batches.drop(run)),
      end: (run) => durably(batches.end(run)),
      prune: (age) => durably(batches.prune(age))
    }
  }
})

interface Write {
  readonly done: Deferred.Deferred<void, TaskStoreError>
  next: Write | undefined
}

const makeWrite = (): Write => ({ done: Deferred.makeUnsafe(), next: undefined })

/** Waits for all writes from `first` to `last`. */
const written = (first: Write, last: Write): Effect.Effect<void, TaskStoreError> =>
  Effect.andThen(
    Deferred.await(first.done),
    first === last || first.next === undefined ? Effect.void : written(first.next, last)
  )
