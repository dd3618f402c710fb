/**
 * A task store in one SQLite file, on Node's own `node:sqlite`: the embedded default. Any number of processes on one
 * machine can share the file, which has to be on a local disk.
 *
 * What an operation has written survives a crash of the process always, and a crash of the machine with
 * `synchronous: "FULL"`. The driver is synchronous: every call blocks the thread for the time it takes, which is about
 * 10 microseconds per task plus a flush of the disk.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { Diagnosis } from "@baton/core/Diagnosis"
import {
  type Control,
  type ControlRequest,
  type Selection,
  type SweptTask,
  TaskStore,
  type WorkSignal
} from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import { add } from "./internal/admission.ts"
import * as Changes from "./internal/changes.ts"
import * as Connection from "./internal/connection.ts"
import { diagnose as diagnoseFile } from "./internal/diagnose.ts"
import { attempts, chunkSize, dump, findChunk, leaseEnd, list, nextAvailable, outlook } from "./internal/reading.ts"
import * as Rows from "./internal/rows.ts"
import type { Statements } from "./internal/statements.ts"
import { restore } from "./internal/restoration.ts"
import * as Transitions from "./internal/transitions.ts"

/**
 * @category configuration
 * @since 0.1.0
 */
export interface Options {
  /** Where the store is. The file is made where there is none, and its folder too, readable for this user alone. */
  readonly filename: string
  /**
   * `FULL` (the default): what was written is on the disk when the operation returns. `NORMAL`: faster for single tasks,
   * and a power failure can undo the last seconds; the file stays consistent.
   */
  readonly synchronous?: "FULL" | "NORMAL" | undefined
}

/**
 * A store in the SQLite file `filename`, which it opens for as long as the layer lives. Fails with a `TaskStoreError` of
 * one sentence, and leaves the file as it is, when the file is not Baton's, damaged, not writable or of a newer version.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<TaskStore, TaskStoreError> =>
  Layer.effect(TaskStore, make(options))

/** A timer that is set for longer would not notice that the machine's clock was changed, or that it slept. */
const longestSleep = Duration.toMillis("1 hour")

