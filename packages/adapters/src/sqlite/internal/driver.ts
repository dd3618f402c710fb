import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { TaskStoreDriver } from "@baton/core/TaskStoreDriver"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Adding from "./adding.ts"
import * as Administration from "./administration.ts"
import * as Batches from "./batches.ts"
import * as Budgets from "./budgets.ts"
import * as Claiming from "./claiming.ts"
import type { Connection, Writing } from "./connection.ts"
import * as Leases from "./leases.ts"
import * as Notifications from "./notifications.ts"
import * as Pauses from "./pauses.ts"
import * as Progress from "./progress.ts"
import * as Reading from "./reading.ts"
import * as Repair from "./repair.ts"
import * as Reviews from "./reviews.ts"
import * as Rows from "./rows.ts"
import * as Settling from "./settling.ts"
import type { Statements } from "./statements.ts"
import * as Sweeping from "./sweeping.ts"

/** Each operation is one transaction, or one statement, on the connection of this process. */
export const make = ({ dataVersion, filename, logFile, read, snapshot, write }: Connection): TaskStoreDriver => {
  /** Writes only if there is something to do: an idle worker takes no lock and wakes no other process. */
  const writeIf = <A>(
    isDue: (sql: Statements, now: number) => boolean,
    body: Parameters<typeof write<ReadonlyArray<A>>>[0]
  ): Effect.Effect<ReadonlyArray<A>, TaskStoreError> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      Effect.flatMap(
        read((sql) => isDue(sql, now)),
        (found) => (found ? write(body) : Effect.succeed([]))
      )
    )

  /** Whether this process has repaired a file in which nothing happens to the tasks that are left. */
  let isRevived = false
  const revive = (writing: Writing) => {
    isRevived = true
    repair(writing)
  }

  /** How many tasks each repair has failed. */
  const repairs: Array<number> = []
  const repair = (writing: Writing) => {
    repairs.push(Repair.repair(writing))
  }
  const reported = <A>(effect: Effect.Effect<A, TaskStoreError>) =>
    Effect.tap(effect, () =>
      Effect.suspend(() =>
        Effect.forEach(
          repairs.splice(0),
          (failed) =>
            Effect.logWarning(
              "The store was damaged. Its indexes were rebuilt, and tasks that cannot be read failed."
            ).pipe(Effect.annotateLogs({ store: filename, failed })),
          { discard: true }
        )
      )
    )

  return {
    place: `The store ${filename}`,

    // A batch is one transaction, because each transaction flushes the disk.
    limits: { rows: Infinity, characters: Infinity, selected: 1000 },

    concurrencyKeys: true,

    add: (tasks, { checkOnly }) =>
      write(
        (writing) => Adding.add(writing, tasks),
        ({ conflicts, unknown }) => !checkOnly && conflicts.length === 0 && unknown.length === 0
      ),

    claim: (request) =>
      writeIf(
        (sql, now) =>
          Pauses.until(sql, request.queue) <= now &&
          Claiming.isClaimable(sql, Rows.queueId(sql.queue(request.queue)), now, request.maxPerKey),
        (writing) => Claiming.claim(writing, request, () => repair(writing))
      ).pipe(reported),

    checkpoint: (checkpoints) => write((writing) => Leases.checkpoint(writing, checkpoints)),

    decide: (decisions) => write((writing) => Reviews.decide(writing, decisions)),

    amend: ({ before, id, token, verification }) =>
      write(({ sql }) => sql.amendLast(verification, id, token, before) || sql.amend(verification, id, token, before)),

    settle: (settlements) => write((writing) => Settling.settle(writing, settlements)),

    start: (leases) => write((writing) => Leases.start(writing, leases)),

    extend: (leases, leaseMillis) => write((writing) => Leases.extend(writing, leases, leaseMillis)),

    sweep: (request) =>
      writeIf(
        (sql, now) => Sweeping.isSweepable(sql, Rows.queueId(sql.queue(request.queue)), now),
        (writing) => Sweeping.sweep(writing, request, () => repair(writing))
      ).pipe(reported),

    get: (ids) => read((sql) => ids.flatMap((id) => sql.task(id))),

    list: ({ after, contains, limit, queue, results, status }) =>
      read((sql) =>
        contains === null
          ? (status === null ? sql.list : sql.listOf[status])(after, limit, queue, results ? 1 : 0)
          : (status === null ? sql.search : sql.searchOf[status])(after, limit, queue, results ? 1 : 0, contains)
      ),

    attempts: (id) => read((sql) => sql.attempts(id)),

    counts: read((sql) => sql.counts()),

    workers: Effect.flatMap(Clock.currentTimeMillis, (now) => read((sql) => sql.workers(now))),

    requeue: (selection, { from }) => write((writing) => Administration.requeue(writing, selection, from)),

    revise: (revisions, { from }) => write((writing) => Administration.revise(writing, revisions, from)),

    failWaiting: (ids, { feedback, from }) =>
      write((writing) => Administration.failWaiting(writing, ids, from, feedback)),

    cancel: (selection, { from, reason }) =>
      write((writing) => Administration.cancel(writing, selection, from, reason)),

    prune: (selection, { from, unchangedMillis }) =>
      write((writing) => Administration.prune(writing, selection, from, unchangedMillis)),

    outlook: (queue, maxPerKey) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const read = snapshot((sql) => Reading.outlook(sql, queue, now, maxPerKey))
        return Effect.flatMap(read, (found) =>
          // Nothing will happen to the tasks that are left: they are not as the counts and indexes say.
          isRevived || found.drained || found.dueInMillis !== null
            ? Effect.succeed(found)
            : Effect.andThen(write(revive).pipe(reported), read)
        )
      }),

    control: read((sql) => sql.control()),

    request: (request) =>
      write(({ sql }) => {
        sql.revise(request === "stop" ? null : request === "pause" ? 1 : 0, request === "stop" ? 1 : 0)
        return sql.control()
      }),

    dump: ({ after, limit, queue }) =>
      snapshot((sql) =>
        sql.page(after, limit, queue).map((row) =>
          Object.assign(row, {
            waitsFor: sql.dependenciesOf(row.seq).map(({ dependency }) => dependency),
            attemptRows: sql.attemptsOf(row.seq)
          })
        )
      ),

    restore: (records) => write((writing) => Adding.restore(writing, records)),

    notifications: Notifications.make(logFile, dataVersion),

    pauses: {
      list: read(Pauses.list),
      set: (change) => write((writing) => Pauses.set(writing, change)),
      remove: (queue, revision) => write((writing) => Pauses.remove(writing, queue, revision))
    },

    progress: {
      save: (rows) => write((writing) => Progress.save(writing, rows)),
      read: (id) => read((sql) => Progress.read(sql, id))
    },

    texts: {
      read: (name) => read((sql) => sql.text(name)?.text ?? null),
      write: ({ before, isControl, name, text }) =>
        write(({ sql }) => {
          const isWritten = sql.saveText(name, text, before)
          if (isWritten && isControl) sql.revise(null, 0)
          return isWritten
        })
    },

    batches: {
      begin: (batch, requests) => write((writing) => Batches.begin(writing, batch, requests)),
      created: (run, id) => write(({ sql }) => sql.setBatchId(id, run)),
      find: (keys) => read((sql) => keys.flatMap((key) => Batches.entry(sql, key) ?? [])),
      take: (requests) => write(({ sql }) => Batches.take(sql, requests)),
      unanswered: (run) => read((sql) => Batches.unanswered(sql, run)),
      record: (run, answers) => write((writing) => Batches.record(writing, run, answers)),
      drop: (run) => write((writing) => Batches.drop(writing, run)),
      end: (run) => write(({ sql }) => sql.endBatch(run)),
      list: read(Batches.list),
      prune: (ageMillis) => write((writing) => Batches.prune(writing, ageMillis))
    },

    budgets: {
      reserve: (spending) => write((writing) => Budgets.reserve(writing, spending)),
      list: read(Budgets.list),
      set: (queue, change) => write((writing) => Budgets.set(writing, queue, change))
    }
  }
}
