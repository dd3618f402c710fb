import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Attempt } from "@baton/core/Attempt"
import type { Task, TaskId, TaskStatus } from "@baton/core/Task"
import type { Counts, ListQuery, TaskPage } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import type { Database } from "./database.ts"
import * as Errors from "./errors.ts"
import { type Names, taskColumns } from "./names.ts"
import { int, text } from "./parameters.ts"
import * as Rows from "./rows.ts"
import * as Text from "./text.ts"

export const statements = ({ attempts, changes, countChanges, inputs, tasks }: Names) => {
  const columns = `SELECT ${taskColumns}, CASE WHEN t.status = 'completed' THEN t.execution END AS execution`
  const page = (where: string) =>
    `${columns} FROM ${tasks} t JOIN ${inputs} i ON i.seq = t.seq WHERE ${where} t.seq > $1 ORDER BY t.seq LIMIT $2`
  return {
    task: `${columns} FROM ${inputs} i JOIN ${tasks} t ON t.seq = i.seq WHERE i.id = $1`,

    page: page(""),
    pageOf: {
      pending: page("t.status = 'pending' AND"),
      in_progress: page("t.status = 'in_progress' AND"),
      completed: page("t.status = 'completed' AND"),
      failed: page("t.status = 'failed' AND"),
      cancelled: page("t.status = 'cancelled' AND")
    } satisfies { readonly [Status in TaskStatus]: string },

    /** The ledger, and the attempt that is in the task's own row. */
    attempts: `
      SELECT a.number::float8 AS number, a.token::float8 AS token, a.owner, a.started_at, a.ended_at, a.outcome, a.error,
        a.execution, a.verification, a.usage
      FROM ${inputs} i JOIN ${attempts} a ON a.task = i.seq WHERE i.id = $1
      UNION ALL
      SELECT t.attempts::float8, t.token::float8, t.owner, t.started_at,
        CASE WHEN t.status = 'completed' THEN t.updated_at END,
        CASE WHEN t.status = 'completed' THEN 'completed' ELSE 'running' END,
        NULL, t.execution, t.verification, t.attempt_usage
      FROM ${inputs} i JOIN ${tasks} t ON t.seq = i.seq
      WHERE i.id = $1 AND t.status IN ('in_progress', 'completed')
      ORDER BY token`,

    counts: `
      SELECT coalesce(sum(pending), 0)::float8 AS pending, coalesce(sum(in_progress), 0)::float8 AS in_progress,
        coalesce(sum(completed), 0)::float8 AS completed, coalesce(sum(failed), 0)::float8 AS failed,
        coalesce(sum(cancelled), 0)::float8 AS cancelled, coalesce(sum(waiting), 0)::float8 AS waiting,
        count(*)::float8 AS parts
      FROM ${countChanges}`,

    /**
     * Adds rows of differences up. Those that another connection is adding up are passed over, and who counts meanwhile
     * sees either all of them or their sum.
     */
    foldCounts: `
      WITH gone AS (
        DELETE FROM ${countChanges} WHERE ctid = ANY (ARRAY(
          SELECT ctid FROM ${countChanges} LIMIT 10000 FOR UPDATE SKIP LOCKED
        )) RETURNING *
      )
      INSERT INTO ${changes}
      SELECT sum(pending), sum(in_progress), sum(completed), sum(failed), sum(cancelled), sum(waiting)
      FROM gone HAVING count(*) > 0`
  }
}

const defaultPageSize = 100

/** A cursor is the `seq` of the last task of the page before, so tasks that come or go move nothing. */
export const readCursor = (cursor = "0"): Effect.Effect<number, TaskStoreError> =>
  /^\d{1,15}$/.test(cursor)
    ? Effect.succeed(Number(cursor))
    : Effect.fail(Errors.unusable("This cursor is not one of this store's: list without one."))

/** Of rows that are one more than a page if there is a next page. */
export const cut = <A>(rows: ReadonlyArray<A>, size: number, seqOf: (row: A) => number) => {
  const shown = rows.slice(0, size)
  const last = rows.length > size ? shown.at(-1) : undefined
  return { shown, next: last === undefined ? null : String(seqOf(last)) }
}

/** More rows of differences than this are worth adding up. */
const mostParts = 200

export const make = (db: Database, names: Names) => {
  const sql = statements(names)

  const foldCounts: Effect.Effect<void, TaskStoreError> = db.run(sql.foldCounts, [], () => undefined)

  return {
    foldCounts,

    get: (id: TaskId): Effect.Effect<Option.Option<Task>, TaskStoreError> =>
      db.run(sql.task, [text(Text.encode(id))], ([row]) =>
        row === undefined ? Option.none() : Option.some(Rows.task(row))
      ),

    list: (query: ListQuery = {}): Effect.Effect<TaskPage, TaskStoreError> => {
      const { cursor, limit = defaultPageSize, status } = query
      const size = Math.max(1, limit)
      return Effect.flatMap(readCursor(cursor), (after) =>
        db.run(status === undefined ? sql.page : sql.pageOf[status], [int(after), int(size + 1)], (rows) => {
          const { next, shown } = cut(rows, size, (row) => Rows.number(row.seq))
          return { tasks: shown.map(Rows.task), next }
        })
      )
    },

    attempts: (id: TaskId): Effect.Effect<ReadonlyArray<Attempt>, TaskStoreError> =>
      db.run(sql.attempts, [text(Text.encode(id))], (rows) => rows.map((row) => Rows.attempt(id, row))),

    counts: Effect.flatMap(
      db.run(sql.counts, [], ([row = {}]) => ({ counts: Rows.counts(row), parts: Rows.number(row.parts) })),
      ({ counts, parts }): Effect.Effect<Counts, TaskStoreError> =>
        Effect.as(parts > mostParts ? Effect.ignore(foldCounts) : Effect.void, counts)
    )
  }
}