/**
 * The store without its layer.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<TaskStore["Service"], TaskStoreError, Scope.Scope> {
  const connection = yield* Connection.open({ filename: options.filename, synchronous: options.synchronous ?? "FULL" })
  const { read, snapshot, write } = connection
  const changes = yield* Changes.make(connection.logFile, connection.dataVersion)

  /** Whoever waits for work looks again: there may be some, or another lease or time to wait for. */
  const writeAndRing: typeof write = (body, options) => Effect.tap(write(body, options), Effect.sync(changes.work.ring))

  /** Writes only if there is a reason to: idle workers take no lock and wake nobody. */
  const whenAny = <A>(
    any: (sql: Statements, now: number) => boolean,
    find: Effect.Effect<ReadonlyArray<A>, TaskStoreError>
  ): Effect.Effect<ReadonlyArray<A>, TaskStoreError> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      Effect.flatMap(
        read((sql) => any(sql, now)),
        (found) => (found ? find : Effect.succeed([]))
      )
    )

  /** Does `act` for the selected tasks, in one transaction for each chunk of them. */
  const forSelected = Effect.fnUntraced(function* <A>(
    selection: Selection,
    act: (writing: Transitions.Writing, found: ReadonlyArray<Transitions.Found>) => A
  ): Effect.fn.Return<ReadonlyArray<A>, TaskStoreError> {
    const results: Array<A> = []
    let after: number | undefined = 0
    while (after !== undefined) {
      const from: number = after
      const done: { readonly result: A; readonly next: number | undefined } = yield* writeAndRing((writing) => {
        const { found, next } = findChunk(writing.sql, selection, from)
        return { result: act(writing, found), next }
      })
      results.push(done.result)
      after = done.next
      yield* Effect.yieldNow
    }
    return results
  })

  const awaitWork = (untilDrained: boolean): Effect.Effect<WorkSignal, TaskStoreError> =>
    Effect.suspend(() => {
      const rung = changes.work.next()
      return Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.flatMap(
          read((sql) => outlook(sql, now, untilDrained)),
          (found) => {
            if (typeof found === "string") return Effect.succeed(found)
            const due = Effect.sleep(Math.min(found - now, longestSleep))
            return Effect.andThen(found === Infinity ? rung : Effect.raceFirst(rung, due), awaitWork(untilDrained))
          }
        )
      )
    })

  const control = read(readControl)

  const awaitControl = (revision: number): Effect.Effect<Control, TaskStoreError> =>
    Effect.suspend(() => {
      const rung = changes.control.next()
      return Effect.flatMap(control, (found) =>
        found.revision === revision ? Effect.andThen(rung, awaitControl(revision)) : Effect.succeed(found)
      )
    })

  return {
    add: (tasks) =>
      Effect.flatMap(
        writeAndRing((writing) => add(writing, tasks), { commitIf: Result.isSuccess }),
        Effect.fromResult
      ),

    claim: (options) =>
      whenAny(
        (sql, now) => options.limit > 0 && nextAvailable(sql, now) <= now,
        // Who waits has to know the new lease ends: the claimer may die.
        writeAndRing((writing) => Transitions.claim(writing, options))
      ),

    checkpoint: (checkpoints) => write((writing) => Transitions.checkpoint(writing, checkpoints)),

    settle: (settlements) => writeAndRing((writing) => Transitions.settle(writing, settlements)),

    extend: (leases, lease) => writeAndRing((writing) => Transitions.extend(writing, leases, lease)),

    sweep: Effect.fnUntraced(function* (options) {
      const swept: Array<SweptTask> = []
      while (true) {
        const chunk = yield* whenAny(
          (sql, now) => leaseEnd(sql) <= now,
          writeAndRing((writing) => Transitions.sweep(writing, options, chunkSize))
        )
        swept.push(...chunk)
        if (chunk.length < chunkSize) return swept
        yield* Effect.yieldNow
      }
    }),

    get: (id) =>
      read((sql) => {
        const [row] = sql.task(Rows.toText(id))
        return row === undefined ? Option.none() : Option.some(Rows.task(row))
      }),

    list: (query) =>
      Effect.flatMap(
        read((sql) => list(sql, query)),
        Effect.fromResult
      ),

    attempts: (id) => read((sql) => attempts(sql, id)),

    counts: read((sql) => Rows.counts(sql.store())),

    requeue: (selection) =>
      Effect.map(forSelected(selection, Transitions.requeue), (changed) => changed.flat().map(({ id }) => id)),

    cancel: (selection) =>
      Effect.map(forSelected(selection, Transitions.cancel), (changed) => {
        const cancelled = changed.flat()
        if (cancelled.some(({ status }) => status === "in_progress")) changes.control.ring()
        return cancelled.map(({ id }) => id)
      }),

    prune: (options) => {
      const { ids, statuses } = options
      const selections: ReadonlyArray<Selection> =
        ids === undefined ? statuses.map((status) => ({ status })) : [{ ids }]
      return Effect.map(
        Effect.forEach(selections, (selection) =>
          forSelected(selection, (writing, found) => Transitions.prune(writing, options, found))
        ),
        (pruned) => pruned.flat().reduce((total, count) => total + count, 0)
      )
    },

    awaitWork: (options) => awaitWork(options.untilDrained),

    control,

    request: (request) =>
      Effect.tap(
        write(({ sql }) => {
          requests[request](sql)
          return readControl(sql)
        }),
        Effect.sync(changes.control.ring)
      ),

    awaitControl,

    dump: (query) =>
      Effect.flatMap(
        snapshot((sql) => dump(sql, query)),
        Effect.fromResult
      ),

    restore: (records) =>
      Effect.flatMap(
        writeAndRing((writing) => restore(writing, records), { commitIf: Result.isSuccess }),
        Effect.fromResult
      )
  }
})

const readControl = (sql: Statements): Control => Rows.control(sql.store())

const requests: { readonly [Request in ControlRequest]: (sql: Statements) => void } = {
  pause: (sql) => sql.pause(),
  resume: (sql) => sql.resume(),
  stop: (sql) => sql.stop()
}

/**
 * Looks at the file, what is in it, and its disk, and says what would be in the way of a run. Writes nothing, and makes nothing.
 *
 * @category diagnosing
 * @since 0.1.0
 */
export const diagnose: (options: { readonly filename: string }) => Effect.Effect<ReadonlyArray<Diagnosis>> =
  diagnoseFile
