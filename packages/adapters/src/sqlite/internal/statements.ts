import type { DatabaseSync, SQLInputValue } from "node:sqlite"
import type { TaskStatus } from "@baton/core/Task"
import { UnreadableRow } from "./errors.ts"
import { claimColumns, type Row, taskColumns } from "./rows.ts"

/** Every statement of the store, prepared: preparing costs more than running. */
export interface Statements extends ReturnType<typeof prepare> {}

type Text = string | Uint8Array
type Json = string

/** What a transition looks at. */
const stateColumns = "seq, id, status, blockers, attempts, token, owner, updated_at"

/**
 * Where to look for the tasks of a status. Left alone, the planner would walk the table by `seq` for each of them; these
 * indexes hold the few that are meant, also where a million have completed.
 */
const tasksOf = {
  pending: "tasks",
  in_progress: "tasks INDEXED BY tasks_leased",
  completed: "tasks",
  failed: "tasks INDEXED BY tasks_failed",
  cancelled: "tasks INDEXED BY tasks_cancelled"
} as const satisfies Record<TaskStatus, string>

const byStatus = <A>(make: (status: TaskStatus) => A): { readonly [Status in TaskStatus]: A } => ({
  pending: make("pending"),
  in_progress: make("in_progress"),
  completed: make("completed"),
  failed: make("failed"),
  cancelled: make("cancelled")
})

/** The fence: a write by anyone but the current holder of the lease finds no row. */
const held = "id = ? AND token = ? AND status = 'in_progress'"

/** Moves the attempt under way into the ledger; what it brought is written along or was made durable before. */
const ledgerEntry = (outturn: string, where: string) => `
  INSERT INTO attempts
    (task, number, token, owner, started_at, ended_at, outcome, error, execution, verification, usage)
  SELECT seq, attempts, token, owner, started_at, ?, ?, ?, ${outturn} FROM tasks WHERE ${where}`

/** Of an attempt that nobody settled, what it had made durable is what is known. */
const saved = "execution, NULL, NULLIF(execution -> '$.usage', 'null')"

/** An output that was made durable is the checkpoint from here on, whoever comes next. */
const keepOutput = "checkpoint = COALESCE(execution, checkpoint), execution = NULL"

const missing = (): never => {
  throw new UnreadableRow({ message: "a row that is always there is missing" })
}

/**
 * Batches run one of these in a loop inside one transaction: measured against single statements over `json_each`, that
 * is faster for all that bring texts along. Where an index is named, its order is the reason for the statement's cost;
 * naming it makes a change that loses the index fail instead of crawl.
 */
