import type { OutlookRow } from "@baton/core/TaskStoreDriver"
import * as Claiming from "./claiming.ts"
import { byStatus, isIn, tasksOf } from "./fragments.ts"
import * as Keys from "./keys.ts"
import * as Pauses from "./pauses.ts"
import { map, type Preparing } from "./preparing.ts"
import * as Rows from "./rows.ts"
import type { Statements } from "./statements.ts"
import * as Sweeping from "./sweeping.ts"

/** A task with its inputs. CROSS JOIN keeps the order of the loops: tasks by `seq`, then the others. */
const wholeTasks = "tasks t CROSS JOIN task_inputs i USING (seq) CROSS JOIN queues USING (queue)"

/** The number of tasks that one statement of a search looks at. */
const searched = 10_000

/** The ledger and, unless it has moved there, the attempt in the task's own row. */
const ledgerOf = (task: string) => `
  SELECT number, token, owner, started_at, ended_at, outcome, error, execution, verification, usage
  FROM attempts WHERE task = ${task}
  UNION ALL
  SELECT attempts, token, owner, COALESCE(started_at, updated_at), IIF(status = 'in_progress', NULL, updated_at),
    CASE WHEN status <> 'in_progress' THEN status WHEN started_at IS NULL THEN 'claimed' ELSE 'running' END,
    NULL, execution, verification, attempt_usage
  FROM tasks WHERE seq = ${task} AND status IN ('in_progress', 'in_review', 'completed')
  ORDER BY token`

/** The statements that read tasks, their attempts, the counts and the control state. */
export const statements = ({ all, first, tasks }: Preparing) => {
  /** Looks at a number of tasks that takes milliseconds; the last one of them shows how far it has looked. */
  const search = (from: string, where = "") =>
    tasks<[after: number, limit: number, queue: string | null, results: number, contains: string]>(`
      WITH looked AS MATERIALIZED (
        SELECT seq FROM ${from} WHERE ${where} seq > ?1 AND ${isIn("?3")} ORDER BY seq LIMIT ${searched})
      SELECT ${Rows.listedColumns("?4")} FROM ${wholeTasks}
      WHERE seq IN looked
        AND (instr(lower(description), ?5) OR instr(lower(id), ?5) OR seq = (SELECT MAX(seq) FROM looked))
      ORDER BY seq LIMIT +?2`)

  return {
    control: map(first<[]>("SELECT revision, paused, stops FROM control"), Rows.control),

    counts: map(all<[]>("SELECT * FROM queues"), Rows.counts),

    /** From the index of tasks in progress. */
    workers: map(
      all<[now: number]>(`
        SELECT name AS queue, owner, COUNT(started_at) AS running, COUNT(*) - COUNT(started_at) AS claimed,
          MIN(started_at) AS started_at, MAX(lease_until) - ?1 AS lease_ends_in
        FROM ${tasksOf.in_progress} CROSS JOIN queues USING (queue) WHERE status = 'in_progress' GROUP BY queue, owner`),
      Rows.workers
    ),

    queue: first<[name: string]>("SELECT * FROM queues WHERE name = ?"),

    task: tasks<[id: string]>(`SELECT ${Rows.taskColumns} FROM ${wholeTasks} WHERE id = ?`),

    page: tasks<[after: number, limit: number, queue: string | null]>(
      `SELECT ${Rows.taskColumns} FROM ${wholeTasks} WHERE seq > ?1 AND ${isIn("?3")} ORDER BY seq LIMIT +?2`
    ),

    list: tasks<[after: number, limit: number, queue: string | null, results: number]>(
      `SELECT ${Rows.listedColumns("?4")} FROM ${wholeTasks} WHERE seq > ?1 AND ${isIn("?3")} ORDER BY seq LIMIT +?2`
    ),

    listOf: byStatus((status) =>
      tasks<[after: number, limit: number, queue: string | null, results: number]>(`
        SELECT ${Rows.listedColumns("?4")} FROM ${wholeTasks}
        WHERE seq IN (
          SELECT seq FROM ${tasksOf[status]} WHERE status = '${status}' AND seq > ?1 AND ${isIn("?3")}
          ORDER BY seq LIMIT +?2)
        ORDER BY seq`)
    ),

    search: search("tasks"),

    searchOf: byStatus((status) => search(tasksOf[status], `status = '${status}' AND`)),

    attempts: map(all<[id: string]>(ledgerOf("(SELECT seq FROM tasks WHERE id = ?1)")), Rows.attempts),

    attemptsOf: map(all<[seq: number]>(ledgerOf("?1")), Rows.attempts),

    dependenciesOf: all<[task: number]>("SELECT dependency FROM dependencies WHERE task = ?"),

    text: first<[name: string]>("SELECT text FROM texts WHERE name = ?")
  }
}

/** When something is to be done in a queue. */
export const outlook = (sql: Statements, name: string, now: number, maxPerKey: number): OutlookRow => {
  const row = sql.queue(name)
  const queue = Rows.queueId(row)
  const claimable = Math.min(Claiming.nextAvailable(sql, queue, now), Keys.nextAvailable(sql, queue, maxPerKey))
  const due = Math.min(Sweeping.leaseEnd(sql, queue), Math.max(claimable, Pauses.until(sql, name)))
  return {
    dueInMillis: due === Infinity ? null : due - now,
    drained: row === undefined || (row.in_progress === 0 && row.pending === row.waiting),
    ...sql.control()
  }
}
