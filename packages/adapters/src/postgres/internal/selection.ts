import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { TaskId, TaskStatus } from "@baton/core/Task"
import type { PruneOptions, Selection } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import type { Database } from "./database.ts"
import { countWhere, giveUpLease, keepOutput, type Names } from "./names.ts"
import { int, number, type Parameter, span, texts } from "./parameters.ts"
import { inParts } from "./parts.ts"
import * as Rows from "./rows.ts"
import * as Text from "./text.ts"

const byStatus = <A>(make: (status: TaskStatus) => A): { readonly [Status in TaskStatus]: A } => ({
  pending: make("pending"),
  in_progress: make("in_progress"),
  completed: make("completed"),
  failed: make("failed"),
  cancelled: make("cancelled")
})

interface Forms {
  readonly ids: string
  readonly of: { readonly [Status in TaskStatus]: string }
}

export const statements = ({ attempts, changes, control, dependencies, inputs, tasks }: Names) => {
  /** Rows of a selection, locked in the order in which all rows are. */
  const picked = (rows: string) => `
    picked AS MATERIALIZED (
      SELECT t.seq, t.status AS was, t.blockers, t.token, t.attempts AS number, t.owner, t.started_at, t.execution,
        t.attempt_usage
      FROM ${tasks} t WHERE ${rows} FOR UPDATE
    )`

  const withIds = `t.seq IN (SELECT i.seq FROM unnest($1::text[]) AS x (id) JOIN ${inputs} i ON i.id = x.id)`

  /** A statement for tasks by their ids, and one for the next part of all tasks of a status. */
  const forms = (statement: (rows: string) => string, more = ""): Forms => ({
    ids: statement(`${withIds} AND t.status = ANY ($2) ${more} ORDER BY t.seq`),
    of: byStatus((status) => statement(`t.status = '${status}' AND t.seq > $1 ${more} ORDER BY t.seq LIMIT $2`))
  })

  /** What a statement reports: the ids that changed, and where the next part of a selection starts. */
  const changed = `
    SELECT coalesce(array_agg(i.id ORDER BY d.seq), '{}') AS ids, count(*)::float8 AS count, max(d.seq)::float8 AS last,
      ${countWhere("d.was = 'in_progress'")}::float8 AS running
    FROM done d JOIN ${inputs} i ON i.seq = d.seq`

  return {
    cancel: forms(
      (rows) => `
        WITH ${picked(rows)},
        done AS (
          UPDATE ${tasks} t SET status = 'cancelled', ${giveUpLease}, ${keepOutput}, updated_at = now()
          FROM picked p WHERE t.seq = p.seq RETURNING p.*
        ),
        ended AS (
          INSERT INTO ${attempts} (task, token, number, owner, started_at, ended_at, outcome, error, execution, usage)
          SELECT seq, token, number, owner, started_at, now(), 'cancelled', 'The task was cancelled while it ran.',
            execution, attempt_usage
          FROM done WHERE was = 'in_progress'
        ),
        -- Counting reads all of them: every task is locked before the row that all cancellations write.
        revised AS (
          UPDATE ${control} SET revision = revision + 1
          WHERE (SELECT ${countWhere("was = 'in_progress'")} FROM picked) > 0
        ),
        counted AS (
          INSERT INTO ${changes}
          SELECT -${countWhere("was = 'pending'")}, -${countWhere("was = 'in_progress'")}, 0, 0, count(*),
            -${countWhere("was = 'pending' AND blockers > 0")}
          FROM done HAVING count(*) > 0
        )
        ${changed}`
    ),

    requeue: forms(
      (rows) => `
        WITH ${picked(rows)},
        done AS (
          UPDATE ${tasks} t SET
            status = 'pending', attempts = 0, requeues = t.requeues + 1, available_at = now(), updated_at = now()
          FROM picked p WHERE t.seq = p.seq RETURNING p.*
        ),
        counted AS (
          INSERT INTO ${changes}
          SELECT count(*), 0, 0, -${countWhere("was = 'failed'")}, -${countWhere("was = 'cancelled'")},
            ${countWhere("blockers > 0")}
          FROM done HAVING count(*) > 0
        )
        ${changed}`
    ),

    prune: forms(
      (rows) => `
        WITH ${picked(rows)},
        done AS (DELETE FROM ${tasks} t USING picked p WHERE t.seq = p.seq RETURNING p.*),
        inputs AS (DELETE FROM ${inputs} i USING picked p WHERE i.seq = p.seq),
        ledger AS (DELETE FROM ${attempts} a USING picked p WHERE a.task = p.seq),
        links AS (DELETE FROM ${dependencies} d USING picked p WHERE d.task = p.seq),
        counted AS (
          INSERT INTO ${changes}
          SELECT 0, 0, -${countWhere("was = 'completed'")}, -${countWhere("was = 'failed'")},
            -${countWhere("was = 'cancelled'")}, 0
          FROM done HAVING count(*) > 0
        )
        SELECT count(*)::float8 AS count, max(seq)::float8 AS last FROM done`,
      "AND ($3 IS NULL OR t.updated_at <= now() - $3 * interval '1 ms')"
    )
  }
}

