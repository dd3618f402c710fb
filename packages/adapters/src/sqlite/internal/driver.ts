import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { OutlookRow, TaskStoreDriver } from "@baton/core/TaskStoreDriver"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Adding from "./adding.ts"
import * as Budgets from "./budgets.ts"
import type { Connection } from "./connection.ts"
import * as Notifications from "./notifications.ts"
import * as Rows from "./rows.ts"
import type { Statements } from "./statements.ts"
import * as Transitions from "./transitions.ts"

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
        (sql, now) => isClaimable(sql, Rows.queueId(sql.queue(request.queue)), now, request.maxPerKey),
        (writing) => Transitions.claim(writing, request)
      ),

    checkpoint: (checkpoints) => write((writing) => Transitions.checkpoint(writing, checkpoints)),

    settle: (settlements) => write((writing) => Transitions.settle(writing, settlements)),

    start: (leases) => write((writing) => Transitions.start(writing, leases)),

    extend: (leases, leaseMillis) => write((writing) => Transitions.extend(writing, leases, leaseMillis)),

    sweep: (request) =>
      writeIf(
        (sql, now) => leaseEnd(sql, Rows.queueId(sql.queue(request.queue))) <= now,
        (writing) => Transitions.sweep(writing, request)
      ),

    get: (ids) => read((sql) => ids.flatMap((id) => sql.task(id))),

    list: ({ after, limit, queue, status }) =>
      read((sql) => (status === null ? sql.page : sql.pageOf[status])(after, limit, queue)),

    attempts: (id) => read((sql) => sql.attempts(id)),

    counts: read((sql) => sql.counts()),

    requeue: (selection, { from }) => write((writing) => Transitions.requeue(writing, selection, from)),

    revise: (revisions, { from }) => write((writing) => Transitions.revise(writing, revisions, from)),

    failWaiting: (ids, { feedback, from }) => write((writing) => Transitions.failWaiting(writing, ids, from, feedback)),

    cancel: (selection, { from, reason }) => write((writing) => Transitions.cancel(writing, selection, from, reason)),

    prune: (selection, { from, unchangedMillis }) =>
      write((writing) => Transitions.prune(writing, selection, from, unchangedMillis)),

    outlook: (queue, maxPerKey) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => snapshot((sql) => outlook(sql, queue, now, maxPerKey))),

    control: read((sql) => sql.control()),

    request: (request) =>
      write(({ sql }) => {
        sql.revise(request === "stop" ? null : request === "pause" ? 1 : 0, request === "stop" ? 1 : 0)
        return sql.control()
      }),

    dump: ({ after, limit }) =>
      snapshot((sql) =>
        sql.page(after, limit, null).map((row) =>
          Object.assign(row, {
            waitsFor: sql.dependenciesOf(row.seq).map(({ dependency }) => dependency),
            attemptRows: sql.attemptsOf(row.seq)
          })
        )
      ),

    restore: (records) => write((writing) => Adding.restore(writing, records)),

    notifications: Notifications.make(logFile, dataVersion),

    budgets: {
      reserve: (spending) => write((writing) => Budgets.reserve(writing, spending)),
      list: read(Budgets.list),
      set: (queue, change) => write((writing) => Budgets.set(writing, queue, change))
    }
  }
}

const isClaimable = (sql: Statements, queue: number | null, now: number, maxPerKey: number): boolean =>
  nextAvailable(sql, queue, now) <= now || sql.dueKey(queue, now, maxPerKey) !== undefined

/** When the first task of a key that is not busy is available, in epoch milliseconds. */
const nextOfKeys = (sql: Statements, queue: number | null, maxPerKey: number): number =>
  Number(sql.nextKey(queue, maxPerKey)?.available_at ?? Infinity)

/** When the next task without a key of a queue is available, in epoch milliseconds; exact only if that is after `now`. */
const nextAvailable = (sql: Statements, queue: number | null, now: number): number => {
  let earliest = Infinity
  for (const part of sql.parts) {
    let upTo = Number.MAX_SAFE_INTEGER
    while (earliest > now) {
      const level = part.priority(queue, upTo)
      if (level === undefined) break
      earliest = Math.min(earliest, Number(level.available_at))
      upTo = Number(level.priority) - 1
    }
  }
  return earliest
}

/** When the first lease in a queue ends, in epoch milliseconds. */
const leaseEnd = (sql: Statements, queue: number | null): number => {
  const row = sql.leaseEnd(queue)
  return row === undefined ? Infinity : Number(row.lease_until)
}

const outlook = (sql: Statements, name: string, now: number, maxPerKey: number): OutlookRow => {
  const row = sql.queue(name)
  const queue = Rows.queueId(row)
  const due = Math.min(leaseEnd(sql, queue), nextAvailable(sql, queue, now), nextOfKeys(sql, queue, maxPerKey))
  return {
    dueInMillis: due === Infinity ? null : due - now,
    drained: row === undefined || (row.in_progress === 0 && row.pending === row.waiting),
    ...sql.control()
  }
}
