import type { Task, TaskId, TaskStatus } from "../../Task.ts"
import type { Lease, Selection } from "../../TaskStore.ts"
import * as Heap from "./heap.ts"
import * as ReadyQueue from "./readyQueue.ts"
import { dueFirst, type HeldRow, isHeld, noDependencies, type Row } from "./row.ts"

/** Is told of every row before it changes. */
export interface Witness {
  readonly born: (row: Row) => void
  readonly touch: (row: Row) => void
}

const nobody: Witness = { born: () => {}, touch: () => {} }

/**
 * All rows, and for each question that is asked often a structure that answers it without looking at every row. A row is
 * in one of them at most: `ready` and `delayed` hold what is pending and not blocked, `leases` what is in progress.
 */
export interface Table extends Contents {
  readonly witness: Witness
  nextSeq: number
}

interface Contents {
  byId: Map<TaskId, Row>
  /** By `seq`, which has gaps once tasks are pruned. */
  rows: Array<Row>
  ready: ReadyQueue.ReadyQueue
  delayed: Heap.Heap<Row>
  leases: Heap.Heap<Row>
  /** Who waits for a task; an entry goes when the task completes. */
  dependants: Map<TaskId, Array<Row>>
  counts: { [Status in TaskStatus | "waiting"]: number }
}

const empty = (): Contents => ({
  byId: new Map(),
  rows: [],
  ready: ReadyQueue.make(),
  delayed: Heap.make<Row>(dueFirst),
  leases: Heap.make<Row>(dueFirst),
  dependants: new Map(),
  counts: { pending: 0, in_progress: 0, completed: 0, failed: 0, cancelled: 0, waiting: 0 }
})

export const make = (witness = nobody): Table => ({ witness, nextSeq: 0, ...empty() })

const count = (table: Table, row: Row, by: 1 | -1) => {
  table.counts[row.task.status] += by
  if (row.task.status === "pending" && row.waitsFor.size > 0) table.counts.waiting += by
}

const enqueue = (table: Table, row: Row, now: number) => {
  if (row.task.status === "in_progress") {
    table.leases.push(row)
  } else if (row.task.status === "pending" && row.waitsFor.size === 0) {
    const line = row.due <= now ? table.ready : table.delayed
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
  count(table, row, 1)
  enqueue(table, row, now)
}

export const insert = (table: Table, row: Row, now: number) => {
  table.witness.born(row)
  index(table, row, now)
}

/** Makes these, by `seq`, the table's rows. */
export const rebuild = (table: Table, rows: ReadonlyArray<Row>, now: number) => {
  Object.assign(table, empty())
  for (const row of rows) {
    row.place = null
    index(table, row, now)
  }
}

/** Gives a row its next task; every index follows. */
export const change = (table: Table, row: Row, task: Task, due: number, now: number) => {
  row.place?.remove(row)
  count(table, row, -1)
  row.task = task
  row.due = due
  count(table, row, 1)
  enqueue(table, row, now)
}

/** Moves a running row's lease end. */
export const extend = (table: Table, row: Row, due: number) => {
  table.leases.remove(row)
  row.due = due
  table.leases.push(row)
}

/** Lets those go on that waited for this task. */
export const unblockDependants = (table: Table, id: TaskId, now: number) => {
  const dependants = table.dependants.get(id)
  if (dependants === undefined) return
  table.dependants.delete(id)
  for (const row of dependants) {
    // It may be pruned since.
    if (table.byId.get(row.task.id) !== row) continue
    table.witness.touch(row)
    row.waitsFor.delete(id)
    if (row.waitsFor.size === 0 && row.task.status === "pending") {
      table.counts.waiting--
      enqueue(table, row, now)
    }
  }
}

/** Makes those claimable whose time has come. */
export const promote = (table: Table, now: number) => {
  for (let row = table.delayed.peek(); row !== undefined && row.due <= now; row = table.delayed.peek()) {
    table.delayed.remove(row)
    table.ready.push(row)
  }
}

/** Those of these tasks that have not completed. */
export const incomplete = (table: Table, ids: ReadonlyArray<TaskId>): Set<TaskId> =>
  ids.length === 0 ? noDependencies : new Set(ids.filter((id) => table.byId.get(id)?.task.status !== "completed"))

/** The rows that a selection names, in its order. */
export const select = (table: Table, selection: Selection): ReadonlyArray<Row> =>
  "status" in selection
    ? table.rows.filter((row) => row.task.status === selection.status)
    : selection.ids.flatMap((id) => table.byId.get(id) ?? [])

/** The lease's row, if the lease is current. */
export const held = (table: Table, lease: Lease): HeldRow | undefined => {
  const row = table.byId.get(lease.taskId)
  return row !== undefined && isHeld(row) && row.holder.token === lease.token ? row : undefined
}

/** Forgets rows. */
export const drop = (table: Table, gone: ReadonlySet<Row>) => {
  for (const row of gone) {
    table.witness.touch(row)
    count(table, row, -1)
    table.byId.delete(row.task.id)
  }
  table.rows = table.rows.filter((row) => !gone.has(row))
}