/** As many tasks as one statement changes where a call can mean any number. */
const most = 1_000

/** What a statement did to its part of a selection. */
interface Part {
  readonly ids: ReadonlyArray<TaskId>
  readonly count: number
  /** How many of them were running. */
  readonly running: number
  readonly last: number | null
}

const part = ([row = {}]: ReadonlyArray<Rows.Row>): Part => ({
  ids: row.ids === undefined ? [] : Rows.taskIds(row.ids),
  count: Rows.number(row.count),
  running: row.running === undefined ? 0 : Rows.number(row.running),
  last: Rows.numberOrNull(row.last)
})

/** What a call did. */
export type Changed = Omit<Part, "last">

const together = (parts: ReadonlyArray<Changed>): Changed => ({
  ids: parts.flatMap(({ ids }) => ids),
  count: parts.reduce((sum, { count }) => sum + count, 0),
  running: parts.reduce((sum, { running }) => sum + running, 0)
})

/** The statuses that the transition leads from. */
const from = {
  cancel: ["pending", "in_progress"],
  requeue: ["failed", "cancelled"]
} as const satisfies { readonly [operation: string]: ReadonlyArray<TaskStatus> }

export const make = (db: Database, names: Names) => {
  const sql = statements(names)

  const changeIds = (
    { ids }: Forms,
    chosen: ReadonlyArray<TaskId>,
    statuses: ReadonlyArray<TaskStatus>,
    more: ReadonlyArray<Parameter> = []
  ): Effect.Effect<Changed, TaskStoreError> =>
    Effect.map(
      Effect.forEach(
        inParts(Array.from(new Set(chosen)), () => 0),
        (some) => db.run(ids, [texts(some.map(Text.encode)), texts(statuses), ...more], part)
      ),
      together
    )

  /** A part at a time, from the oldest task on: one that comes back into the status meanwhile is met once. */
  const changeAll = Effect.fnUntraced(function* (
    { of }: Forms,
    status: TaskStatus,
    more: ReadonlyArray<Parameter> = []
  ): Effect.fn.Return<Changed, TaskStoreError> {
    const parts: Array<Changed> = []
    let after = 0
    while (true) {
      const { last, ...done } = yield* db.run(of[status], [int(after), int(most), ...more], part)
      parts.push(done)
      if (done.count < most || last === null) return together(parts)
      after = last
    }
  })

  const change =
    (operation: keyof typeof from) =>
    (selection: Selection): Effect.Effect<Changed, TaskStoreError> => {
      const statuses: ReadonlyArray<TaskStatus> = from[operation]
      if ("ids" in selection) return changeIds(sql[operation], selection.ids, statuses)
      return statuses.includes(selection.status)
        ? changeAll(sql[operation], selection.status)
        : Effect.succeed(together([]))
    }

  return {
    cancel: change("cancel"),
    requeue: change("requeue"),

    prune: ({ ids, olderThan, statuses }: PruneOptions): Effect.Effect<number, TaskStoreError> => {
      const age = number(olderThan === undefined ? null : span(Duration.toMillis(olderThan)))
      const pruned =
        ids === undefined
          ? Effect.map(
              Effect.forEach(statuses, (status) => changeAll(sql.prune, status, [age])),
              together
            )
          : changeIds(sql.prune, ids, statuses, [age])
      return Effect.map(pruned, ({ count }) => count)
    }
  }
}
