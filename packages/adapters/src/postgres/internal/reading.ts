import * as Effect from "effect/Effect"
import type { TaskStatus } from "@baton/core/Task"
import type {
  AttemptRow,
  ControlRow,
  OutlookRow,
  RecordRow,
  TaskRow,
  TaskStoreDriver,
  WorkerRow
} from "@baton/core/TaskStoreDriver"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import { levels, runningOf } from "./claimable.ts"
import { boolean, type Database, int, numbers, text, texts } from "./database.ts"
import { controlColumns, counted, isInQueue, listedColumns, type Names, taskColumns } from "./names.ts"
import type { Statements } from "./statements.ts"
import * as Usage from "./usage.ts"

/** The number of tasks that one statement of a search looks at. */
const searched = 10_000

/** The statements that read tasks, their attempts, the counts and the control state. */
export const statements = (names: Names) => {
  const { attempts, changes, control, countChanges, dependencies, inputs, keyTurns, pauses, tasks, texts } = names
  const millisFromNow = (time: string) => `(extract(epoch FROM ${time} - now()) * 1000)::float8`
  const page = (where: string, columns: string) => `
    SELECT ${columns} FROM ${tasks} t JOIN ${inputs} i ON i.seq = t.seq
    WHERE ${where} t.seq > $1 ORDER BY t.seq LIMIT $2`
  const list = (where = "") => page(`${where} ${isInQueue("$3")} AND`, listedColumns("$4"))
  const isPartOf = (column: string) => `strpos(lower(${column} COLLATE "C"), $5) > 0`
  /** Looks at a number of tasks that takes milliseconds; the last one of them shows how far it has looked. */
  const search = (where = "") => `
    WITH looked AS MATERIALIZED (
      SELECT t.seq FROM ${tasks} t WHERE ${where} ${isInQueue("$3")} AND t.seq > $1 ORDER BY t.seq LIMIT ${searched})
    SELECT ${listedColumns("$4")} FROM looked l JOIN ${tasks} t ON t.seq = l.seq JOIN ${inputs} i ON i.seq = l.seq
    WHERE ${isPartOf("i.description")} OR ${isPartOf("i.id")} OR l.seq = (SELECT max(seq) FROM looked)
    ORDER BY l.seq LIMIT $2`
  const byStatus = (statement: (where?: string) => string) =>
    ({
      all: statement(),
      pending: statement("t.status = 'pending' AND"),
      in_progress: statement("t.status = 'in_progress' AND"),
      in_review: statement("t.status = 'in_review' AND"),
      completed: statement("t.status = 'completed' AND"),
      failed: statement("t.status = 'failed' AND"),
      cancelled: statement("t.status = 'cancelled' AND")
    }) satisfies { readonly [Status in TaskStatus | "all"]: string }
  /** The ledger's rows of tasks, and the attempts that are in the tasks' own rows. */
  const ledger = (seqs: string) => `
    WITH x AS MATERIALIZED (${seqs})
    SELECT a.task::float8 AS task, a.number::float8 AS number, a.token::float8 AS token, a.owner,
      a.started_at AS "startedAt", a.ended_at AS "endedAt", a.outcome, a.error, a.execution, a.verification, a.usage
    FROM x JOIN ${attempts} a ON a.task = x.seq
    UNION ALL
    SELECT t.seq::float8, t.attempts::float8, t.token::float8, t.owner, coalesce(t.started_at, t.updated_at),
      CASE WHEN t.status <> 'in_progress' THEN t.updated_at END,
      CASE WHEN t.status <> 'in_progress' THEN t.status WHEN t.started_at IS NULL THEN 'claimed' ELSE 'running' END,
      NULL, t.execution, t.verification, t.attempt_usage
    FROM x JOIN ${tasks} t ON t.seq = x.seq WHERE t.status IN ('in_progress', 'in_review', 'completed')
    ORDER BY task, token`
  return {
    get: `
      SELECT ${taskColumns} FROM unnest($1::text[]) AS x (id) JOIN ${inputs} i ON i.id = x.id
      JOIN ${tasks} t ON t.seq = i.seq`,

    list: byStatus(list),
    search: byStatus(search),

    attempts: ledger(`SELECT i.seq FROM ${inputs} i WHERE i.id = $1`),

    counts: `
      SELECT queue, ${counted.map((kind) => `sum(${kind})::float8 AS ${kind}`).join(", ")}, ${Usage.columnsOf("usage_change")},
        sum(pending + in_progress + in_review + completed + failed + cancelled) > 0 AS "hasTasks", count(*)::float8 AS parts
      FROM ${countChanges} GROUP BY queue`,

    /**
     * Adds up the rows of changes of each queue; those of a queue without tasks are deleted. Passes over rows that another
     * connection is adding up; a reader sees either all of them or their sum.
     */
    foldCounts: `
      WITH gone AS (
        DELETE FROM ${countChanges} WHERE ctid = ANY (ARRAY(
          SELECT ctid FROM ${countChanges} LIMIT 10000 FOR UPDATE SKIP LOCKED
        )) RETURNING *
      )
      INSERT INTO ${changes}
      SELECT queue, ${counted.map((kind) => `sum(${kind})`).join(", ")}, ${Usage.total("usage_change")} FROM gone GROUP BY queue
      HAVING ${counted.map((kind) => `sum(${kind}) <> 0`).join(" OR ")} OR ${Usage.isSome("usage_change")}`,

    /** The following statements of the transaction see the store at one moment. */
    snapshot: "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    dump: page(
      `${isInQueue("$3")} AND`,
      `${taskColumns}, t.token::float8 AS token, t.lease_until AS "leaseUntil", t.checkpoint`
    ),
    dumpAttempts: ledger("SELECT unnest($1::float8[])::bigint AS seq"),
    dumpWaitsFor: `
      SELECT d.task::float8 AS task, d.dependency
      FROM unnest($1::float8[]) AS x (task) JOIN ${dependencies} d ON d.task = x.task::bigint`,

    control: `SELECT ${controlColumns} FROM ${control}`,

    workers: `
      SELECT queue, owner, count(started_at)::float8 AS running, (count(*) - count(started_at))::float8 AS claimed,
        min(started_at) AS "startedAt", ${millisFromNow("max(lease_until)")} AS "leaseEndsInMillis"
      FROM ${tasks} WHERE status = 'in_progress' GROUP BY queue, owner`,

    text: `SELECT text FROM ${texts} WHERE name = $1`,

    /** Orders rows even where any row will do: otherwise a plan may read the pending tasks of all queues to find it. */
    outlook: `
      WITH RECURSIVE ${levels(names, "$1")},
      next (at) AS MATERIALIZED (
        SELECT coalesce(
          (SELECT now() FROM levels l WHERE l.available_at <= now() LIMIT 1),
          (SELECT min(l.available_at) FROM levels l)
        )
      ),
      key (at) AS MATERIALIZED (
        SELECT min(k.available_at) FROM ${keyTurns} k
        WHERE k.queue = $1 AND ${runningOf(names, "$1", "k.concurrency_key")} < $2
      ),
      lease (until) AS MATERIALIZED (
        SELECT (
          SELECT lease_until FROM ${tasks} WHERE queue = $1 AND status = 'in_progress' ORDER BY lease_until LIMIT 1
        )
      )
      SELECT ${millisFromNow("least(claimable.at, lease.until)")} AS "dueInMillis",
        next.at IS NULL AND key.at IS NULL AND lease.until IS NULL AS drained, ${controlColumns}
      FROM next, key, lease, ${control}
      LEFT JOIN (SELECT queue, until, probe_until FROM ${pauses} WHERE queue = $1) p ON true
      CROSS JOIN LATERAL (
        SELECT CASE
          WHEN next.at IS NULL AND key.at IS NULL THEN NULL
          WHEN p.queue IS NOT NULL AND p.until IS NULL THEN NULL
          ELSE greatest(least(next.at, key.at), p.until, p.probe_until) END AS at
      ) claimable`
  }
}

