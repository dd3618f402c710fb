import type { Budget } from "../../Budget.ts"
import type { BatchRecord } from "../../BatchJournal.ts"
import type { RecordRow } from "../../TaskStoreDriver.ts"
import { type Batches, toRecords } from "./batches.ts"
import { recordRow } from "./driver.ts"
import type { Row, State } from "./row.ts"
import * as Table from "./table.ts"

/** The changes of a table. */
export interface Difference {
  /** In the order of adding. */
  readonly written: ReadonlyArray<RecordRow>
  readonly removed: ReadonlyArray<string>
  readonly tokenFloor: number
  /** All of them, when one has changed. */
  readonly budgets: ReadonlyArray<Budget> | undefined
  /** All of them, when one has changed. */
  readonly pauses: ReadonlyArray<Table.PauseColumns> | undefined
  /** All of them, when one has changed. */
  readonly batches: ReadonlyArray<BatchRecord> | undefined
}

/** Rows as they were before they changed; undefined for rows that were added. */
type Before = Map<Row, State | undefined>

/**
 * Records the changes of a table, so that they can be written elsewhere, or undone when the write fails. Changes that were
 * taken for a write are kept apart from later ones.
 */
export interface Journal extends Table.Observer {
  /** Takes the changes that have not been taken yet. */
  readonly take: (table: Table.Table) => Difference
  /** The taken changes were written. */
  readonly confirm: () => void
  /** Undoes the taken changes, and those that came after them. */
  readonly undo: (table: Table.Table, now: number) => void
}

export const make = (onChange: () => void): Journal => {
  let taken: Before = new Map()
  let fresh: Before = new Map()
  /** The budgets before the first change of each write. */
  let takenBudgets: ReadonlyMap<string, Budget> | undefined
  let freshBudgets: ReadonlyMap<string, Budget> | undefined
  let takenPauses: ReadonlyMap<string, Table.PauseColumns> | undefined
  let freshPauses: ReadonlyMap<string, Table.PauseColumns> | undefined
  let takenBatches: Batches | undefined
  let freshBatches: Batches | undefined
  return {
    inserting: (row) => {
      fresh.set(row, undefined)
      onChange()
    },
    changing: (row) => {
      if (!fresh.has(row)) fresh.set(row, stateOf(row))
      onChange()
    },
    changingBudgets: (budgets) => {
      freshBudgets ??= budgets
      onChange()
    },
    changingPauses: (pauses) => {
      freshPauses ??= pauses
      onChange()
    },
    changingBatches: (batches) => {
      freshBatches ??= batches
      onChange()
    },
    take: (table) => {
      const budgets = freshBudgets === undefined ? undefined : Array.from(table.budgets.values())
      takenBudgets = freshBudgets
      freshBudgets = undefined
      const pauses = freshPauses === undefined ? undefined : Array.from(table.pauses.values())
      takenPauses = freshPauses
      freshPauses = undefined
      const batches = freshBatches === undefined ? undefined : toRecords(table.batches)
      takenBatches = freshBatches
      freshBatches = undefined
      taken = fresh
      fresh = new Map()
      const isPresent = (row: Row) => table.byId.get(row.task.id) === row
      const rows = Array.from(taken.keys())
      return {
        written: rows
          .filter(isPresent)
          .sort((left, right) => left.seq - right.seq)
          .map(recordRow),
        removed: rows.filter((row) => !isPresent(row) && taken.get(row) !== undefined).map(({ task }) => task.id),
        tokenFloor: table.tokenFloor,
        budgets,
        pauses,
        batches
      }
    },
    confirm: () => {
      taken = new Map()
      takenBudgets = undefined
      takenPauses = undefined
      takenBatches = undefined
    },
    undo: (table, now) => {
      const rows = new Set(table.rows)
      const keys = new Set<string>()
      for (const before of [fresh, taken]) {
        for (const [row, state] of before) {
          if (state === undefined) {
            rows.delete(row)
          } else {
            // Heartbeats are not written: a lease that is still current keeps the end that it was extended to.
            const { concurrencyKey, status } = row.task
            if (concurrencyKey !== null && status === "in_progress") keys.add(concurrencyKey)
            const due = row.lease?.token === state.lease?.token ? Math.max(row.due, state.due) : state.due
            Object.assign(row, state, { due })
            rows.add(row)
          }
        }
      }
      fresh = new Map()
      taken = new Map()
      table.budgets = takenBudgets ?? freshBudgets ?? table.budgets
      takenBudgets = freshBudgets = undefined
      table.pauses = takenPauses ?? freshPauses ?? table.pauses
      takenPauses = freshPauses = undefined
      table.batches = takenBatches ?? freshBatches ?? table.batches
      takenBatches = freshBatches = undefined
      Table.rebuild(
        table,
        Array.from(rows).sort((left, right) => left.seq - right.seq),
        now,
        keys
      )
    }
  }
}

const stateOf = (row: Row): State => ({
  task: row.task,
  due: row.due,
  lease: row.lease,
  startedAt: row.startedAt,
  waitsFor: new Set(row.waitsFor),
  ledger: row.ledger
})
