/**
 * A task store in MariaDB 10.8 or newer: an example of a store for a server that Baton does not support itself.
 *
 * A store is a `TaskStoreDriver`: transitions over plain rows, each in one transaction. `TaskStoreDriver.make` adds all that
 * is the same for every store. The contract suite in `@baton/core/testing` shows whether the driver is right; see
 * `examples/test/custom-store.test.ts`.
 */
import { TaskStore, TaskStoreDriver, TaskStoreError, UsageSum } from "@baton/core"
import { Duration, Effect, Layer, Predicate, Schedule, Stream } from "effect"
import { createPool, type PoolConnection, type RowDataPacket } from "mysql2/promise"
import * as Sql from "./statements.ts"

/** Where the database is: `mysql://USER:PASSWORD@HOST:3306/DATABASE`. */
export type Options = { readonly url: string }

type Row = Readonly<Record<string, unknown>>

/** Runs a statement. Rows have the names of the contract's columns; core checks their values. */
type Query = <A = Row>(
  statement: string,
  ...parameters: ReadonlyArray<unknown>
) => Effect.Effect<ReadonlyArray<A>, TaskStoreError>

/** The statements of a transaction, one after the other. */
type Body<A> = Generator<Effect.Effect<unknown, TaskStoreError>, A, never>

type LockedRow = TaskStoreDriver.LostLeaseRow & { readonly seq: unknown; readonly isCurrent: unknown }
type DumpedRow = Omit<TaskStoreDriver.RecordRow, "waitsFor" | "attemptRows"> & Row

/** Two transactions locked each other out, or added the same id: one of them starts over. */
const conflicts = new Set(["ER_LOCK_DEADLOCK", "ER_LOCK_WAIT_TIMEOUT", "ER_DUP_ENTRY"])
const afterConflict = Schedule.max([Schedule.jittered(Schedule.exponential("5 millis")), Schedule.recurs(10)])
const codeOf = (cause: unknown) => (Predicate.hasProperty(cause, "code") ? String(cause.code) : "")

const toError = (cause: unknown): TaskStoreError => {
  const isRefused = codeOf(cause).startsWith("ER_") && !conflicts.has(codeOf(cause))
  const message = `MariaDB did not carry out an operation: ${cause instanceof Error ? cause.message : String(cause)}`
  return new TaskStoreError({ reason: isRefused ? "Unusable" : "Unavailable", message, cause })
}

const attempt = <A>(body: () => PromiseLike<A>): Effect.Effect<A, TaskStoreError> =>
  Effect.tryPromise({ try: () => body(), catch: toError })

const queryOn =
  (connection: PoolConnection): Query =>
  <A>(statement: string, ...parameters: ReadonlyArray<unknown>) =>
    Effect.map(
      attempt(() => connection.query<Array<RowDataPacket & A>>(statement, [...parameters])),
      ([rows]) => (Array.isArray(rows) ? rows : [])
    )

const connect = (url: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => createPool({ uri: url, connectionLimit: 4, charset: "utf8mb4" })),
      (pool) => Effect.ignore(attempt(() => pool.end()))
    ),
    (pool) =>
      /** Runs `body` in one transaction, once more after a conflict. */
      <A>(body: (query: Query) => Body<A>): Effect.Effect<A, TaskStoreError> =>
        Effect.acquireUseRelease(
          attempt(() => pool.getConnection()),
          (connection) =>
            attempt(() => connection.query("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")).pipe(
              Effect.andThen(attempt(() => connection.beginTransaction())),
              Effect.andThen(Effect.gen(() => body(queryOn(connection)))),
              Effect.tap(() => attempt(() => connection.commit())),
              Effect.onError(() => Effect.ignore(attempt(() => connection.rollback())))
            ),
          (connection) => Effect.sync(() => connection.release())
        ).pipe(
          Effect.uninterruptible,
          Effect.retry({ schedule: afterConflict, while: ({ cause }) => conflicts.has(codeOf(cause)) })
        )
  )
const seqOf = ({ seq }: { readonly seq?: unknown }): number => Number(seq)
const idsOf = (rows: ReadonlyArray<{ readonly id?: unknown }>): ReadonlyArray<string> =>
  rows.map(({ id }) => String(id))
