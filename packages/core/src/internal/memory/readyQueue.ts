import * as Heap from "./heap.ts"
import { dueFirst, type Row } from "./row.ts"

/** What can be claimed, in the order of claiming: higher priority first, then by `dueFirst`. */
export interface ReadyQueue {
  readonly peek: () => Row | undefined
  readonly push: (row: Row) => void
}

/**
 * The rows of one priority. Nearly all become claimable in the order in which they will be claimed, so they go into a
 * plain array and cost the same however many there are; a heap of a million costs 3 µs per row more. Only those that
 * come out of turn are sorted by a heap.
 */
interface Lane extends Heap.Member<Lane> {
  readonly priority: number
  readonly inTurn: Run
  readonly outOfTurn: Heap.Heap<Row>
}

export const make = (): ReadyQueue => {
  const lanes = new Map<number, Lane>()
  const order = Heap.make<Lane>((left, right) => left.priority > right.priority)

  const open = (priority: number): Lane => {
    const lane = { priority, inTurn: makeRun(), outOfTurn: Heap.make<Row>(dueFirst), place: null, slot: 0 }
    lanes.set(priority, lane)
    order.push(lane)
    return lane
  }

  return {
    push: (row) => {
      const { priority } = row.task
      const lane = lanes.get(priority) ?? open(priority)
      if (!lane.inTurn.append(row)) lane.outOfTurn.push(row)
    },
    peek: () => {
      for (let lane = order.peek(); lane !== undefined; lane = order.peek()) {
        const inTurn = lane.inTurn.peek()
        const outOfTurn = lane.outOfTurn.peek()
        if (inTurn === undefined && outOfTurn === undefined) {
          order.remove(lane)
          lanes.delete(lane.priority)
        } else {
          return outOfTurn === undefined || (inTurn !== undefined && dueFirst(inTurn, outOfTurn)) ? inTurn : outOfTurn
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
  /** How many rows were cut off before `rows[0]`: slots count them, so that cutting moves nothing. */
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
