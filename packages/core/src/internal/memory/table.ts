import type { Task, TaskId, TaskStatus } from "../../Task.ts"
import type { Lease, Selection } from "../../TaskStore.ts"
import * as Heap from "./heap.ts"
import * as ReadyQueue from "./readyQueue.ts"
import { dueFirst, type HeldRow, isHeld, type Row } from "./row.ts"

/**
 * All rows, and for each question that is asked often a structure that answers it without looking at every row. A row is
 * in one of them at most: `ready` and `delayed` hold what is pending and not blocked, `leases` what is in progress.
 */
export interface Table {
  readonly byId: Map<TaskId, Row>
  /** By `seq`, which has gaps once tasks are pruned. */
  rows: Array<Row>
  nextSeq: number
  readonly ready: ReadyQueue.ReadyQueue
  readonly delayed: Heap.Heap<Row>
  readonly leases: Heap.Heap<Row>
  /** Who waits for a task; an entry goes when the task completes. */
  readonly dependants: Map<TaskId, Array<Row>>
  readonly counts: { -readonly [Status in TaskStatus | "waiting"]: number }
}

export const make = (): Table => ({
  byId: new Map(),
  rows: [],
  nextSeq: 0,
  ready: ReadyQueue.make(),
  delayed: Heap.make<Row>(dueFirst),
  leases: Heap.make<Row>(dueFirst),
  dependants: new Map(),
  counts: { pending: 0, in_progress: 0, completed: 0, failed: 0, cancelled: 0, waiting: 0 }
})

const count = (table: Table, row: Row, by: 1 | -1) => {
  table.counts[row.task.status] += by
  if (row.task.status === "pending" && row.blockers > 0) table.counts.waiting += by
}

const enqueue = (table: Table, row: Row, now: number) => {
  if (row.task.status === "in_progress") {
    table.leases.push(row)
  } else if (row.task.status === "pending" && row.blockers === 0) {
    const line = row.due <= now ? table.ready : table.delayed
    line.push(row)
  }
}

export const insert = (table: Table, row: Row, now: number) => {
  table.byId.set(row.task.id, row)
  table.rows.push(row)
  count(table, row, 1)
  enqueue(table, row, now)
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
    if (--row.blockers === 0 && row.task.status === "pending") {
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
    count(table, row, -1)
    table.byId.delete(row.task.id)
  }
  table.rows = table.rows.filter((row) => !gone.has(row))
}