const byId = (rows: ReadonlyArray<Row>) => new Map(rows.map((row) => [String(row.id), row]))
const sumOf = (rows: ReadonlyArray<Row>) =>
  rows.map(({ usage }) => UsageSum.ofJson(String(usage))).reduce(UsageSum.add, UsageSum.zero)
const byTask = <A extends Row>(rows: ReadonlyArray<A>) => Map.groupBy(rows, ({ task }) => Number(task))

/** Whether the task that has this id already is another one. */
const isOther = (row: Row | undefined, { description, payload, queue }: TaskStoreDriver.NewTaskRow) =>
  row !== undefined &&
  (row.queue !== queue || row.payload !== payload || (payload === null && row.description !== description))
const details = ["description", "overrides", "metadata", "dependsOn", "priority"] as const
const isDifferent = (row: Row | undefined, task: TaskStoreDriver.NewTaskRow) =>
  row !== undefined && details.some((name) => row[name] !== task[name])
type PageRequest = Omit<Parameters<TaskStoreDriver.TaskStoreDriver["list"]>[0], "results" | "contains">
const pageOf = ({ after, limit, queue, status }: PageRequest) => [after, status, status, queue, queue, limit]
type Link = TaskStoreDriver.AddReply["unknown"][number]

/** Locks the tasks of links, so that no dependency completes before its dependants are written. */
const lockLinked = (query: Query, links: ReadonlyArray<Link>) =>
  links.length === 0
    ? Effect.succeed(new Map<string, Row>())
    : Effect.map(query(Sql.present, Array.from(new Set(links.flatMap(({ dependency, id }) => [id, dependency])))), byId)

/** Frees the tasks that wait for these. */
const free = Effect.fnUntraced(function* (query: Query, completed: ReadonlyArray<string>) {
  if (completed.length === 0) return
  for (const statement of [Sql.free, Sql.forgetDependencies]) yield* query(statement, completed)
})

/** Lets tasks wait for those of their dependencies that have not completed. */
const link = Effect.fnUntraced(function* (query: Query, links: ReadonlyArray<Link>, rows: ReadonlyMap<string, Row>) {
  const open = links
    .filter(({ dependency }) => rows.get(dependency)?.status !== "completed")
    .map(({ dependency, id }) => ({ dependency, seq: seqOf(rows.get(id) ?? {}) }))
  if (open.length === 0) return
  yield* query(Sql.addDependencies, JSON.stringify(open))
  yield* query(Sql.block, open.map(seqOf))
})

/** Ends attempts, and changes their tasks. */
const settle = Effect.fnUntraced(function* (query: Query, current: ReadonlyArray<{ id: string; outcome: string }>) {
  for (const statement of [Sql.endSettled, Sql.settle]) yield* query(statement, JSON.stringify(current))
  yield* free(query, idsOf(current.filter(({ outcome }) => outcome === "completed")))
})