export const prepare = (db: Pick<DatabaseSync, "prepare">) => {
  const all = <P extends ReadonlyArray<SQLInputValue>>(sql: string) => {
    const statement = db.prepare(sql)
    return (...parameters: P): ReadonlyArray<Row> => statement.all(...parameters)
  }
  const first = <P extends ReadonlyArray<SQLInputValue>>(sql: string) => {
    const statement = db.prepare(sql)
    return (...parameters: P): Row | undefined => statement.get(...parameters)
  }
  /** Rows as arrays, for `Rows.task` and `Rows.claims`. */
  const tasks = <P extends ReadonlyArray<SQLInputValue>>(sql: string) => {
    const statement = db.prepare(sql)
    statement.setReturnArrays(true)
    return (...parameters: P): ReadonlyArray<Row> => statement.all(...parameters)
  }
  const one = <P extends ReadonlyArray<SQLInputValue>>(sql: string) => {
    const find = first<P>(sql)
    return (...parameters: P): Row => find(...parameters) ?? missing()
  }
  const run = <P extends ReadonlyArray<SQLInputValue>>(sql: string) => {
    const statement = db.prepare(sql)
    return (...parameters: P): void => {
      statement.run(...parameters)
    }
  }
  /** Runs it and says which rowid the new row has, if there is one. */
  const insert = <P extends ReadonlyArray<SQLInputValue>>(sql: string) => {
    const statement = db.prepare(sql)
    return (...parameters: P): number | undefined => {
      const { changes, lastInsertRowid } = statement.run(...parameters)
      return changes === 1 ? Number(lastInsertRowid) : undefined
    }
  }
  /** Runs it and says how many rows changed. */
  const change = <P extends ReadonlyArray<SQLInputValue>>(sql: string) => {
    const statement = db.prepare(sql)
    return (...parameters: P): number => Number(statement.run(...parameters).changes)
  }

  return {
    // ------------------------------------------------------------------ reading

    store: one<[]>("SELECT * FROM store"),

    task: tasks<[id: Text]>(`SELECT ${taskColumns} FROM tasks t JOIN task_inputs i USING (seq) WHERE t.id = ?`),

    /** CROSS JOIN keeps the order of the loops: tasks by `seq`, then the inputs of each. */
    page: tasks<[after: number, limit: number]>(
      `SELECT ${taskColumns} FROM tasks t CROSS JOIN task_inputs i USING (seq) WHERE t.seq > ? ORDER BY t.seq LIMIT ?`
    ),

    pageOf: byStatus((status) =>
      tasks<[after: number, limit: number]>(`
        SELECT ${taskColumns} FROM tasks t CROSS JOIN task_inputs i USING (seq)
        WHERE t.seq IN (SELECT seq FROM ${tasksOf[status]} WHERE status = '${status}' AND seq > ? ORDER BY seq LIMIT ?)
        ORDER BY t.seq`)
    ),

    /** The ledger, and the attempt that is in the task's own row. */
    attempts: all<[id: Text, id: Text, id: Text]>(`
      SELECT a.number, a.token, a.owner, a.started_at, a.ended_at, a.outcome, a.error, a.execution, a.verification, a.usage
      FROM tasks t JOIN attempts a ON a.task = t.seq WHERE t.id = ?
      UNION ALL
      SELECT attempts, token, owner, started_at, NULL, 'running', NULL, ${saved}
      FROM tasks WHERE id = ? AND status = 'in_progress'
      UNION ALL
      SELECT attempts, token, owner, started_at, updated_at, 'completed', NULL, execution, verification, attempt_usage
      FROM tasks WHERE id = ? AND status = 'completed'
      ORDER BY token`),

    /**
     * The highest priority, up to the given one, that has a claimable task, and when its earliest is available. Going
     * from one priority to the next like this finds what is due also below a million that are not due yet.
     */
    priority: first<[upTo: number]>(`
      SELECT priority, available_at FROM tasks INDEXED BY tasks_claimable
      WHERE status = 'pending' AND blockers = 0 AND priority <= ? ORDER BY priority DESC, available_at LIMIT 1`),

    leaseEnd: first<[]>(
      "SELECT lease_until FROM tasks INDEXED BY tasks_leased WHERE status = 'in_progress' ORDER BY lease_until LIMIT 1"
    ),

    // ------------------------------------------------------------------- adding

    addTask: insert<[id: Text, priority: number, availableAt: number, now: number, now: number]>(`
      INSERT INTO tasks
        (id, status, priority, available_at, blockers, attempts, requeues, verified, created_at, updated_at, token)
      VALUES (?, 'pending', ?, ?, 0, 0, 0, 0, ?, ?, 0)
      ON CONFLICT (id) DO NOTHING`),

    addInputs: run<[seq: number, description: Text, metadata: Json, dependsOn: Json]>(
      "INSERT INTO task_inputs (seq, description, metadata, depends_on) VALUES (?, ?, ?, ?)"
    ),

    description: first<[id: Text]>("SELECT i.description FROM tasks t JOIN task_inputs i USING (seq) WHERE t.id = ?"),

    /** A task as it was in another store. */
    restoreTask: one<
      [
        id: Text,
        status: TaskStatus,
        priority: number,
        availableAt: number,
        attempts: number,
        requeues: number,
        verified: number,
        feedback: Text | null,
        usage: Json | null,
        checkpoint: Json | null,
        createdAt: number,
        updatedAt: number,
        token: number,
        owner: Text | null,
        startedAt: number | null,
        leaseUntil: number | null,
        execution: Json | null,
        verification: Json | null,
        attemptUsage: Json | null
      ]
    >(`
      INSERT INTO tasks
        (id, status, priority, available_at, attempts, requeues, verified, feedback, usage, checkpoint, created_at,
         updated_at, token, owner, started_at, lease_until, execution, verification, attempt_usage, blockers)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)
      RETURNING seq`),

    restoreAttempt: run<
      [
        task: number,
        number: number,
        token: number,
        owner: Text,
        startedAt: number,
        endedAt: number,
        outcome: string,
        error: Text | null,
        execution: Json | null,
        verification: Json | null,
        usage: Json | null
      ]
    >(`
      INSERT INTO attempts
        (task, number, token, owner, started_at, ended_at, outcome, error, execution, verification, usage)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`),

    addDependency: run<[dependency: Text, task: number]>("INSERT INTO dependencies (dependency, task) VALUES (?, ?)"),

    block: run<[blockers: number, seq: number]>("UPDATE tasks SET blockers = ? WHERE seq = ?"),

    // ----------------------------------------------------------------- claiming

    /** Reads before it updates, because RETURNING costs twice what a SELECT does. */
    claimable: tasks<[priority: number, now: number, limit: number]>(`
      SELECT ${claimColumns}
      FROM tasks t INDEXED BY tasks_claimable CROSS JOIN task_inputs i USING (seq)
      WHERE t.status = 'pending' AND t.blockers = 0 AND t.priority = ? AND t.available_at <= ?
      ORDER BY t.available_at, t.seq LIMIT ?`),

    previousExecution: first<[task: number]>(`
      SELECT execution FROM attempts
      WHERE task = ? AND outcome IN ('retried', 'failed') ORDER BY id DESC LIMIT 1`),

    lease: run<[owner: Text, now: number, now: number, leaseUntil: number, seqs: Json]>(`
      UPDATE tasks SET
        status = 'in_progress', attempts = attempts + 1, token = token + 1,
        owner = ?, started_at = ?, updated_at = ?, lease_until = ?
      WHERE seq IN (SELECT value FROM json_each(?))`),

    extend: change<[leaseUntil: number, id: Text, token: number]>(`UPDATE tasks SET lease_until = ? WHERE ${held}`),

    // ----------------------------------------------------------------- settling

    /** Written once, as the attempt's execution: it becomes the checkpoint when the attempt ends without a settlement. */
    checkpoint: change<[execution: Json, usage: Json | null, now: number, id: Text, token: number]>(
      `UPDATE tasks SET execution = ?, usage = ?, updated_at = ? WHERE ${held}`
    ),

    complete: change<
      [
        execution: Json,
        verification: Json | null,
        attemptUsage: Json | null,
        verified: number,
        usage: Json | null,
        now: number,
        id: Text,
        token: number
      ]
    >(`
      UPDATE tasks SET
        status = 'completed', execution = ?, verification = ?, attempt_usage = ?,
        verified = ?, usage = ?, feedback = NULL, checkpoint = NULL, updated_at = ?
      WHERE ${held}`),

    /** The fence of those settlements that do not complete: the updates below follow in the same transaction. */
    endAttempt: change<
      [
        now: number,
        outcome: string,
        error: Text,
        execution: Json | null,
        verification: Json | null,
        attemptUsage: Json | null,
        id: Text,
        token: number
      ]
    >(ledgerEntry("?, ?, ?", held)),

    endUnsettled: change<
      [now: number, outcome: string, error: Text, attemptUsage: Json | null, id: Text, token: number]
    >(ledgerEntry("execution, NULL, COALESCE(?, NULLIF(execution -> '$.usage', 'null'))", held)),

    retry: run<
      [availableAt: number, feedback: Text, usage: Json | null, checkpoint: Json | null, now: number, id: Text]
    >(`
      UPDATE tasks SET
        status = 'pending', available_at = ?, feedback = ?, usage = ?, checkpoint = ?, updated_at = ?, execution = NULL
      WHERE id = ?`),

    fail: run<[feedback: Text, usage: Json | null, checkpoint: Json | null, now: number, id: Text]>(`
      UPDATE tasks SET status = 'failed', feedback = ?, usage = ?, checkpoint = ?, updated_at = ?, execution = NULL
      WHERE id = ?`),

    release: run<[usage: Json | null, now: number, now: number, id: Text]>(`
      UPDATE tasks SET
        status = 'pending', attempts = MAX(0, attempts - 1), usage = COALESCE(?, usage), available_at = ?,
        updated_at = ?, ${keepOutput}
      WHERE id = ?`),

    hasDependencies: first<[]>("SELECT 1 FROM dependencies LIMIT 1"),

    dependenciesOf: all<[task: number]>("SELECT dependency FROM dependencies WHERE task = ?"),

    /** Those that waited for the task; the ones it frees are in the claim index from here on. */
    unblock: all<[id: Text]>(`
      UPDATE tasks SET blockers = blockers - 1
      WHERE seq IN (SELECT task FROM dependencies WHERE dependency = ?) RETURNING blockers, status`),

    forgetDependency: run<[id: Text]>("DELETE FROM dependencies WHERE dependency = ?"),

    // ----------------------------------------------- sweeping, requeueing, cancelling, pruning

    state: first<[id: Text]>(`SELECT ${stateColumns} FROM tasks WHERE id = ?`),

    statesOf: byStatus((status) =>
      all<[after: number, limit: number]>(
        `SELECT ${stateColumns} FROM ${tasksOf[status]} WHERE status = '${status}' AND seq > ? ORDER BY seq LIMIT ?`
      )
    ),

    /** Read inside the write transaction that takes them back: a heartbeat that was just in time is seen. */
    expired: all<[now: number, limit: number]>(`
      SELECT ${stateColumns} FROM tasks INDEXED BY tasks_leased
      WHERE status = 'in_progress' AND lease_until <= ? ORDER BY lease_until, seq LIMIT ?`),

    takeBack: run<[now: number, now: number, seq: number]>(
      `UPDATE tasks SET status = 'pending', available_at = ?, updated_at = ?, ${keepOutput} WHERE seq = ?`
    ),

    bury: run<[feedback: Text, now: number, seq: number]>(
      `UPDATE tasks SET status = 'failed', feedback = ?, updated_at = ?, ${keepOutput} WHERE seq = ?`
    ),

    requeue: run<[now: number, now: number, seq: number]>(`
      UPDATE tasks SET status = 'pending', attempts = 0, requeues = requeues + 1, available_at = ?, updated_at = ?
      WHERE seq = ?`),

    cancel: run<[now: number, seq: number]>(
      `UPDATE tasks SET status = 'cancelled', updated_at = ?, ${keepOutput} WHERE seq = ?`
    ),

    removeTask: run<[seq: number]>("DELETE FROM tasks WHERE seq = ?"),
    removeInputs: run<[seq: number]>("DELETE FROM task_inputs WHERE seq = ?"),
    removeAttempts: run<[task: number]>("DELETE FROM attempts WHERE task = ?"),
    removeDependencies: run<[task: number]>("DELETE FROM dependencies WHERE task = ?"),

    // ------------------------------------------------------------------ the one row of `store`

    count: run<
      [pending: number, inProgress: number, completed: number, failed: number, cancelled: number, waiting: number]
    >(`
      UPDATE store SET
        pending = pending + ?, in_progress = in_progress + ?, completed = completed + ?,
        failed = failed + ?, cancelled = cancelled + ?, waiting = waiting + ?`),

    revise: run<[]>("UPDATE store SET revision = revision + 1"),
    pause: run<[]>("UPDATE store SET revision = revision + 1, paused = 1"),
    resume: run<[]>("UPDATE store SET revision = revision + 1, paused = 0"),
    stop: run<[]>("UPDATE store SET revision = revision + 1, stops = stops + 1")
  }
}
