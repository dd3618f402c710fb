import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite"
import * as Batches from "./batchStatements.ts"
import type { TaskStatus } from "@baton/core/Task"
import * as Rows from "./rows.ts"

/** Every statement of the store. */
export interface Statements extends ReturnType<typeof make> {}

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

type Json = string

/** What a transition looks at. */
const stateColumns = "seq, id, queue, status, blockers, attempts, token, owner, started_at, updated_at"

/** A task with its inputs. CROSS JOIN keeps the order of the loops: tasks by `seq`, then the others. */
const wholeTasks = "tasks t CROSS JOIN task_inputs i USING (seq) CROSS JOIN queues USING (queue)"

/** Whether a task is in the queue with this name; null is any queue. */
const isIn = (name: string) => `(${name} IS NULL OR queue = (SELECT queue FROM queues WHERE name = ${name}))`

/**
 * Where to look for the tasks of a status. By itself, the planner would walk the table by `seq`; these indexes contain only
 * the selected tasks, also where a million tasks have completed. There is none for the tasks of a queue: adding tasks would
 * take an eighth longer, and reading past a million tasks of other queues takes half a second.
 */
const tasksOf = {
  pending: "tasks",
  in_progress: "tasks INDEXED BY tasks_leased",
  in_review: "tasks INDEXED BY tasks_in_review",
  completed: "tasks",
  failed: "tasks INDEXED BY tasks_failed",
  cancelled: "tasks INDEXED BY tasks_cancelled"
} as const satisfies Record<TaskStatus, string>

const byStatus = <A>(make: (status: TaskStatus) => A): { readonly [Status in TaskStatus]: A } => ({
  pending: make("pending"),
  in_progress: make("in_progress"),
  in_review: make("in_review"),
  completed: make("completed"),
  failed: make("failed"),
  cancelled: make("cancelled")
})

/** The number of tasks that one statement of a search looks at. */
const searched = 10_000

/** How many tasks of the key of a row of `key_turns` are in progress. */
const runningOf = (queue: string) => `(
  SELECT COUNT(*) FROM tasks t INDEXED BY tasks_busy
  WHERE t.status = 'in_progress' AND t.queue = ${queue} AND t.concurrency_key = key_turns.concurrency_key)`

/** The fence: a write under a lease that is not current finds no row. */
const isLeased = "id = ? AND token = ? AND status = 'in_progress'"

/** The same for a decision about a task in review. */
const isInReview = "id = ? AND token = ? AND status = 'in_review'"

/** Moves the attempt in the task's row into the ledger. One that never started lasts no time. */
const ledgerEntry = (result: string, condition = isLeased) => `
  INSERT INTO attempts
    (task, number, token, owner, started_at, ended_at, outcome, error, execution, verification, usage)
  SELECT seq, attempts, token, owner, COALESCE(started_at, ?1), ?1, ?, ?, ${result} FROM tasks WHERE ${condition}`

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

const map =
  <P extends ReadonlyArray<SQLInputValue>, A, B>(find: (...parameters: P) => A, read: (found: A) => B) =>
  (...parameters: P): B =>
    read(find(...parameters))

/**
 * A batch runs one of these in a loop inside one transaction: measured against single statements over `json_each`, that is
 * faster for all that write texts. A statement that names an index is only fast with that index; with the name, a change
 * that loses the index makes the statement fail.
 *
 * `LIMIT +?`, because SQLite plans for the value of `LIMIT ?`, and prepares the statement again whenever that is bound: a claim
 * of one task takes 6 µs instead of 100.
 */
