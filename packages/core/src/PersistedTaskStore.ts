/**
 * The base for a store whose contents one process keeps in memory as a whole and writes down elsewhere: in a file, in a
 * bucket, under a key.
 *
 * All of `TaskStore` is done here; what remains is one function that writes changes down. An operation that changed
 * something returns when that is written. Changes that come while a write is under way are written together by the next
 * one, so there is one write at a time, however many operations wait. When a write fails, the operations that it was for
 * fail with its error and have changed nothing. Reading does not wait, so it can see what is still being written.
 *
 * Nobody else may write to that place meanwhile: keeping others out is for the caller to do.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import * as Journal from "./internal/memory/journal.ts"
import * as Table from "./internal/memory/table.ts"
import * as memoryStore from "./internal/memoryStore.ts"
import type { TaskId } from "./Task.ts"
import type { TaskRecord } from "./TaskRecord.ts"
import type { TaskStore } from "./TaskStore.ts"
import type { TasksRefused, TaskStoreError } from "./TaskStoreError.ts"

/**
 * What a write has to bring to the place where the store is kept, all or nothing: first `removed` goes, then `written`
 * comes, or takes the place of what was written under the same id before. Heartbeats alone are no change.
 *
 * @category models
 * @since 0.1.0
 */
export interface Changes {
  readonly removed: ReadonlyArray<TaskId>
  /** New tasks are in the order of adding, and come after all that are there. */
  readonly written: ReadonlyArray<TaskRecord>
  /** Whether runs on this store are paused, from now on. */
  readonly paused: boolean
}

export interface Options {
  /** What is there already. Tasks that are in progress were left by a worker that is gone. */
  readonly records: ReadonlyArray<TaskRecord>
  readonly paused: boolean
  /** Makes changes durable. It is not interrupted, and never called again before it returns. */
  readonly write: (changes: Changes) => Effect.Effect<void, TaskStoreError>
}

/**
 * A store that is kept where `write` writes, for as long as the scope is open; closing it waits for the last write. Fails
 * when the records contradict each other or themselves.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<TaskStore["Service"], TasksRefused | TaskStoreError, Scope.Scope> {
  const clock = yield* Clock.Clock
  const hasChanges = Latch.makeUnsafe()
  let written = Deferred.makeUnsafe<void, TaskStoreError>()
  /** Counts changes, and the newest one's write: how an operation finds out whether and for what it has to wait. */
  const latest = { change: 0, written }
  const noteChange = () => {
    latest.change++
    latest.written = written
    hasChanges.openUnsafe()
  }

  const journal = Journal.make(noteChange)
  const { changedBack, isPaused, store, table } = yield* memoryStore.over(Table.make(journal), options)
  yield* store.restore(options.records)
  journal.take(table)
  journal.confirm()
  hasChanges.closeUnsafe()
  let { paused } = options

  /** Leaves what has gathered to the write that starts now; what comes from here on, to the next. */
  const nextWrite = () => {
    const now = written
    written = Deferred.makeUnsafe()
    hasChanges.closeUnsafe()
    return now
  }

  const write = Effect.gen(function* () {
    // In one step, so that every change is with the write that it waits for.
    const changes = { ...journal.take(table), paused: isPaused() }
    const done = nextWrite()
    const exit = yield* Effect.exit(options.write(changes))
    if (Exit.isSuccess(exit)) {
      journal.confirm()
      paused = changes.paused
    } else {
      journal.undo(table, clock.currentTimeMillisUnsafe())
      changedBack(paused)
      // What has come meanwhile was built on what is undone now.
      Deferred.doneUnsafe(nextWrite(), exit)
    }
    Deferred.doneUnsafe(done, exit)
  }).pipe(Effect.uninterruptible)

  // An operation can be interrupted while it waits: what it changed is written all the same.
  yield* Effect.addFinalizer(() => Effect.suspend(() => (hasChanges.isOpen() ? write : Effect.void)))
  // Opening a latch resumes who waits there and then, in the middle of an operation: it has to yield.
  const writeNext = hasChanges.await.pipe(Effect.andThen(Effect.yieldNow), Effect.andThen(write))
  yield* Effect.forkScoped(Effect.forever(writeNext))

  /** Returns when what the operation changed is written. */
  const durably = <A, E>(operation: Effect.Effect<A, E>): Effect.Effect<A, E | TaskStoreError> =>
    Effect.suspend(() => {
      const { change } = latest
      return Effect.flatMap(operation, (result) =>
        latest.change === change ? Effect.succeed(result) : Effect.as(Deferred.await(latest.written), result)
      )
    })

  return {
    ...store,
    add: (tasks) => durably(store.add(tasks)),
    claim: (options) => durably(store.claim(options)),
    checkpoint: (checkpoints) => durably(store.checkpoint(checkpoints)),
    settle: (settlements) => durably(store.settle(settlements)),
    sweep: (options) => durably(store.sweep(options)),
    requeue: (selection) => durably(store.requeue(selection)),
    cancel: (selection) => durably(store.cancel(selection)),
    prune: (options) => durably(store.prune(options)),
    request: (request) => {
      const requested = store.request(request)
      // A stop is for the runs of now, which are all in this process.
      return request === "stop" ? requested : durably(Effect.tap(requested, Effect.sync(noteChange)))
    },
    restore: (records) => durably(store.restore(records))
  }
})