const make = Effect.fnUntraced(function* ({ url }: Options) {
  const transaction = yield* connect(url)
  const one = <A = Row>(statement: string, ...parameters: ReadonlyArray<unknown>) =>
    transaction(function* (query) {
      return yield* query<A>(statement, ...parameters)
    })
  const single = <A extends object>(statement: string, ...parameters: ReadonlyArray<unknown>) =>
    Effect.flatMap(one<A>(statement, ...parameters), ([row]) =>
      row === undefined ? Effect.die("baton_store is empty") : Effect.succeed(row)
    )
  for (const table of Sql.tables) yield* one(table)

  /** Writes for the rows with this token and status, and returns the other leases. */
  const underLeases = <A extends TaskStoreDriver.LeaseRow>(
    leases: ReadonlyArray<A>,
    write: (query: Query, current: ReadonlyArray<A & { seq: number }>) => Effect.Effect<unknown, TaskStoreError>,
    status: TaskStoreDriver.SettlementRow["status"] | "in_progress" = "in_progress"
  ) =>
    transaction(function* (query) {
      const rows = yield* query<LockedRow>(Sql.lock, status, JSON.stringify(leases))
      const current = rows.flatMap(({ index, isCurrent, seq }) => {
        const lease = leases[Number(index)]
        return isCurrent === 1 && lease !== undefined ? [{ ...lease, seq: Number(seq) }] : []
      })
      if (current.length > 0) yield* write(query, current)
      return rows.filter(({ isCurrent }) => isCurrent !== 1).map((row) => ({ ...row, index: Number(row.index) }))
    })

  /** Changes the selected rows whose status is one of `from`. */
  const change = (
    selection: TaskStoreDriver.SelectionRow,
    from: ReadonlyArray<string>,
    write: (query: Query, rows: ReadonlyArray<Row>) => Body<ReadonlyArray<Row>>
  ) =>
    transaction(function* (query) {
      const found = yield* "ids" in selection
        ? query(Sql.selectIds, selection.ids, from)
        : query(Sql.selectPage, ...pageOf(selection))
      const changed = found.length === 0 ? [] : yield* Effect.gen(() => write(query, found))
      const interrupted = changed.filter(({ status }) => status === "in_progress").length
      const last = "ids" in selection || found.length < selection.limit ? undefined : found.at(-1)
      return { ids: idsOf(changed), interrupted, last: last === undefined ? null : seqOf(last) }
    })

  const driver: TaskStoreDriver.TaskStoreDriver = {
    place: "The MariaDB database",
    limits: { characters: 4_000_000, idBytes: Sql.idBytes },
    // MariaDB has no notifications: waiting fibers look twice a second.
    notifications: {
      changes: Stream.never,
      pollInterval: { listening: Duration.millis(500), disconnected: Duration.millis(500) }
    },
    contendedPause: Duration.millis(20),

    add: (tasks, { checkOnly }) =>
      transaction(function* (query) {
        const [store] = yield* query(Sql.floor)
        const before = byId(yield* query(Sql.present, idsOf(tasks)))
        const fresh = tasks.filter(({ id }) => !before.has(id))
        if (fresh.length > 0) yield* query(Sql.add, store?.tokenFloor, JSON.stringify(fresh))
        const links = fresh.flatMap(({ dependencies, id }) => dependencies.map((dependency) => ({ id, dependency })))
        const parents = yield* lockLinked(query, links)
        const reply = {
          existing: Array.from(before.keys()),
          conflicts: idsOf(tasks.filter((task) => isOther(before.get(task.id), task))),
          different: idsOf(tasks.filter((task) => isDifferent(before.get(task.id), task))),
          unknown: links.filter(({ dependency }) => !parents.has(dependency))
        }
        if (checkOnly || reply.conflicts.length > 0 || reply.unknown.length > 0) yield* query("ROLLBACK")
        else yield* link(query, links, parents)
        return reply
      }),
    claim: ({ call, leaseMillis, limit, owner, queue, unanswered }) =>
      transaction(function* (query) {
        const before = unanswered.length === 0 ? [] : yield* query(Sql.claimedBefore, owner, unanswered, limit)
        const seqs = (before.length > 0 ? before : yield* query(Sql.claimable, queue, limit)).map(seqOf)
        if (seqs.length === 0) return []
        if (before.length > 0) yield* query(Sql.renew, call, leaseMillis, seqs)
        else yield* query(Sql.claim, owner, call, leaseMillis, seqs)
        return yield* query<TaskStoreDriver.ClaimRow>(Sql.claimed, seqs)
      }),
    checkpoint: (checkpoints) =>
      underLeases(checkpoints, (query, current) => query(Sql.checkpoint, JSON.stringify(current))),
    settle: (settlements) => underLeases(settlements, settle),
    decide: (decisions) =>
      underLeases(
        decisions.map((row) => ({ ...row, availableInMillis: 0 })),
        settle,
        "in_review"
      ),
    amend: ({ before, id, token, verification }) =>
      transaction(function* (query) {
        yield* query(Sql.present, [id])
        return (yield* query(Sql.amend, verification, id, token, before)).length > 0
      }),
    extend: (leases, leaseMillis) =>
      underLeases(leases, (query, current) => query(Sql.extend, leaseMillis, current.map(seqOf))),
    sweep: ({ failFromAttempts, limit, message: { afterOwner, beforeOwner }, queue }) =>
      transaction(function* (query) {
        const seqs = (yield* query(Sql.expired, queue, limit)).map(seqOf)
        if (seqs.length === 0) return []
        yield* query(Sql.endInterrupted, "lease_expired", beforeOwner, afterOwner, seqs)
        yield* query(Sql.sweep, failFromAttempts, failFromAttempts, beforeOwner, afterOwner, seqs)
        return yield* query<TaskStoreDriver.SweptRow>(Sql.swept, seqs)
      }),
    get: (ids) => one(Sql.get, ids),
    list: (page) => one(Sql.list, ...pageOf(page)),
    attempts: (id) => one<TaskStoreDriver.AttemptRow>(Sql.attempts, [id], [id]),
    // Reads all tasks. A store for millions of them has counters, which change in the writes that change the tasks.
    counts: transaction(function* (query) {
      const used = Map.groupBy(yield* query(Sql.usages), ({ queue }) => queue)
      const rows = yield* query<TaskStoreDriver.CountsRow>(Sql.counts)
      return rows.map((row) => Object.assign(row, sumOf(used.get(row.queue) ?? [])))
    }),
    workers: one(Sql.workers),
    requeue: (selection, { from }) =>
      change(selection, from, function* (query, rows) {
        yield* query(Sql.requeue, rows.map(seqOf))
        return rows
      }),
    cancel: (selection, { from, reason }) =>
      change(selection, from, function* (query, rows) {
        const running = rows.filter(({ status }) => status === "in_progress").map(seqOf)
        if (running.length > 0) yield* query(Sql.endInterrupted, "cancelled", reason, null, running)
        if (running.length > 0) yield* query(Sql.revise)
        yield* query(Sql.cancel, rows.map(seqOf))
        return rows
      }),
    prune: (selection, { from, unchangedMillis }) =>
      change(selection, from, function* (query, rows) {
        const gone = rows.filter((row) => !Number(row.awaited) && Number(row.age) >= (unchangedMillis ?? -Infinity))
        if (gone.length === 0) return []
        yield* query(Sql.raiseFloor, Math.max(...gone.map(({ token }) => Number(token))))
        yield* query(Sql.prune, gone.map(seqOf))
        return gone
      }),
    outlook: (queue) => single(Sql.outlook, queue, queue),
    control: single(Sql.control),
    request: (request) => Effect.andThen(one(Sql.request[request]), single<TaskStoreDriver.ControlRow>(Sql.control)),
    dump: (page) =>
      transaction(function* (query) {
        const rows = yield* query<DumpedRow>(Sql.list, ...pageOf({ ...page, status: null }))
        if (rows.length === 0) return []
        const attempts = byTask(yield* query<TaskStoreDriver.AttemptRow & Row>(Sql.attempts, idsOf(rows), idsOf(rows)))
        const waitsFor = byTask(yield* query(Sql.waitsFor, rows.map(seqOf)))
        return rows.map((row) => ({
          ...row,
          waitsFor: (waitsFor.get(seqOf(row)) ?? []).map(({ dependency }) => dependency),
          attemptRows: attempts.get(seqOf(row)) ?? []
        }))
      }),
    restore: (records) =>
      transaction(function* (query) {
        const existing = yield* query(Sql.present, idsOf(records))
        if (existing.length > 0) return idsOf(existing)
        yield* query(Sql.restoreTasks, JSON.stringify(records.map(restoredTask)))
        const attempts = records.flatMap(({ attemptRows, id }) =>
          attemptRows.filter(({ endedAt }) => endedAt !== null).map((row) => ({ ...row, id }))
        )
        if (attempts.length > 0) yield* query(Sql.restoreAttempts, JSON.stringify(attempts))
        const links = records.flatMap(({ id, waitsFor }) => waitsFor.map((dependency) => ({ id, dependency })))
        yield* link(query, links, yield* lockLinked(query, links))
        yield* free(query, idsOf(records.filter(({ status }) => status === "completed")))
        return []
      })
  }
  return yield* TaskStoreDriver.make(driver)
})

/** The lease of a task in progress has expired, so that the next sweep takes it. */
const restoredTask = ({ attemptRows, ...record }: TaskStoreDriver.RestoreRow) => {
  const last = attemptRows.at(-1)
  if (record.status === "completed") return { ...record, execution: last?.execution }
  const failed = attemptRows.findLast(({ outcome }) => ["retried", "failed", "completed"].includes(outcome))
  const other = { ...record, previousExecution: failed?.execution, startedAt: last?.startedAt, owner: last?.owner }
  const saved = { savedExecution: last?.execution, savedUsage: last?.usage, leaseUntil: 0 }
  return record.status === "in_progress" ? { ...other, ...saved } : other
}

/** A store in the database at `url`. Creates its tables if there are none. */
export const layer = (options: Options): Layer.Layer<TaskStore.TaskStore, TaskStoreError> =>
  Layer.effect(TaskStore.TaskStore, make(options))