export const make = (prepared: Prepared) => {
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
  /** Looks at a number of tasks that takes milliseconds; the last one of them shows how far it has looked. */
  const search = (from: string, where = "") =>
    tasks<[after: number, limit: number, queue: string | null, results: number, contains: string]>(`
      WITH looked AS MATERIALIZED (
        SELECT seq FROM ${from} WHERE ${where} seq > ?1 AND ${isIn("?3")} ORDER BY seq LIMIT ${searched})
      SELECT ${Rows.listedColumns("?4")} FROM ${wholeTasks}
      WHERE seq IN looked
        AND (instr(lower(description), ?5) OR instr(lower(id), ?5) OR seq = (SELECT MAX(seq) FROM looked))
      ORDER BY seq LIMIT +?2`)
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

  /** Claimable tasks with this kind of token: those without a key have one index, and those with a key another. */
  const part = (plain: string, keyed: string, token: "= 0" | "> 0") => ({
    /**
     * The highest priority, up to the given one, that has a claimable task, and when its earliest is available. Going
     * from one priority to the next finds a task that is due also below a million that are not due yet.
     */
    priority: first<[queue: number | null, upTo: number]>(`
      SELECT priority, available_at FROM tasks INDEXED BY ${plain}
      WHERE status = 'pending' AND blockers = 0 AND concurrency_key IS NULL AND token ${token} AND queue = ?
        AND priority <= ?
      ORDER BY priority DESC, available_at LIMIT 1`),

    /** Read before the update, because RETURNING costs twice as much as a SELECT. */
    claimable: arrays<[queue: number | null, priority: number, now: number, limit: number]>(`
      SELECT ${Rows.claimColumns}
      FROM tasks t INDEXED BY ${plain} CROSS JOIN task_inputs i USING (seq)
      WHERE t.status = 'pending' AND t.blockers = 0 AND t.concurrency_key IS NULL AND t.token ${token}
        AND t.queue = ? AND t.priority = ? AND t.available_at <= ?
      ORDER BY t.available_at, t.seq LIMIT +?`),

    claimableOfKey: arrays<[queue: number, priority: number, key: string, now: number, limit: number]>(`
      SELECT ${Rows.claimColumns}
      FROM tasks t INDEXED BY ${keyed} CROSS JOIN task_inputs i USING (seq)
      WHERE t.status = 'pending' AND t.blockers = 0 AND t.token ${token}
        AND t.queue = ? AND t.priority = ? AND t.concurrency_key = ? AND t.available_at <= ?
      ORDER BY t.available_at, t.seq LIMIT +?`),

    /** When the first task of a key is available. */
    firstOfKey: first<[queue: number, priority: number, key: string]>(`
      SELECT available_at FROM tasks INDEXED BY ${keyed}
      WHERE status = 'pending' AND blockers = 0 AND token ${token}
        AND queue = ? AND priority = ? AND concurrency_key = ?
      ORDER BY available_at LIMIT 1`)
  })

  return {
    // ------------------------------------------------------------------ reading

    control: map(first<[]>("SELECT revision, paused, stops FROM control"), Rows.control),

    counts: map(all<[]>("SELECT * FROM queues"), Rows.counts),

    queue: first<[name: string]>("SELECT * FROM queues WHERE name = ?"),

    task: tasks<[id: string]>(`SELECT ${Rows.taskColumns} FROM ${wholeTasks} WHERE id = ?`),

    page: tasks<[after: number, limit: number]>(
      `SELECT ${Rows.taskColumns} FROM ${wholeTasks} WHERE seq > ? ORDER BY seq LIMIT +?`
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

    /** The highest priority, up to the given one, that has keys in its line. */
    keyPriority: first<[queue: number | null, upTo: number]>(
      "SELECT priority FROM key_turns WHERE queue = ? AND priority <= ? ORDER BY priority DESC LIMIT 1"
    ),

    /** Finds a key that is not busy and whose first task is due. Those at the end of the line were served last. */
    dueKey: first<[queue: number | null, now: number, maxPerKey: number]>(`
      SELECT 1 FROM key_turns INDEXED BY key_turns_in_order
      WHERE queue = ?1 AND available_at <= ?2 AND ${runningOf("?1")} < ?3
      ORDER BY priority DESC, turn LIMIT 1`),

    /** When the first task of a key that is not busy is available. */
    nextKey: first<[queue: number | null, maxPerKey: number]>(`
      SELECT MIN(available_at) AS available_at FROM key_turns INDEXED BY key_turns_in_order
      WHERE queue = ?1 AND ${runningOf("?1")} < ?2`),

    leaseEnd: first<[queue: number | null]>(`
      SELECT lease_until FROM tasks INDEXED BY tasks_leased
      WHERE status = 'in_progress' AND queue = ? ORDER BY lease_until LIMIT 1`),

    /** A lease that ends later than any lease that was given can end. The clock was set back since. */
    impossibleLease: first<[queue: number | null, now: number]>(`
      SELECT 1 FROM tasks INDEXED BY tasks_leased
      WHERE status = 'in_progress' AND queue = ?1
        AND lease_until > ?2 + (SELECT longest_lease FROM control WHERE longest_lease > 0) LIMIT 1`),

    shortenLeases: run<[queue: number | null, now: number]>(`
      UPDATE tasks SET lease_until = ?2 + (SELECT longest_lease FROM control)
      WHERE status = 'in_progress' AND queue = ?1
        AND lease_until > ?2 + (SELECT longest_lease FROM control WHERE longest_lease > 0)`),

    noteLease: run<[leaseMillis: number]>("UPDATE control SET longest_lease = ?1 WHERE longest_lease < ?1"),

    // ------------------------------------------------------------------- adding

    addQueue: insert<[name: string]>("INSERT INTO queues (name) VALUES (?)"),

    addTask: insert<
      [id: string, priority: number, availableAt: number, now: number, queue: number, concurrencyKey: string | null]
    >(`
      INSERT INTO tasks
        (id, status, priority, available_at, blockers, attempts, requeues, verified, created_at, updated_at, token, queue,
         concurrency_key)
      VALUES (?1, 'pending', ?2, ?3, 0, 0, 0, 0, ?4, ?4, 0, ?5, ?6)
      ON CONFLICT (id) DO NOTHING`),

    addInputs: run<
      [seq: number, description: string, metadata: Json, dependsOn: Json, payload: Json | null, overrides: Json | null]
    >(`
      INSERT INTO task_inputs (seq, description, metadata, depends_on, payload, overrides)
      VALUES (?, ?, ?, ?, ?, ?)`),

    /** Puts the key of a pending task into the line; a trigger does so when a task becomes pending again or is unblocked. */
    enterKeyLine: run<[queue: number, priority: number, key: string, availableAt: number]>(`
      INSERT INTO key_turns
      SELECT ?1, ?2, ?3, COALESCE(MAX(turn), 0) + 1, ?4 FROM key_turns WHERE queue = ?1 AND priority = ?2
      ON CONFLICT DO UPDATE SET available_at = excluded.available_at WHERE excluded.available_at < available_at`),

    /** What a task was added with. */
    inputs: first<[id: string]>(`
      SELECT queue, description, payload, metadata, overrides, priority, concurrency_key, depends_on
      FROM tasks JOIN task_inputs USING (seq) WHERE id = ?`),

    restoreTask: insert<
      [
        id: string,
        status: TaskStatus,
        priority: number,
        availableAt: number,
        attempts: number,
        requeues: number,
        verified: number,
        feedback: string | null,
        usage: Json | null,
        checkpoint: Json | null,
        createdAt: number,
        updatedAt: number,
        token: number,
        owner: string | null,
        startedAt: number | null,
        leaseUntil: number | null,
        execution: Json | null,
        verification: Json | null,
        attemptUsage: Json | null,
        queue: number,
        concurrencyKey: string | null
      ]
    >(`
      INSERT INTO tasks
        (id, status, priority, available_at, attempts, requeues, verified, feedback, usage, checkpoint, created_at,
         updated_at, token, owner, started_at, lease_until, execution, verification, attempt_usage, queue, concurrency_key, blockers)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`),

    restoreAttempt: run<
      [
        task: number,
        number: number,
        token: number,
        owner: string,
        startedAt: number,
        endedAt: number,
        outcome: string,
        error: string | null,
        execution: Json | null,
        verification: Json | null,
        usage: Json | null
      ]
    >(`
      INSERT INTO attempts
        (task, number, token, owner, started_at, ended_at, outcome, error, execution, verification, usage)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`),

    addDependency: run<[dependency: string, task: number]>("INSERT INTO dependencies (dependency, task) VALUES (?, ?)"),

    block: run<[blockers: number, seq: number]>("UPDATE tasks SET blockers = ? WHERE seq = ?"),

    // ----------------------------------------------------------------- claiming

    /** The tasks that have had an attempt, and those that have not, in the order of claiming within a priority. */
    parts: [part("tasks_started", "tasks_keyed_started", "> 0"), part("tasks_claimable", "tasks_keyed", "= 0")],

    /** The first keys of a line that are not busy and whose first task is due, and how many tasks of each are in progress. */
    keysInTurn: all<[queue: number, priority: number, now: number, maxPerKey: number, limit: number]>(`
      SELECT concurrency_key, ${runningOf("?1")} AS running FROM key_turns INDEXED BY key_turns_in_order
      WHERE queue = ?1 AND priority = ?2 AND available_at <= ?3 AND running < ?4
      ORDER BY turn LIMIT +?5`),

    /** Puts a key at the end of its line. */
    endTurn: run<[queue: number, priority: number, key: string, availableAt: number]>(`
      UPDATE key_turns SET
        turn = 1 + (SELECT MAX(turn) FROM key_turns WHERE queue = ?1 AND priority = ?2), available_at = ?4
      WHERE queue = ?1 AND priority = ?2 AND concurrency_key = ?3`),

    keyAvailable: run<[availableAt: number, queue: number, priority: number, key: string]>(
      "UPDATE key_turns SET available_at = ? WHERE queue = ? AND priority = ? AND concurrency_key = ?"
    ),

    removeKey: run<[queue: number, priority: number, key: string]>(
      "DELETE FROM key_turns WHERE queue = ? AND priority = ? AND concurrency_key = ?"
    ),

    previousExecution: first<[task: number]>(`
      SELECT execution FROM attempts
      WHERE task = ? AND outcome IN ('retried', 'failed', 'completed') ORDER BY id DESC LIMIT 1`),

    tokenFloor: first<[]>("SELECT token_floor FROM control"),

    /** Returns how many tasks it leased: a damaged index names others than the claimable ones. */
    lease: changes<
      [owner: string, now: number, leaseUntil: number, tokenFloor: number, seqs: Json, startedAt: number | null]
    >(`
      UPDATE tasks SET
        status = 'in_progress', attempts = attempts + 1, owner = ?1, started_at = ?6, updated_at = ?2,
        lease_until = ?3, token = MAX(token, ?4) + 1
      WHERE seq IN (SELECT value FROM json_each(?5)) AND status = 'pending'`),

    leased: first<[seq: number, token: number]>(
      "SELECT 1 FROM tasks WHERE seq = ? AND ? = token AND status = 'in_progress'"
    ),

    start: change<[now: number, id: string, token: number]>(
      `UPDATE tasks SET started_at = COALESCE(started_at, ?) WHERE ${isLeased}`
    ),

    extend: change<[leaseUntil: number, id: string, token: number]>(
      `UPDATE tasks SET lease_until = ? WHERE ${isLeased}`
    ),

    // ----------------------------------------------------------------- settling

    /** Written as the attempt's execution alone: it becomes the checkpoint when the attempt ends without a settlement. */
    checkpoint: change<
      [execution: Json, executionUsage: Json | null, usage: Json | null, now: number, id: string, token: number]
    >(`UPDATE tasks SET execution = ?, attempt_usage = ?, usage = ?, updated_at = ? WHERE ${isLeased}`),

    /** Ends the attempt in the task's row, where the attempt of a task that is completed or in review stays. */
    settle: change<
      [
        status: TaskStatus,
        attemptsReturned: number,
        availableAt: number | null,
        verified: number,
        feedback: string | null,
        usage: Json | null,
        checkpoint: Json | null,
        execution: Json | null,
        verification: Json | null,
        attemptUsage: Json | null,
        now: number,
        id: string,
        token: number
      ]
    >(`
      UPDATE tasks SET
        status = ?, attempts = MAX(0, attempts - ?), available_at = COALESCE(?, available_at), verified = ?,
        feedback = ?, usage = ?, checkpoint = ?, execution = ?, verification = ?, attempt_usage = ?, updated_at = ?
      WHERE ${isLeased}`),

    /** Writes the ledger's row of a settled attempt. `settle` follows in the same transaction. */
    endAttempt: change<
      [
        now: number,
        outcome: string,
        error: string | null,
        execution: Json | null,
        verification: Json | null,
        attemptUsage: Json | null,
        id: string,
        token: number
      ]
    >(ledgerEntry("?, ?, ?")),

    /** Writes the ledger's row of an attempt in review that was not accepted. `decide` follows in the same transaction. */
    endReview: change<
      [
        now: number,
        outcome: string,
        error: string | null,
        execution: Json | null,
        verification: Json,
        id: string,
        token: number
      ]
    >(ledgerEntry("?, ?, attempt_usage", isInReview)),

    /** Changes a task in review. Null keeps `available_at`; without an execution, the attempt is in the ledger. */
    decide: change<
      [
        status: TaskStatus,
        availableAt: number | null,
        verified: number,
        feedback: string | null,
        execution: Json | null,
        verification: Json | null,
        now: number,
        id: string,
        token: number
      ]
    >(`
      UPDATE tasks SET
        status = ?, available_at = COALESCE(?, available_at), verified = ?, feedback = ?, execution = ?5,
        verification = ?6, attempt_usage = IIF(?5 IS NULL, NULL, attempt_usage), updated_at = ?7
      WHERE id = ?8 AND token = ?9 AND status = 'in_review'`),

    /** Replaces the verification of an attempt in the row of its task. */
    amendLast: change<[verification: Json, id: string, token: number, before: Json]>(`
      UPDATE tasks SET verification = ?
      WHERE id = ? AND token = ? AND status = 'completed' AND verification = ?`),

    /** Replaces the verification of an attempt in the ledger. */
    amend: change<[verification: Json, id: string, token: number, before: Json]>(`
      UPDATE attempts SET verification = ?
      WHERE task = (SELECT seq FROM tasks WHERE id = ?) AND token = ? AND verification = ?`),

    /** Writes the ledger's row of an attempt that ends without a result. `interrupt` follows in the same transaction. */
    endInterrupted: change<
      [now: number, outcome: string, error: string | null, attemptUsage: Json | null, id: string, token: number]
    >(ledgerEntry("execution, NULL, COALESCE(?, attempt_usage)")),

    /** Keeps what the attempt has checkpointed, and every column whose parameter is null. */
    interrupt: run<
      [
        status: TaskStatus,
        attemptsReturned: number,
        availableAt: number | null,
        feedback: string | null,
        usage: Json | null,
        now: number,
        id: string
      ]
    >(`
      UPDATE tasks SET
        status = ?, attempts = MAX(0, attempts - ?), available_at = COALESCE(?, available_at),
        feedback = COALESCE(?, feedback), usage = COALESCE(?, usage), checkpoint = COALESCE(execution, checkpoint),
        execution = NULL, attempt_usage = NULL, updated_at = ?
      WHERE id = ?`),

    /** Enough to know whether there is only one. */
    twoQueues: all<[]>("SELECT queue FROM queues LIMIT 2"),

    /** How many of these tasks each queue has of each status: one statement for a batch costs less than one for each task. */
    statuses: all<[ids: Json]>(`
      SELECT queue, status, COUNT(*) AS count FROM json_each(?) CROSS JOIN tasks ON tasks.id = value
      GROUP BY queue, status`),

    hasDependencies: first<[]>("SELECT 1 FROM dependencies LIMIT 1"),

    /** Returns the dependants; those without another blocker are in the claim index from here on. */
    unblock: all<[id: string]>(`
      UPDATE tasks SET blockers = blockers - 1
      WHERE seq IN (SELECT task FROM dependencies WHERE dependency = ?) RETURNING queue, blockers, status`),

    forgetDependency: run<[id: string]>("DELETE FROM dependencies WHERE dependency = ?"),

    // ----------------------------------------------- sweeping, requeueing, cancelling, pruning

    state: first<[id: string]>(`SELECT ${stateColumns} FROM tasks WHERE id = ?`),

    statesOf: byStatus((status) =>
      all<[after: number, limit: number, queue: string | null]>(`
        SELECT ${stateColumns} FROM ${tasksOf[status]}
        WHERE status = '${status}' AND seq > ?1 AND ${isIn("?3")} ORDER BY seq LIMIT +?2`)
    ),

    /** Read inside the write transaction, so that a heartbeat that was just in time is seen. */
    expired: all<[queue: number | null, now: number, limit: number]>(`
      SELECT ${stateColumns}, IIF(json_valid(overrides), overrides ->> '$.maxAttempts', NULL) AS max_attempts
      FROM tasks INDEXED BY tasks_leased CROSS JOIN task_inputs USING (seq)
      WHERE status = 'in_progress' AND queue = ? AND lease_until <= ? ORDER BY lease_until, seq LIMIT +?`),

    requeue: run<[now: number, seq: number]>(`
      UPDATE tasks SET status = 'pending', attempts = 0, requeues = requeues + 1, available_at = ?1, updated_at = ?1
      WHERE seq = ?2`),

    /** Moves the attempt that completed a task from its row into the ledger. `reviseTask` follows in the same transaction. */
    endCompleted: run<[seq: number]>(`
      INSERT INTO attempts
        (task, number, token, owner, started_at, ended_at, outcome, error, execution, verification, usage)
      SELECT seq, attempts, token, owner, COALESCE(started_at, updated_at), updated_at, 'completed', NULL, execution, verification, attempt_usage
      FROM tasks WHERE seq = ? AND status = 'completed'`),

    reviseTask: run<[feedback: string | null, now: number, seq: number]>(`
      UPDATE tasks SET
        status = 'pending', attempts = 0, requeues = requeues + 1, feedback = ?1, verified = 0, checkpoint = NULL,
        available_at = IIF(status = 'pending', available_at, ?2), execution = NULL, verification = NULL,
        attempt_usage = NULL, updated_at = ?2
      WHERE seq = ?3`),

    reviseInputs: run<[description: string, metadata: Json, payload: Json | null, overrides: Json | null, seq: number]>(
      "UPDATE task_inputs SET description = ?, metadata = ?, payload = ?, overrides = ? WHERE seq = ?"
    ),

    // ------------------------------------------------------------------ repairing

    reindex: run<[]>("REINDEX tasks"),

    /** Returns the number of tasks. */
    failDamaged: changes<[feedback: string, now: number]>(`
      UPDATE tasks SET status = 'failed', feedback = ?1, updated_at = ?2,
        queue = IIF(queue IN (SELECT queue FROM queues), queue, (SELECT MIN(queue) FROM queues))
      WHERE status NOT IN ('pending', 'in_progress', 'in_review', 'completed', 'failed', 'cancelled')
        OR queue NOT IN (SELECT queue FROM queues)
        OR seq NOT IN (SELECT seq FROM task_inputs)
        OR (status = 'pending' AND blockers <> (SELECT COUNT(*) FROM dependencies WHERE task = seq))`),

    addMissingInputs: run<[description: string]>(`
      INSERT INTO task_inputs (seq, description, metadata, depends_on)
      SELECT seq, ?, '{}', '[]' FROM tasks WHERE seq NOT IN (SELECT seq FROM task_inputs)`),

    recount: run<[]>(`
      UPDATE queues SET (pending, in_progress, in_review, completed, failed, cancelled, waiting) = (
        SELECT TOTAL(status = 'pending'), TOTAL(status = 'in_progress'), TOTAL(status = 'in_review'),
          TOTAL(status = 'completed'), TOTAL(status = 'failed'), TOTAL(status = 'cancelled'), TOTAL(status = 'pending' AND blockers > 0)
        FROM tasks WHERE tasks.queue = queues.queue)`),

    removeTask: run<[seq: number]>("DELETE FROM tasks WHERE seq = ?"),
    removeInputs: run<[seq: number]>("DELETE FROM task_inputs WHERE seq = ?"),
    removeAttempts: run<[task: number]>("DELETE FROM attempts WHERE task = ?"),
    removeDependencies: run<[task: number]>("DELETE FROM dependencies WHERE task = ?"),

    // ------------------------------------------------------------------ budgets

    budgets: all<[]>(`
      SELECT queue, limit_cost AS limitNanoUsd, limit_tokens AS limitTokens, committed_cost AS committedNanoUsd,
        committed_tokens AS committedTokens, reserved_cost AS reservedNanoUsd, reserved_tokens AS reservedTokens
      FROM budgets`),

    queueName: first<[queue: number]>("SELECT name FROM queues WHERE queue = ?"),

    /** The amounts that the attempt under way has spent and reserved. */
    spending: first<[task: number]>(
      "SELECT committed_cost, committed_tokens, reserved_cost, reserved_tokens FROM spending WHERE task = ?"
    ),

    saveSpending: run<
      [task: number, committedCost: number, committedTokens: number, reservedCost: number, reservedTokens: number]
    >(`
      INSERT OR REPLACE INTO spending (task, committed_cost, committed_tokens, reserved_cost, reserved_tokens)
      VALUES (?, ?, ?, ?, ?)`),

    forgetSpending: run<[task: number]>("DELETE FROM spending WHERE task = ?"),

    saveBudget: run<
      [committedCost: number, committedTokens: number, reservedCost: number, reservedTokens: number, queue: string]
    >(`
      UPDATE budgets SET committed_cost = ?, committed_tokens = ?, reserved_cost = ?, reserved_tokens = ?
      WHERE queue = ?`),

    addBudget: run<[queue: string]>("INSERT OR IGNORE INTO budgets (queue) VALUES (?)"),
    limitCost: run<[limit: number | null, queue: string]>("UPDATE budgets SET limit_cost = ? WHERE queue = ?"),
    limitTokens: run<[limit: number | null, queue: string]>("UPDATE budgets SET limit_tokens = ? WHERE queue = ?"),
    setCommitted: run<[cost: number, tokens: number, queue: string]>(
      "UPDATE budgets SET committed_cost = ?, committed_tokens = ? WHERE queue = ?"
    ),

    // ----------------------------------------------------------------- progress

    saveProgress: run<[report: string, id: string, token: number]>(
      `INSERT OR REPLACE INTO progress SELECT seq, token, ? FROM tasks WHERE ${isLeased}`
    ),
    trimProgress: run<[]>(`
      DELETE FROM progress WHERE NOT EXISTS (
        SELECT 1 FROM tasks t WHERE t.seq = task AND t.token = progress.token AND t.status = 'in_progress')`),
    progress: first<[id: string]>(`
      SELECT p.report FROM tasks t JOIN progress p ON p.task = t.seq AND p.token = t.token
      WHERE t.id = ? AND t.status = 'in_progress'`),

    // ------------------------------------------------------------------- pauses

    pause: first<[queue: string]>(
      "SELECT queue, cause, until, probe_until, reason, revision FROM pauses WHERE queue = ?"
    ),
    pauses: all<[]>("SELECT queue, cause, until, probe_until, reason, revision FROM pauses"),
    savePause: run<
      [queue: string, cause: string, until: number | null, probeUntil: number | null, reason: string, revision: number]
    >(`
      INSERT OR REPLACE INTO pauses (queue, cause, until, probe_until, reason, revision) VALUES (?, ?, ?, ?, ?, ?)`),
    startProbe: run<[probeUntil: number, queue: string]>("UPDATE pauses SET probe_until = ? WHERE queue = ?"),
    /** Null removes the pause of the queue, whichever it is. */
    removePause: change<[queue: string, revision: number | null]>(
      "DELETE FROM pauses WHERE queue = ?1 AND (?2 IS NULL OR revision = ?2)"
    ),

    ...Batches.statements({ all, change, first, run }),

    // ------------------------------------------------------- the rows of `queues`, and the one row of `control`

    count: run<
      [
        pending: number,
        inProgress: number,
        inReview: number,
        completed: number,
        failed: number,
        cancelled: number,
        waiting: number,
        queue: number
      ]
    >(`
      UPDATE queues SET
        pending = pending + ?, in_progress = in_progress + ?, in_review = in_review + ?, completed = completed + ?,
        failed = failed + ?, cancelled = cancelled + ?, waiting = waiting + ?
      WHERE queue = ?`),

    removeEmptyQueues: run<[]>(
      `DELETE FROM queues
      WHERE pending = 0 AND in_progress = 0 AND in_review = 0 AND completed = 0 AND failed = 0 AND cancelled = 0`
    ),

    raiseTokenFloor: run<[token: number]>("UPDATE control SET token_floor = MAX(token_floor, ?)"),

    text: first<[name: string]>("SELECT text FROM texts WHERE name = ?"),
    /** A text is never removed, so `before` is null exactly when there is none. */
    saveText: change<[name: string, text: string, before: string | null]>(
      "INSERT INTO texts (name, text) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET text = excluded.text WHERE text = ?3"
    ),

    /** Increases the revision. Null keeps the runs paused, or not. */
    revise: run<[paused: number | null, stops: number]>(
      "UPDATE control SET revision = revision + 1, paused = COALESCE(?, paused), stops = stops + ?"
    )
  }
}
