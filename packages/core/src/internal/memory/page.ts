import * as Effect from "effect/Effect"
import type { ListQuery } from "../../TaskStore.ts"
import { TaskStoreError } from "../../TaskStoreError.ts"
import type { Row } from "./row.ts"
import type { Table } from "./table.ts"

const defaultLimit = 100

/** Where in the rows, which are sorted by `seq`, those after `seq` start. */
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

interface RowPage {
  readonly rows: ReadonlyArray<Row>
  readonly next: string | null
}

/** The cursor is the `seq` of the last task of the page before, so tasks that come or go move nothing. */
export const page = (table: Table, query: ListQuery): Effect.Effect<RowPage, TaskStoreError> => {
  const after = query.cursor === undefined ? -1 : /^\d+$/.test(query.cursor) ? Number(query.cursor) : undefined
  if (after === undefined) {
    return Effect.fail(
      new TaskStoreError({ reason: "Unusable", message: "This cursor is not one of this store's: list without one." })
    )
  }
  const limit = Math.max(1, query.limit ?? defaultLimit)
  const rows: Array<Row> = []
  let last = after
  for (let index = firstAfter(table.rows, after); index < table.rows.length; index++) {
    const row = table.rows[index]
    if (row === undefined || (query.status !== undefined && row.task.status !== query.status)) continue
    if (rows.length === limit) return Effect.succeed({ rows, next: String(last) })
    rows.push(row)
    last = row.seq
  }
  return Effect.succeed({ rows, next: null })
}
