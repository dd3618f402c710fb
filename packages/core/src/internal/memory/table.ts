import type { Budget } from "../../Budget.ts"
import type { PauseTimes } from "../../QueuePause.ts"
import type { TaskStatus } from "../../Task.ts"
import type { LeaseRow, Page, SelectionRow } from "../../TaskStoreDriver.ts"
import type { Batches } from "./batches.ts"
import * as UsageSum from "../../UsageSum.ts"
import * as Heap from "./heap.ts"
import * as ReadyQueue from "./readyQueue.ts"
import { dueFirst, isLeased, type LeasedRow, noDependencies, type Row, type TaskColumns } from "./row.ts"

/** Called before each change of a row. */
export interface Observer {
  readonly inserting: (row: Row) => void
  readonly changing: (row: Row) => void
  readonly changingBudgets: (budgets: ReadonlyMap<string, Budget>) => void
  readonly changingPauses: (pauses: ReadonlyMap<string, PauseColumns>) => void
  readonly changingBatches: (batches: Batches) => void
}

/** A pause, with its times in epoch milliseconds. */
export interface PauseColumns extends PauseTimes {
  readonly queue: string
  readonly reason: string
  readonly revision: number
}

const noObserver: Observer = {
  inserting: () => {},
  changing: () => {},
  changingBudgets: () => {},
  changingPauses: () => {},
  changingBatches: () => {}
}

/**
 * The rows of a queue that something happens to next. A row is in at most one of `ready`, `delayed` and `leases`: the first
 * two hold pending tasks that wait for no other task, the third tasks in progress.
 */
interface Lines {
  readonly ready: ReadyQueue.ReadyQueue
  readonly delayed: Heap.Heap<Row>
  readonly leases: Heap.Heap<Row>
  readonly counts: Counts
  usage: UsageSum.UsageSum
}

export type Counts = { [Status in TaskStatus | "waiting"]: number }

const emptyLines = (): Lines => ({
  ready: ReadyQueue.make(),
  delayed: Heap.make<Row>(dueFirst),
  leases: Heap.make<Row>(dueFirst),
  counts: { pending: 0, in_progress: 0, in_review: 0, completed: 0, failed: 0, cancelled: 0, waiting: 0 },
  usage: UsageSum.zero
})

/** All rows, with an index for each frequent question. */
export interface Table extends Contents {
  readonly observer: Observer
  nextSeq: number
  /** Greater than every token of a task that was pruned: an id that is added again starts above it. */
  tokenFloor: number
  /** By queue. Replaced with each change, so that an observer can keep it. */
  budgets: ReadonlyMap<string, Budget>
  /** By queue, and replaced with each change. */
  pauses: ReadonlyMap<string, PauseColumns>
  batches: Batches
}

interface Contents {
  byId: Map<string, Row>
  /** By `seq`, which has gaps once tasks are pruned. */
  rows: Array<Row>
  queues: Map<string, Lines>
  /** The rows that wait for a task; an entry is deleted when the task completes. */
  dependants: Map<string, Array<Row>>
}

const empty = (): Contents => ({
  byId: new Map(),
  rows: [],
  queues: new Map(),
  dependants: new Map()
})

/** The rows of a queue; empty for one that is not known. */
export const linesOf = (table: Contents, queue: string): Lines => {
  const known = table.queues.get(queue)
  if (known !== undefined) return known
  const lines = emptyLines()
  table.queues.set(queue, lines)
  return lines
}

export const make = (
  observer = noObserver,
  tokenFloor = 0,
  budgets: ReadonlyMap<string, Budget> = new Map(),
  pauses: ReadonlyMap<string, PauseColumns> = new Map(),
  batches: Batches = { runs: new Map(), requests: new Map() }
): Table => ({ observer, nextSeq: 1, tokenFloor, budgets, pauses, batches, ...empty() })

const count = ({ counts, ready }: Lines, { task, waitsFor }: Row, by: 1 | -1) => {
  counts[task.status] += by
  if (task.concurrencyKey !== null && task.status === "in_progress") ready.countRunning(task.concurrencyKey, by)
  if (task.status === "pending" && waitsFor.size > 0) counts.waiting += by
}

/** Counts that the usage of a task changes. */
const meter = (lines: Lines, before: string | null, after: string | null) => {
  if (before !== after) lines.usage = UsageSum.add(lines.usage, UsageSum.change(before, after))
}

const enqueue = (lines: Lines, row: Row, now: number) => {
  if (row.task.status === "in_progress") {
    lines.leases.push(row)
  } else if (row.task.status === "pending" && row.waitsFor.size === 0) {
    const line = row.due <= now ? lines.ready : lines.delayed
    line.push(row)
  }
}

const index = (table: Table, row: Row, now: number) => {
  table.byId.set(row.task.id, row)
  table.rows.push(row)
  for (const id of row.waitsFor) {
    const dependants = table.dependants.get(id)
    if (dependants === undefined) table.dependants.set(id, [row])
    else dependants.push(row)
  }
  const lines = linesOf(table, row.task.queue)
  count(lines, row, 1)
  meter(lines, null, row.task.usage)
  enqueue(lines, row, now)
}

