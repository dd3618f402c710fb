import * as Heap from "./heap.ts"
import { dueFirst, type Row } from "./row.ts"

/** The claimable rows in the order of claiming: higher priority first, then by `dueFirst`. */
export interface ReadyQueue {
  readonly peek: () => Row | undefined
  readonly push: (row: Row) => void
}

/**
 * The rows of one priority. Nearly all become claimable in the order in which they will be claimed, so they go into an
 * array, at the same cost for any number of rows; a heap of a million rows costs 3 µs more per row. Only rows that arrive
 * out of order go into a heap.
 */
interface Lane extends Heap.Member<Lane> {
  readonly priority: number
  readonly inOrder: Run
  readonly outOfOrder: Heap.Heap<Row>
}

export const make = (): ReadyQueue => {
  const lanes = new Map<number, Lane>()
  const order = Heap.make<Lane>((left, right) => left.priority > right.priority)

  const open = (priority: number): Lane => {
    const lane = { priority, inOrder: makeRun(), outOfOrder: Heap.make<Row>(dueFirst), place: null, slot: 0 }
    lanes.set(priority, lane)
    order.push(lane)
    return lane
  }

  return {
    push: (row) => {
      const { priority } = row.task
      const lane = lanes.get(priority) ?? open(priority)
      if (!lane.inOrder.append(row)) lane.outOfOrder.push(row)
    },
    peek: () => {
      for (let lane = order.peek(); lane !== undefined; lane = order.peek()) {
        const inOrder = lane.inOrder.peek()
        const outOfOrder = lane.outOfOrder.peek()
        if (inOrder === undefined && outOfOrder === undefined) {
          order.remove(lane)
          lanes.delete(lane.priority)
        } else {
          return outOfOrder === undefined || (inOrder !== undefined && dueFirst(inOrder, outOfOrder))
            ? inOrder
            : outOfOrder
        }
      }
      return undefined
    }
  }
}

/** Rows in the order of `dueFirst`, taken from the front; one that is removed elsewhere leaves a hole. */
interface Run extends Heap.Place<Row> {
  readonly peek: () => Row | undefined
  /** Whether the row was taken: it is refused when it would have to go before the last one. */
  readonly append: (row: Row) => boolean
}

const makeRun = (): Run => {
  let rows: Array<Row | undefined> = []
  let front = 0
  /** How many rows were cut off before `rows[0]`. Slots count them, so that cutting moves no row. */
  let cut = 0
  /** The key of the last row; the row itself changes once it is claimed. */
  let last = { due: -Infinity, seq: -1 }

  const run: Run = {
    peek: () => {
      while (front < rows.length && rows[front] === undefined) front++
      if (front > 1024 && front * 2 > rows.length) {
        rows = rows.slice(front)
        cut += front
        front = 0
      }
      return rows[front]
    },
    append: (row) => {
      if (run.peek() !== undefined && dueFirst(row, last)) return false
      row.place = run
      row.slot = cut + rows.length
      rows.push(row)
      last = { due: row.due, seq: row.seq }
      return true
    },
    remove: (row) => {
      row.place = null
      rows[row.slot - cut] = undefined
    }
  }
  return run
}
