import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite"
import * as Rows from "./rows.ts"

/** Returns a statement, prepared; its rows are arrays if `returnArrays` is true. */
export type Prepared = (sql: string, returnArrays?: boolean) => () => StatementSync

/** Prepares a statement once, when it is first used: preparing costs more than running, and most processes use a few. */
export const preparedOn =
  (db: DatabaseSync): Prepared =>
  (sql, returnArrays = false) => {
    let statement: StatementSync | undefined
    return () => {
      if (statement === undefined) {
        statement = db.prepare(sql)
        statement.setReturnArrays(returnArrays)
      }
      return statement
    }
  }

/** Functions that prepare a statement, one for each kind of result. */
export interface Preparing extends ReturnType<typeof preparing> {}

export const preparing = (prepared: Prepared) => {
  const all = <P extends ReadonlyArray<SQLInputValue>>(sql: string) => {
    const statement = prepared(sql)
    return (...parameters: P): ReadonlyArray<Rows.Row> => statement().all(...parameters)
  }
  const first = <P extends ReadonlyArray<SQLInputValue>>(sql: string) => {
    const statement = prepared(sql)
    return (...parameters: P): Rows.Row | undefined => statement().get(...parameters)
  }
  /** Returns rows as arrays, for `Rows.claim`. */
  const arrays = <P extends ReadonlyArray<SQLInputValue>>(sql: string) => {
    const statement = prepared(sql, true)
    return (...parameters: P): ReadonlyArray<Rows.Row> => statement().all(...parameters)
  }
  const tasks = <P extends ReadonlyArray<SQLInputValue>>(sql: string) => map(arrays<P>(sql), Rows.tasks)
  const run = <P extends ReadonlyArray<SQLInputValue>>(sql: string) => {
    const statement = prepared(sql)
    return (...parameters: P): void => {
      statement().run(...parameters)
    }
  }
  /** Returns the rowid of the new row; undefined if there is none. */
  const insert = <P extends ReadonlyArray<SQLInputValue>>(sql: string) => {
    const statement = prepared(sql)
    return (...parameters: P): number | undefined => {
      const { changes, lastInsertRowid } = statement().run(...parameters)
      return changes === 1 ? Number(lastInsertRowid) : undefined
    }
  }
  /** Returns how many rows changed. */
  const changes = <P extends ReadonlyArray<SQLInputValue>>(sql: string) => {
    const statement = prepared(sql)
    return (...parameters: P): number => Number(statement().run(...parameters).changes)
  }
  /** Returns whether a row changed. */
  const change = <P extends ReadonlyArray<SQLInputValue>>(sql: string) => {
    const statement = prepared(sql)
    return (...parameters: P): boolean => statement().run(...parameters).changes === 1
  }
  return { all, arrays, change, changes, first, insert, run, tasks }
}

/** Reads what a statement has found. */
export const map =
  <P extends ReadonlyArray<SQLInputValue>, A, B>(find: (...parameters: P) => A, read: (found: A) => B) =>
  (...parameters: P): B =>
    read(find(...parameters))