export const insert = (table: Table, row: Row, now: number) => {
  table.observer.inserting(row)
  index(table, row, now)
}

/**
 * Replaces all rows by these, which are sorted by `seq`. Concurrency keys keep their turns, except for these, whose turns are
 * undone.
 */
export const rebuild = (table: Table, rows: ReadonlyArray<Row>, now: number, undone: ReadonlySet<string>) => {
  const { queues } = table
  Object.assign(table, empty())
  for (const row of rows) {
    row.place = null
    index(table, row, now)
  }
  for (const [queue, { ready }] of queues) table.queues.get(queue)?.ready.keepTurns(ready, undone)
}

/** Replaces the task of a row, and updates the indexes. */
export const change = (table: Table, row: Row, task: TaskColumns, due: number, now: number) => {
  const lines = linesOf(table, task.queue)
  row.place?.remove(row)
  count(lines, row, -1)
  meter(lines, row.task.usage, task.usage)
  row.task = task
  row.due = due
  count(lines, row, 1)
  enqueue(lines, row, now)
}

/** Replaces the task of a row by one that differs in nothing that an index reads. */
export const replace = (table: Table, row: Row, task: TaskColumns) => {
  meter(linesOf(table, task.queue), row.task.usage, task.usage)
  row.task = task
}

/** Moves a running row's lease end. */
export const extend = (table: Table, row: Row, due: number) => {
  const { leases } = linesOf(table, row.task.queue)
  leases.remove(row)
  row.due = due
  leases.push(row)
}

/** Frees the tasks that wait for this one. */
export const unblockDependants = (table: Table, id: string, now: number) => {
  const dependants = table.dependants.get(id)
  if (dependants === undefined) return
  table.dependants.delete(id)
  for (const row of dependants) {
    // It may have been pruned.
    if (table.byId.get(row.task.id) !== row) continue
    table.observer.changing(row)
    row.waitsFor.delete(id)
    if (row.waitsFor.size === 0 && row.task.status === "pending") {
      const lines = linesOf(table, row.task.queue)
      lines.counts.waiting--
      enqueue(lines, row, now)
    }
  }
}

/** Makes the tasks claimable whose time has come. */
export const promote = ({ delayed, ready }: Lines, now: number) => {
  for (let row = delayed.peek(); row !== undefined && row.due <= now; row = delayed.peek()) {
    delayed.remove(row)
    ready.push(row)
  }
}

/** The tasks among these that have not completed. */
export const incomplete = (table: Table, ids: ReadonlyArray<string>): Set<string> =>
  ids.length === 0 ? noDependencies : new Set(ids.filter((id) => table.byId.get(id)?.task.status !== "completed"))

/** The rows of a selection, and the `seq` of the last one that was looked at if there may be more. */
export const select = (
  table: Table,
  selection: SelectionRow
): { readonly rows: ReadonlyArray<Row>; readonly last: number | null } => {
  if ("ids" in selection) return { rows: selection.ids.flatMap((id) => table.byId.get(id) ?? []), last: null }
  const rows = page(table, selection)
  return { rows, last: rows.length < selection.limit ? null : (rows.at(-1)?.seq ?? null) }
}

/** Up to `limit` rows after `after`, by `seq`. */
export const page = (
  table: Table,
  { after, limit, queue, status }: Page & { readonly status: TaskStatus | null; readonly queue: string | null }
): ReadonlyArray<Row> => {
  const rows: Array<Row> = []
  for (let index = firstAfter(table.rows, after); index < table.rows.length && rows.length < limit; index++) {
    const row = table.rows[index]
    if (row === undefined || (status !== null && row.task.status !== status)) continue
    if (queue === null || row.task.queue === queue) rows.push(row)
  }
  return rows
}

/** Where the rows after `seq` start; rows are sorted by `seq`. */
const firstAfter = (rows: ReadonlyArray<Row>, seq: number) => {
  let low = 0
  let high = rows.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const row = rows[middle]
    if (row !== undefined && row.seq <= seq) low = middle + 1
    else high = middle
  }
  return low
}

/** The row of a lease, if the lease is current. */
export const leased = (table: Table, { id, token }: LeaseRow): LeasedRow | undefined => {
  const row = table.byId.get(id)
  return row !== undefined && isLeased(row) && row.lease.token === token ? row : undefined
}

/** Whether a pending task waits for this one. */
export const isAwaited = (table: Table, { task }: Row): boolean =>
  table.dependants.get(task.id)?.some((row) => row.task.status === "pending" && table.byId.get(row.task.id) === row) ===
  true

/** Deletes rows. */
export const drop = (table: Table, gone: ReadonlySet<Row>) => {
  for (const row of gone) {
    table.observer.changing(row)
    const lines = linesOf(table, row.task.queue)
    count(lines, row, -1)
    meter(lines, row.task.usage, null)
    table.byId.delete(row.task.id)
    table.tokenFloor = Math.max(table.tokenFloor, row.task.token)
  }
  table.rows = table.rows.filter((row) => !gone.has(row))
}
