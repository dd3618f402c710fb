import * as Heap from "./heap.ts"
import { claimedFirst, type Row } from "./row.ts"

/** The claimable rows of one priority that have a concurrency key. Keys take turns. */
export interface KeyLine {
  /** The first row of the first key that is not busy. */
  readonly peek: (isBusy: (key: string) => boolean) => Row | undefined
  readonly push: (key: string, row: Row) => void
  /** Puts the key at the end of the line, because one of its rows is claimed. */
  readonly moveToEnd: (key: string) => void
  readonly isEmpty: () => boolean
  /** The keys, in the order of the line. */
  readonly keys: () => ReadonlyArray<string>
}

export const make = (): KeyLine => {
  /** In the order of the line: a `Map` keeps its entries in the order in which they were added. */
  const line = new Map<string, Heap.Heap<Row>>()
  return {
    peek: (isBusy) => {
      for (const [key, rows] of line) {
        const row = rows.peek()
        if (row === undefined) line.delete(key)
        else if (!isBusy(key)) return row
      }
      return undefined
    },
    push: (key, row) => {
      const known = line.get(key)
      if (known !== undefined) return known.push(row)
      const rows = Heap.make<Row>(claimedFirst)
      line.set(key, rows)
      rows.push(row)
    },
    moveToEnd: (key) => {
      const rows = line.get(key)
      if (rows === undefined) return
      line.delete(key)
      line.set(key, rows)
    },
    isEmpty: () => line.size === 0,
    keys: () => Array.from(line.keys())
  }
}
