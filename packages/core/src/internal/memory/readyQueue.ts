import * as Heap from "./heap.ts"
import * as KeyLine from "./keyLine.ts"
import { claimedFirst, dueFirst, hadAttempt, type Row } from "./row.ts"

/**
 * The rows whose time has come, in the order of claiming: higher priority first, then by `claimedFirst`. Rows with a concurrency
 * key wait in the line of keys, and only the first of them competes with the other rows.
 */
export interface ReadyQueue {
  /** The next row whose key, if it has one, has fewer than `maxPerKey` rows in progress. */
  readonly peek: (maxPerKey: number) => Row | undefined
  readonly push: (row: Row) => void
  /** Ends the turn of the row's key. Called before the row is claimed. */
  readonly endTurn: (row: Row) => void
  /** Takes over the order of another line, except for these keys, which come before the others. */
  readonly keepTurns: (other: ReadyQueue, first: ReadonlySet<string>) => void
  /** The keys of a priority, in the order of their turns. */
  readonly turns: (priority: number) => ReadonlyArray<string>
  /** Counts the rows in progress of a key. */
  readonly countRunning: (key: string, by: 1 | -1) => void
}

/**
 * The rows of one priority. Nearly all become claimable in the order in which they will be claimed, so they go into an
 * array, at the same cost for any number of rows; a heap of a million rows costs 3 µs more per row. Only rows that arrive
 * out of order, or have had an attempt, go into a heap.
 */
interface Lane extends Heap.Member<Lane> {
  readonly priority: number
  readonly inOrder: Run
  readonly outOfOrder: Heap.Heap<Row>
  /** Set once a row with a key arrives. */
  keys: KeyLine.KeyLine | undefined
}

export const make = (): ReadyQueue => {
  const lanes = new Map<number, Lane>()
  const order = Heap.make<Lane>((left, right) => left.priority > right.priority)

  const running = new Map<string, number>()

  const open = (priority: number): Lane => {
    const lane = {
      priority,
      inOrder: makeRun(),
      outOfOrder: Heap.make<Row>(claimedFirst),
      keys: undefined,
      place: null,
      slot: 0
    }
    lanes.set(priority, lane)
    order.push(lane)
    return lane
  }

  const first = ({ inOrder, keys, outOfOrder }: Lane, maxPerKey: number): Row | undefined => {
    const row = earlier(inOrder.peek(), outOfOrder.peek())
    return keys === undefined
      ? row
      : earlier(
          row,
          keys.peek((key) => (running.get(key) ?? 0) >= maxPerKey)
        )
  }

  return {
    push: (row) => {
      const { concurrencyKey, priority } = row.task
      const lane = lanes.get(priority) ?? open(priority)
      if (concurrencyKey !== null) (lane.keys ??= KeyLine.make()).push(concurrencyKey, row)
      else if (!lane.inOrder.append(row)) lane.outOfOrder.push(row)
    },
    peek: (maxPerKey) => {
      for (let lane = order.peek(); lane !== undefined; lane = order.peek()) {
        const row = first(lane, maxPerKey)
        if (row !== undefined) return row
        if (lane.keys?.isEmpty() === false) break
        order.remove(lane)
        lanes.delete(lane.priority)
      }
      if (lanes.size < 2) return undefined
      // All keys of the highest priority are busy.
      const byPriority = Array.from(lanes.values()).sort((left, right) => right.priority - left.priority)
      for (const lane of byPriority) {
        const row = first(lane, maxPerKey)
        if (row !== undefined) return row
      }
      return undefined
    },
    endTurn: ({ task: { concurrencyKey, priority } }) => {
      if (concurrencyKey !== null) lanes.get(priority)?.keys?.moveToEnd(concurrencyKey)
    },
    keepTurns: (other, first) => {
      for (const { keys, priority } of lanes.values()) {
        if (keys === undefined) continue
        for (const key of other.turns(priority)) if (!first.has(key)) keys.moveToEnd(key)
      }
    },
    turns: (priority) => lanes.get(priority)?.keys?.keys() ?? [],
    countRunning: (key, by) => {
      const count = (running.get(key) ?? 0) + by
      if (count === 0) running.delete(key)
      else running.set(key, count)
    }
  }
}

const earlier = (left: Row | undefined, right: Row | undefined): Row | undefined =>
  right === undefined || (left !== undefined && claimedFirst(left, right)) ? left : right

/** Rows without an earlier attempt in the order of `dueFirst`, taken from the front; one that is removed elsewhere leaves a hole. */
interface Run extends Heap.Place<Row> {
  readonly peek: () => Row | undefined
  /** Whether the row was taken: it is refused when it would have to go before the last one or has had an attempt. */
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
      if (hadAttempt(row) || (run.peek() !== undefined && dueFirst(row, last))) return false
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
