import type { TaskId } from "../../Task.ts"
import type { TaskRecord } from "../../TaskRecord.ts"
import * as Ledger from "./ledger.ts"
import type { Row, State } from "./row.ts"
import * as Table from "./table.ts"

/** What has changed in a table. */
export interface Difference {
  /** In the order of adding. */
  readonly written: ReadonlyArray<TaskRecord>
  readonly removed: ReadonlyArray<TaskId>
}

/** Rows as they were before they changed; undefined for those that were not there. */
type Before = Map<Row, State | undefined>

/**
 * Remembers what changes in a table, so that it can be kept elsewhere, or undone where it cannot. Changes come in two
 * parts: what was taken to be kept, and what has changed since.
 */
export interface Journal extends Table.Witness {
  /** Whatever changed and has not been taken yet. */
  readonly take: (table: Table.Table) => Difference
  /** What was taken is kept. */
  readonly confirm: () => void
  /** Puts the table back to where it was before what was taken, and before what came after. */
  readonly undo: (table: Table.Table, now: number) => void
}

export const make = (onChange: () => void): Journal => {
  let taken: Before = new Map()
  let fresh: Before = new Map()
  return {
    born: (row) => {
      fresh.set(row, undefined)
      onChange()
    },
    touch: (row) => {
      if (!fresh.has(row)) fresh.set(row, stateOf(row))
      onChange()
    },
    take: (table) => {
      taken = fresh
      fresh = new Map()
      const isThere = (row: Row) => table.byId.get(row.task.id) === row
      const rows = Array.from(taken.keys())
      return {
        written: rows
          .filter(isThere)
          .sort((left, right) => left.seq - right.seq)
          .map(Ledger.record),
        removed: rows.filter((row) => !isThere(row) && taken.get(row) !== undefined).map(({ task }) => task.id)
      }
    },
    confirm: () => {
      taken = new Map()
    },
    undo: (table, now) => {
      const rows = new Set(table.rows)
      for (const before of [fresh, taken]) {
        for (const [row, state] of before) {
          if (state === undefined) {
            rows.delete(row)
          } else {
            // Heartbeats are not written down; a lease that is still the same keeps the end that it was extended to.
            const due = row.holder?.token === state.holder?.token ? Math.max(row.due, state.due) : state.due
            Object.assign(row, state, { due })
            rows.add(row)
          }
        }
      }
      fresh = new Map()
      taken = new Map()
      Table.rebuild(
        table,
        Array.from(rows).sort((left, right) => left.seq - right.seq),
        now
      )
    }
  }
}

const stateOf = (row: Row): State => ({
  task: row.task,
  due: row.due,
  claims: row.claims,
  holder: row.holder,
  waitsFor: new Set(row.waitsFor),
  checkpoint: row.checkpoint,
  previousOutput: row.previousOutput,
  ledger: row.ledger
})