export const make = (
  db: Database,
  statements: Statements
): Pick<TaskStoreDriver, "attempts" | "control" | "dump" | "get" | "list" | "outlook" | "workers"> => {
  const dump = Effect.fnUntraced(function* ({
    after,
    limit,
    queue
  }: Parameters<TaskStoreDriver["dump"]>[0]): Effect.fn.Return<ReadonlyArray<RecordRow>, TaskStoreError> {
    yield* db.run(statements.snapshot)
    const rows = yield* db.run<TaskOfRecord>(statements.dump, [int(after), int(limit), text(queue)])
    const seqs = [numbers(rows.map(({ seq }) => seq))]
    const attempts = byTask(yield* db.run<AttemptRow & OfTask>(statements.dumpAttempts, seqs))
    const dependencies = byTask(yield* db.run<{ readonly dependency: string } & OfTask>(statements.dumpWaitsFor, seqs))
    return rows.map((row) =>
      Object.assign(row, {
        waitsFor: (dependencies.get(row.seq) ?? []).map(({ dependency }) => dependency),
        attemptRows: attempts.get(row.seq) ?? []
      })
    )
  })

  return {
    get: (ids) => db.run<TaskRow>(statements.get, [texts(ids)]),
    list: ({ after, contains, limit, queue, results, status }) => {
      const parameters = [int(after), int(limit), text(queue), boolean(results)]
      return contains === null
        ? db.run<TaskRow>(statements.list[status ?? "all"], parameters)
        : db.run<TaskRow>(statements.search[status ?? "all"], [...parameters, text(contains)])
    },
    attempts: (id) => db.run<AttemptRow>(statements.attempts, [text(id)]),

    outlook: (queue, maxPerKey) => db.one<OutlookRow>(statements.outlook, [text(queue), int(maxPerKey)]),
    control: db.one<ControlRow>(statements.control),
    workers: db.run<WorkerRow>(statements.workers),

    dump: (page) => db.transaction(dump(page))
  }
}

interface OfTask {
  readonly task: number
}

interface TaskOfRecord extends Omit<RecordRow, "attemptRows" | "waitsFor"> {
  readonly seq: number
}

const byTask = <A extends OfTask>(rows: ReadonlyArray<A>): ReadonlyMap<number, ReadonlyArray<A>> => {
  const byTask = new Map<number, Array<A>>()
  for (const row of rows) {
    const others = byTask.get(row.task)
    if (others === undefined) byTask.set(row.task, [row])
    else others.push(row)
  }
  return byTask
}
