import type { TaskStatus } from "@baton/core/Task"
import type { ControlRequest } from "@baton/core/TaskStore"
import * as Budgets from "./budgets.ts"
import * as Pauses from "./pauses.ts"
import {
  claimColumns,
  countChange,
  counted,
  giveUpLease,
  keepOutput,
  later,
  listedColumns,
  type Names,
  taskColumns
} from "./names.ts"
import * as Progress from "./progress.ts"

/** The statements of one store, except for those that add tasks. */
export interface Statements extends ReturnType<typeof make> {}

export const make = (names: Names) => ({
  ...claiming(names),
  ...leases(names),
  ...settling(names),
  ...selecting(names),
  ...reading(names),
  ...waiting(names),
  ...Budgets.make(names, isLeased),
  ...Pauses.make(names),
  ...Progress.make(names)
})

/**
 * Where a task comes in the order of claiming: by its priority, and within it before the tasks that have had no attempt if it
 * has had one. Written as in the indexes.
 */
const level = "(t.priority * 2 + (t.token > 0)::integer)"

/**
 * The levels that have a claimable task of a queue, from the highest down. Going from one to the next like this finds
 * the tasks that are due even below a million that are not due yet. Only the rows that a statement needs are read.
 */
const levels = ({ tasks }: Names, queue: string) => `
  levels AS (
    (SELECT ${level} AS level FROM ${tasks} t WHERE ${isClaimable(queue)} ORDER BY ${level} DESC LIMIT 1)
    UNION ALL
    SELECT (
      SELECT ${level} FROM ${tasks} t
      WHERE ${isClaimable(queue)} AND ${level} < l.level ORDER BY ${level} DESC LIMIT 1
    ) FROM levels l WHERE l.level IS NOT NULL
  )`

/** Holds for the rows of a queue that `tasks_claimable` contains, and names them in a way that only this index can serve. */
const isClaimable = (queue: string) =>
  `t.queue = ${queue} AND CASE WHEN t.blockers = 0 AND t.concurrency_key IS NULL THEN t.status END = 'pending'`

/** The same for `tasks_keyed`, which contains the tasks with a concurrency key. */
const isKeyed = (queue: string, key: string) => `
  t.queue = ${queue} AND t.concurrency_key = ${key}
  AND CASE WHEN t.blockers = 0 AND t.concurrency_key IS NOT NULL THEN t.status END = 'pending'`

/** How many tasks of a key are in progress. */
const runningOf = ({ tasks }: Names, queue: string, key: string) => `(
  SELECT count(*) FROM ${tasks} b
  WHERE b.queue = ${queue} AND b.concurrency_key = ${key}
    AND CASE WHEN b.concurrency_key IS NOT NULL THEN b.status END = 'in_progress')`

const claiming = (names: Names) => {
  const { attempts, changes, control, inputs, keyTurns, tasks } = names
  const previousExecution = `
    SELECT a.execution FROM ${attempts} a
    WHERE a.task = t.seq AND a.outcome IN ('retried', 'failed', 'completed') ORDER BY a.token DESC LIMIT 1`
  const claims = (rows: string) => `
    SELECT ${claimColumns}, CASE WHEN t.repeated THEN (${previousExecution}) END AS "previousExecution"
    FROM ${rows} t JOIN ${inputs} i ON i.seq = t.seq
    ORDER BY t.priority DESC, t.repeated DESC, t.available_at, t.seq`
  const claim = (picked: string, rows: string, begin = "WITH") => `
      ${begin} ${picked},
      claimed AS (
        UPDATE ${tasks} t SET
          status = 'in_progress', attempts = t.attempts + 1, token = p.token, lease = p.token,
          lease_until = ${later("$3")}, owner = $2, claim_call = $4, updated_at = now(),
          started_at = CASE WHEN p.n <= $6 THEN now() END
        FROM picked p WHERE t.seq = p.seq RETURNING t.*, p.repeated
      ),
      counted AS (
        INSERT INTO ${changes} SELECT $5, -count(*), count(*), 0, 0, 0, 0, 0 FROM claimed HAVING count(*) > 0
      )
      ${rows}`
  const newToken = `greatest(t.token, (SELECT token_floor FROM ${control} WHERE id = 1)) + 1`
  const hasKeys = `EXISTS (SELECT FROM ${keyTurns} k WHERE k.queue = $5)`
  const isHeld = "t.status = 'in_progress' AND t.owner = $1 AND t.claim_call = ANY ($2::float8[])"
  const isPaused = Pauses.isPaused(names, "$5")
  const claimPlain = (condition: string, rows: string) =>
    claim(
      `${levels(names, "$5")},
      picked AS MATERIALIZED (
        SELECT next.seq, next.repeated, next.token, row_number() OVER () AS n
        FROM levels l CROSS JOIN LATERAL (
          SELECT t.seq, t.token > 0 AS repeated, ${newToken} AS token FROM ${tasks} t
          WHERE ${isClaimable("$5")} AND ${level} = l.level AND t.available_at <= now()
          ORDER BY t.available_at, t.seq LIMIT $1 FOR UPDATE SKIP LOCKED
        ) next WHERE ${condition} LIMIT $1
      )`,
      rows,
      "WITH RECURSIVE"
    )
  const claimLocked = (condition: string) =>
    claim(
      `picked AS MATERIALIZED (
        SELECT t.seq, t.token > 0 AS repeated, ${newToken} AS token, x.n
        FROM unnest($1::float8[]) WITH ORDINALITY AS x (seq, n) JOIN ${tasks} t ON t.seq = x.seq::bigint
        WHERE ${condition}
      )`,
      claims("claimed")
    )
  return {
    /**
     * MATERIALIZED, because otherwise a plan may run the LIMIT more than once and lock more than was asked for. The token
     * exceeds the tokens of pruned tasks, so that an id that is added again does not repeat one.
     */
    claim: claimPlain(
      `NOT ${hasKeys} AND NOT ${isPaused}`,
      `SELECT c.*, k.has_keys AS "hasKeys", k.probe_due AS "probeDue"
      FROM (SELECT ${hasKeys} AS has_keys, ${Pauses.isProbeDue(names, "$5")} AS probe_due) k
      LEFT JOIN (${claims("claimed")}) c ON true WHERE k.has_keys OR k.probe_due OR c.seq IS NOT NULL`
    ),

    /** For the probe of a paused queue, in the transaction that has started it. */
    claimProbe: claimPlain(`NOT ${hasKeys}`, claims("claimed")),

    /** Of a queue that has keys: the highest priority, up to the given one, with pending tasks that wait for no other. */
    keyedPriority: `
      SELECT greatest(
        (SELECT t.priority FROM ${tasks} t WHERE ${isClaimable("$1")} AND ${level} <= $2::bigint * 2 + 1
          ORDER BY ${level} DESC LIMIT 1),
        (SELECT k.priority FROM ${keyTurns} k WHERE k.queue = $1 AND k.priority <= $2 ORDER BY k.priority DESC LIMIT 1)
      )::float8 AS priority, EXISTS (SELECT FROM ${keyTurns} k WHERE k.queue = $1) AS "hasKeys"`,

    /**
     * Locks the first keys of a line that are not busy, and what other lines have of these keys: a key that another claim is
     * using is passed over. Whether a key is busy is certain only for a statement that follows: it sees the rows committed
     * before the lock.
     */
    lockKeys: `
      WITH mine AS MATERIALIZED (
        SELECT k.concurrency_key, k.turn FROM ${keyTurns} k
        WHERE k.queue = $1 AND k.priority = $2 AND k.available_at <= now()
          AND ${runningOf(names, "$1", "k.concurrency_key")} < $3
        ORDER BY k.turn LIMIT $4 FOR UPDATE SKIP LOCKED
      ),
      others AS MATERIALIZED (
        SELECT k.concurrency_key FROM ${keyTurns} k
        WHERE k.queue = $1 AND k.priority <> $2 AND k.concurrency_key IN (SELECT concurrency_key FROM mine)
        FOR UPDATE SKIP LOCKED
      )
      SELECT m.concurrency_key AS key FROM mine m
      WHERE (
        SELECT count(*) FROM ${keyTurns} k
        WHERE k.queue = $1 AND k.priority <> $2 AND k.concurrency_key = m.concurrency_key
      ) = (SELECT count(*) FROM others o WHERE o.concurrency_key = m.concurrency_key)
      ORDER BY m.turn`,

    /** The first tasks without a key of a priority, and the first tasks of these keys as far as they have room. Locks them. */
    candidates: `
      WITH levels AS (SELECT $2::bigint * 2 + x.started AS level FROM (VALUES (1), (0)) AS x (started)),
      plain AS MATERIALIZED (
        SELECT next.* FROM levels l CROSS JOIN LATERAL (
          SELECT t.seq, t.available_at, l.level FROM ${tasks} t
          WHERE ${isClaimable("$1")} AND ${level} = l.level AND t.available_at <= now()
          ORDER BY t.available_at, t.seq LIMIT $3 FOR UPDATE SKIP LOCKED
        ) next LIMIT $3
      ),
      keyed AS MATERIALIZED (
        SELECT x.key, x.n, next.*
        FROM unnest($5::text[]) WITH ORDINALITY AS x (key, n)
        CROSS JOIN LATERAL (SELECT greatest(0, least($3, $4 - ${runningOf(names, "$1", "x.key")})) AS room) r
        CROSS JOIN LATERAL (
          SELECT due.* FROM levels l CROSS JOIN LATERAL (
            SELECT t.seq, t.available_at, l.level FROM ${tasks} t
            WHERE ${isKeyed("$1", "x.key")} AND ${level} = l.level AND t.available_at <= now()
            ORDER BY t.available_at, t.seq LIMIT r.room FOR UPDATE SKIP LOCKED
          ) due LIMIT r.room
        ) next
      ),
      found AS (
        SELECT NULL AS key, 0 AS n, seq, available_at, level FROM plain
        UNION ALL
        SELECT key, n, seq, available_at, level FROM keyed
      )
      SELECT key, seq::float8 AS seq, level = $2::bigint * 2 + 1 AS "isStarted",
        (extract(epoch FROM available_at) * 1000000)::float8 AS "availableAt" FROM found
      ORDER BY n, level DESC, available_at, seq`,

    /** Claims tasks that the transaction has locked. */
    claimLocked: claimLocked(`NOT ${isPaused}`),
    claimLockedProbe: claimLocked("true"),

    /**
     * Puts keys at the end of their line, in the order of `$4`; those with null there keep their place. Writes when the first
     * task of each is available, and takes keys out of the line that have none. `+ 0` and the place of each row,
     * which this transaction has locked, keep a plan from reading the whole line for each key.
     */
    endTurns: `
      WITH first AS MATERIALIZED (
        SELECT x.key, x.n, (
          SELECT min(available_at) FROM (VALUES (1), (0)) AS s (started) CROSS JOIN LATERAL (
            SELECT t.available_at FROM ${tasks} t WHERE ${isKeyed("$1", "x.key")} AND ${level} = $2::bigint * 2 + s.started
            ORDER BY t.available_at LIMIT 1
          ) earliest
        ) AS at, (
          SELECT k.ctid FROM ${keyTurns} k
          WHERE k.queue = $1 AND k.concurrency_key = x.key AND k.priority + 0 = $2
        ) AS place
        FROM unnest($3::text[], $4::float8[]) AS x (key, n)
      ),
      gone AS (
        DELETE FROM ${keyTurns} k USING first f WHERE k.ctid = f.place AND f.at IS NULL
      )
      UPDATE ${keyTurns} k SET
        available_at = f.at, turn = CASE WHEN f.n IS NULL THEN k.turn ELSE ${names.seqAt("f.n::bigint")} END
      FROM first f WHERE k.ctid = f.place AND f.at IS NOT NULL`,

    /**
     * The tasks that unanswered calls have claimed, under a new lease of this call, which is the one that is answered: a
     * later call does not return them again. Finds them before it locks them by `seq`, which would
     * otherwise be the order in which it reads all tasks.
     */
    reclaim: `
      WITH held AS MATERIALIZED (SELECT t.seq FROM ${tasks} t WHERE t.queue = $5 AND ${isHeld}),
      reclaimed AS (
        UPDATE ${tasks} t SET
          lease_until = ${later("$3")}, claim_call = $6, started_at = CASE WHEN p.n <= $7 THEN now() END
        FROM (
          SELECT l.seq, row_number() OVER (ORDER BY l.priority DESC, l.available_at, l.seq) AS n
          FROM (
            SELECT t.seq, t.priority, t.available_at FROM ${tasks} t
            WHERE t.seq IN (SELECT seq FROM held) AND ${isHeld} ORDER BY t.seq LIMIT $4 FOR UPDATE
          ) l
        ) p WHERE t.seq = p.seq RETURNING t.*, true AS repeated
      )
      ${claims("reclaimed")}`
  }
}

/**
 * Holds for the row that a lease is on. The claim's call number is random, so a lease from before the database was restored
 * from an older copy matches no row that the restored database has under the same key and token.
 */
const isLeased =
  "t.seq = x.seq::bigint AND t.lease = x.token::bigint AND t.claim_call IS NOT DISTINCT FROM x.call::bigint"

/** What a write under leases returns: the number of rows it wrote, and their keys if that is fewer than it was given. */
const written = `
  SELECT count(*)::float8 AS count, CASE WHEN count(*) < cardinality($1) THEN array_agg(seq::float8) END AS seqs FROM done`

/** The attempts of tasks with these statuses stay in the tasks' own rows. */
const isInRow = (row: string) => `${row}.status IN ('in_review', 'completed')`

const leases = ({ attempts, inputs, tasks }: Names) => ({
  start: `
    WITH done AS (
      UPDATE ${tasks} t SET started_at = coalesce(t.started_at, now())
      FROM unnest($1::float8[], $2::float8[], $3::float8[]) AS x (seq, token, call) WHERE ${isLeased} RETURNING t.seq
    ) ${written}`,

  extend: `
    WITH done AS (
      UPDATE ${tasks} t SET lease_until = ${later("$4")}
      FROM unnest($1::float8[], $2::float8[], $3::float8[]) AS x (seq, token, call) WHERE ${isLeased} RETURNING t.seq
    ) ${written}`,

  /** Saved once, as the attempt's execution: it becomes the checkpoint when the attempt ends without a settlement. */
  checkpoint: `
    WITH done AS (
      UPDATE ${tasks} t SET
        execution = x.execution, attempt_usage = x.attempt_usage, usage = x.usage, updated_at = now()
      FROM unnest($1::float8[], $2::float8[], $3::float8[], $4::text[], $5::text[], $6::text[])
        AS x (seq, token, call, execution, attempt_usage, usage)
      WHERE ${isLeased} RETURNING t.seq
    ) ${written}`,

  /** Finds the rows of current leases. */
  locate: `
    SELECT x.n::float8 AS n, t.seq::float8 AS seq, t.claim_call::float8 AS call
    FROM unnest($1::text[], $2::float8[]) WITH ORDINALITY AS x (id, token, n)
    JOIN ${inputs} i ON i.id = x.id JOIN ${tasks} t ON t.seq = i.seq AND t.lease = x.token::bigint`,

  /**
   * Explains why nothing was written for leases. `isCurrent`: the lease is current anyway. `outcome`: how the attempt under
   * this lease ended. A null call means that the caller did not claim the task itself, and matches any.
   */
  explain: `
    SELECT t.status, coalesce(${isLeased}, false) AS "isCurrent",
      CASE WHEN ${isInRow("t")} AND t.token = x.token AND (x.call IS NULL OR t.claim_call = x.call)
        THEN t.status ELSE a.outcome END AS outcome
    FROM unnest($1::text[], $2::float8[], $3::float8[], $4::float8[]) WITH ORDINALITY AS x (id, seq, token, call, n)
    LEFT JOIN ${inputs} i ON i.id = x.id
    LEFT JOIN ${tasks} t ON t.seq = i.seq
    LEFT JOIN ${attempts} a
      ON a.task = i.seq AND a.token = x.token::bigint AND (x.call IS NULL OR a.claim_call = x.call)
    ORDER BY x.n`
})

const settling = (names: Names) => {
  const { attempts, changes, dependencies, inputs, tasks } = names
  /** Frees the tasks that wait for the completed ones in `done`. */
  const freeing = `
      freed AS (
        UPDATE ${tasks} t SET blockers = t.blockers - w.count::integer
        FROM (
          SELECT d.task, count(*) AS count FROM done JOIN ${dependencies} d ON d.dependency = done.id
          WHERE done.status = 'completed' GROUP BY d.task
        ) w WHERE t.seq = w.task RETURNING t.queue, t.status, t.blockers
      ),
      forgotten AS (
        DELETE FROM ${dependencies} d USING done WHERE d.dependency = done.id AND done.status = 'completed'
      )`
  return {
    /** The common case of `settle`, at half its cost: completions of tasks that no other task waits for. */
    complete: `
      WITH done AS (
        UPDATE ${tasks} t SET
          status = 'completed', ${giveUpLease}, execution = x.execution, verification = x.verification,
          attempt_usage = x.attempt_usage, usage = x.usage, verified = x.verified, feedback = NULL, checkpoint = NULL,
          updated_at = now()
        FROM unnest($1::float8[], $2::float8[], $3::float8[], $4::text[], $5::text[], $6::text[], $7::text[],
            $8::boolean[], $9::float8[], $10::float8[])
          AS x (seq, token, call, execution, verification, attempt_usage, usage, verified, used_cost, used_tokens)
        WHERE ${isLeased} AND t.parent = 0
        RETURNING t.seq, t.queue, t.token, ${Budgets.endColumns}, x.used_cost, x.used_tokens
      ),
      committed AS (${Budgets.commitUsed(names, "done")}),
      counted AS (
        INSERT INTO ${changes} SELECT queue, 0, -count(*), 0, count(*), 0, 0, 0 FROM done GROUP BY queue
      ) ${written}`,

    /**
     * Settlements of every kind. Reads the rows, locks them together with the rows that wait for them, and writes those
     * that have not changed since they were read; the caller repeats the rest. Reading first lets it move the attempt to
     * the ledger as it was, and shows which tasks wait.
     */
    settle: `
      WITH own AS MATERIALIZED (
        SELECT x.*, t.xmin AS version, t.attempts AS number, t.owner, t.started_at, t.claim_call,
          t.execution AS saved, t.attempt_usage AS saved_usage, ${Budgets.endColumns}
        FROM unnest($1::float8[], $2::float8[], $3::float8[], $4::text[], $5::text[], $6::text[], $7::float8[],
            $8::float8[], $9::text[], $10::text[], $11::boolean[], $12::text[], $13::text[], $14::text[], $15::text[],
            $16::text[], $17::float8[], $18::float8[])
          AS x (seq, token, call, id, outcome, status, returned, delay, error, feedback, verified, execution,
            verification, attempt_usage, usage, checkpoint, used_cost, used_tokens)
        JOIN ${tasks} t ON ${isLeased}
      ),
      locked AS MATERIALIZED (
        SELECT t.seq FROM ${tasks} t WHERE t.seq IN (
          SELECT seq::bigint FROM own
          UNION
          SELECT d.task FROM own JOIN ${dependencies} d ON d.dependency = own.id WHERE own.status = 'completed'
        ) ORDER BY t.seq FOR UPDATE
      ),
      done AS (
        UPDATE ${tasks} t SET
          status = o.status, ${giveUpLease},
          attempts = greatest(0, t.attempts - o.returned::bigint),
          available_at = CASE WHEN o.delay IS NULL THEN t.available_at ELSE ${later("o.delay")} END,
          feedback = CASE WHEN o.outcome = 'released' THEN t.feedback ELSE o.feedback END,
          usage = CASE WHEN o.outcome = 'released' THEN coalesce(o.usage, t.usage) ELSE o.usage END,
          checkpoint = CASE WHEN o.outcome = 'released' THEN coalesce(t.execution, t.checkpoint) ELSE o.checkpoint END,
          verified = o.verified,
          execution = CASE WHEN ${isInRow("o")} THEN o.execution END,
          verification = CASE WHEN ${isInRow("o")} THEN o.verification END,
          attempt_usage = CASE WHEN ${isInRow("o")} THEN o.attempt_usage END,
          updated_at = now()
        FROM own o
        WHERE t.seq = o.seq::bigint AND t.xmin = o.version AND (SELECT count(*) FROM locked) > 0
        RETURNING o.*, t.queue, t.blockers
      ),
      committed AS (${Budgets.commitUsed(names, "done")}),
      ended AS (
        INSERT INTO ${attempts} (task, token, claim_call, number, owner, started_at, ended_at, outcome, error, execution,
          verification, usage)
        SELECT seq, token, claim_call, number, owner, coalesce(started_at, now()), now(), outcome, error,
          CASE WHEN outcome = 'released' THEN saved ELSE execution END, verification,
          CASE WHEN outcome = 'released' THEN coalesce(attempt_usage, saved_usage) ELSE attempt_usage END
        FROM done WHERE NOT ${isInRow("done")}
      ),
      ${freeing},
      counted AS (
        INSERT INTO ${changes} ${countChange(
          `(
            SELECT queue, 'in_progress' AS was, status, blockers, false AS freed FROM done
            UNION ALL
            SELECT queue, NULL, NULL, 0, true FROM freed WHERE status = 'pending' AND blockers = 0
          ) d`,
          "freed"
        )}
      ) ${written}`,

    /**
     * Decisions about tasks in review. Locks and checks as `settle` does: the caller repeats rows that have changed between
     * reading and locking.
     */
    decide: `
      WITH own AS MATERIALIZED (
        SELECT x.*, t.seq, t.xmin AS version, t.attempts AS number, t.owner, t.started_at, t.claim_call, t.attempt_usage
        FROM unnest($1::text[], $2::float8[], $3::text[], $4::text[], $5::text[], $6::text[], $7::boolean[], $8::text[],
            $9::text[])
          AS x (id, token, outcome, status, error, feedback, verified, execution, verification)
        JOIN ${inputs} i ON i.id = x.id
        JOIN ${tasks} t ON t.seq = i.seq AND t.status = 'in_review' AND t.token = x.token::bigint
      ),
      locked AS MATERIALIZED (
        SELECT t.seq FROM ${tasks} t WHERE t.seq IN (
          SELECT seq FROM own
          UNION
          SELECT d.task FROM own JOIN ${dependencies} d ON d.dependency = own.id WHERE own.status = 'completed'
        ) ORDER BY t.seq FOR UPDATE
      ),
      done AS (
        UPDATE ${tasks} t SET
          status = o.status, available_at = CASE WHEN o.status = 'pending' THEN now() ELSE t.available_at END,
          feedback = o.feedback, verified = o.verified,
          execution = CASE WHEN o.status = 'completed' THEN o.execution END,
          verification = CASE WHEN o.status = 'completed' THEN o.verification END,
          attempt_usage = CASE WHEN o.status = 'completed' THEN t.attempt_usage END,
          updated_at = now()
        FROM own o WHERE t.seq = o.seq AND t.xmin = o.version AND (SELECT count(*) FROM locked) > 0
        RETURNING o.*, t.queue, t.blockers
      ),
      ended AS (
        INSERT INTO ${attempts} (task, token, claim_call, number, owner, started_at, ended_at, outcome, error, execution,
          verification, usage)
        SELECT seq, token::bigint, claim_call, number, owner, coalesce(started_at, now()), now(), outcome, error, execution,
          verification, attempt_usage
        FROM done WHERE status <> 'completed'
      ),
      ${freeing},
      counted AS (
        INSERT INTO ${changes} ${countChange(
          `(
            SELECT queue, 'in_review' AS was, status, blockers, false AS freed FROM done
            UNION ALL
            SELECT queue, NULL, NULL, 0, true FROM freed WHERE status = 'pending' AND blockers = 0
          ) d`,
          "freed"
        )}
      )
      SELECT coalesce(array_agg(id), '{}') AS ids FROM done`,

    /** Replaces the verification of an attempt, which the row of its task or the ledger has. */
    amend: `
      WITH task AS (SELECT i.seq FROM ${inputs} i WHERE i.id = $1),
      last AS (
        UPDATE ${tasks} t SET verification = $4 FROM task
        WHERE t.seq = task.seq AND t.token = $2::float8::bigint AND t.status = 'completed' AND t.verification = $3
        RETURNING t.seq
      ),
      ended AS (
        UPDATE ${attempts} a SET verification = $4 FROM task
        WHERE a.task = task.seq AND a.token = $2::float8::bigint AND a.verification = $3
        RETURNING a.task
      )
      SELECT (SELECT count(*) FROM last) + (SELECT count(*) FROM ended) > 0 AS "isAmended"`,

    /** The statuses of tasks about which a decision changed nothing. `isCurrent`: the review is under way anyway. */
    explainReview: `
      SELECT t.status, coalesce(t.status = 'in_review' AND t.token = x.token::bigint, false) AS "isCurrent"
      FROM unnest($1::text[], $2::float8[]) WITH ORDINALITY AS x (id, token, n)
      LEFT JOIN ${inputs} i ON i.id = x.id LEFT JOIN ${tasks} t ON t.seq = i.seq ORDER BY x.n`,

    /**
     * An attempt that has not started ($6 to $8 are for these) is given back. Passes over rows that another connection is writing, which is a heartbeat, an end or another sweep. The UPDATE checks
     * the expiry again: a heartbeat that was just in time wins.
     */
    sweep: `
      WITH expired AS MATERIALIZED (
        SELECT t.seq, t.attempts AS number, t.owner, t.started_at, t.execution, t.attempt_usage, t.claim_call,
          ${Budgets.endColumns},
          t.started_at IS NOT NULL AS started,
          t.started_at IS NOT NULL AND t.attempts >= CASE WHEN $1 = 0 THEN 0
            ELSE coalesce((SELECT i.max_attempts FROM ${inputs} i WHERE i.seq = t.seq), $1) END AS fails,
          CASE WHEN t.started_at IS NULL THEN $7 || t.owner || $8 ELSE $3 || t.owner || $4 END AS error
        FROM ${tasks} t WHERE t.queue = $5 AND t.status = 'in_progress' AND t.lease_until <= now()
        ORDER BY t.lease_until LIMIT $2 FOR UPDATE SKIP LOCKED
      ),
      done AS (
        UPDATE ${tasks} t SET
          status = CASE WHEN e.fails THEN 'failed' ELSE 'pending' END,
          attempts = CASE WHEN e.started THEN t.attempts ELSE greatest(0, t.attempts - $6::bigint) END,
          feedback = CASE WHEN e.fails THEN e.error ELSE t.feedback END,
          available_at = CASE WHEN e.fails THEN t.available_at ELSE now() END,
          ${giveUpLease}, ${keepOutput}, updated_at = now()
        FROM expired e WHERE t.seq = e.seq AND t.status = 'in_progress' AND t.lease_until <= now()
        RETURNING e.*, t.queue, t.status, t.token, t.blockers, t.attempts AS used
      ),
      committed AS (${Budgets.commitHeld(names, "done")}),
      ended AS (
        INSERT INTO ${attempts}
          (task, token, claim_call, number, owner, started_at, ended_at, outcome, error, execution, usage)
        SELECT seq, token, claim_call, number, owner, coalesce(started_at, now()), now(),
          CASE WHEN started THEN 'lease_expired' ELSE 'released' END, error, execution, attempt_usage
        FROM done
      ),
      counted AS (
        INSERT INTO ${changes} ${countChange("(SELECT queue, 'in_progress' AS was, status, blockers FROM done) d")}
      )
      SELECT i.id, d.status, d.token::float8 AS token, d.used::float8 AS attempts, d.owner, d.started
      FROM done d JOIN ${inputs} i ON i.seq = d.seq`
  }
}

/** A statement for tasks by their ids, and one for the next part of all tasks with a status, of one queue or of all. */
interface Forms {
  readonly ids: string
  readonly status: { readonly [Status in TaskStatus]: string }
}

/**
 * Holds for the rows of a queue, or for all if it is null. A CASE, because a plan for any queue has to expect many rows: where
 * it expects few, it reads all rows after `seq` and sorts them.
 */
const isInQueue = (queue: string) => `CASE WHEN ${queue}::text IS NULL THEN true ELSE t.queue = ${queue} END`

const selecting = (names: Names) => {
  const { attempts, changes, control, dependencies, inputs, tasks } = names
  const withIds = `t.seq IN (SELECT i.seq FROM unnest($1::text[]) AS x (id) JOIN ${inputs} i ON i.id = x.id)`
  /** Locks the rows of a selection in the order in which every statement locks rows. */
  const picked = (rows: string) => `
    picked AS MATERIALIZED (
      SELECT t.seq, t.queue, t.status AS was, t.blockers, t.token, t.claim_call, t.attempts AS number, t.owner, t.started_at,
        t.execution, t.attempt_usage, ${Budgets.endColumns}
      FROM ${tasks} t WHERE ${rows} FOR UPDATE
    )`
  /** `queue` is the parameter of the form for a status. */
  const forms = (queue: string, statement: (picked: string) => string, more = ""): Forms => {
    // The status is part of the text, because an index for one status serves no parameter.
    const withStatus = (status: TaskStatus) =>
      statement(picked(`t.status = '${status}' AND t.seq > $1 AND ${isInQueue(queue)} ${more} ORDER BY t.seq LIMIT $2`))
    return {
      ids: statement(picked(`${withIds} AND t.status = ANY ($2) ${more} ORDER BY t.seq`)),
      status: {
        pending: withStatus("pending"),
        in_progress: withStatus("in_progress"),
        in_review: withStatus("in_review"),
        completed: withStatus("completed"),
        failed: withStatus("failed"),
        cancelled: withStatus("cancelled")
      }
    }
  }
  /** What a statement returns: the ids that changed, and where the next part of a selection starts. */
  const changed = (ids: string) => `
    SELECT coalesce(array_agg(i.id ORDER BY d.seq), '{}') AS ids, max(d.seq)::float8 AS last,
      (count(*) FILTER (WHERE d.was = 'in_progress'))::float8 AS interrupted
    FROM done d JOIN ${ids} i ON i.seq = d.seq`

  return {
    cancel: forms(
      "$4",
      (picked) => `
        WITH ${picked},
        done AS (
          UPDATE ${tasks} t SET status = 'cancelled', ${giveUpLease}, ${keepOutput}, updated_at = now()
          FROM picked p WHERE t.seq = p.seq RETURNING p.*, t.status
        ),
        ended AS (
          INSERT INTO ${attempts}
            (task, token, claim_call, number, owner, started_at, ended_at, outcome, error, execution, usage)
          SELECT seq, token, claim_call, number, owner, coalesce(started_at, now()), now(), 'cancelled', $3, execution, attempt_usage
          FROM done WHERE was = 'in_progress'
        ),
        committed AS (${Budgets.commitHeld(names, "(SELECT * FROM done WHERE was = 'in_progress')")}),
        -- Counting reads all rows of picked: every task is locked before the one row that all cancellations write.
        revised AS (
          UPDATE ${control} SET revision = revision + 1
          WHERE (SELECT count(*) FROM picked WHERE was = 'in_progress') > 0
        ),
        counted AS (INSERT INTO ${changes} ${countChange("done")})
        ${changed(inputs)}`
    ),

    failWaiting: `
      WITH ${picked(`${withIds} AND t.status = ANY ($2) AND t.blockers > 0 ORDER BY t.seq`)},
      done AS (
        UPDATE ${tasks} t SET status = 'failed', feedback = $3, updated_at = now()
        FROM picked p WHERE t.seq = p.seq RETURNING p.*, t.status
      ),
      counted AS (INSERT INTO ${changes} ${countChange("done")})
      ${changed(inputs)}`,

    requeue: forms(
      "$3",
      (picked) => `
        WITH ${picked},
        done AS (
          UPDATE ${tasks} t SET
            status = 'pending', attempts = 0, requeues = t.requeues + 1, available_at = now(), updated_at = now()
          FROM picked p WHERE t.seq = p.seq RETURNING p.*, t.status
        ),
        counted AS (INSERT INTO ${changes} ${countChange("done")})
        ${changed(inputs)}`
    ),

    /** Locks the tasks in the order in which every statement locks rows, and then their inputs. */
    revise: `
      WITH x AS MATERIALIZED (
        SELECT i.seq, x.* FROM unnest($1::text[], $2::float8[], $3::text[], $4::text[], $5::text[], $6::text[],
          $7::float8[], $8::text[]) AS x (id, token, feedback, description, payload, overrides, max_attempts, metadata)
        JOIN ${inputs} i ON i.id = x.id
      ),
      picked AS MATERIALIZED (
        SELECT t.seq, t.queue, t.status AS was, t.blockers, t.token, t.claim_call, t.attempts AS number, t.owner,
          t.started_at, t.updated_at AS ended_at, t.execution, t.verification, t.attempt_usage
        FROM ${tasks} t WHERE t.seq IN (SELECT seq FROM x) AND t.status = ANY ($9) ORDER BY t.seq FOR UPDATE
      ),
      done AS (
        UPDATE ${tasks} t SET
          status = 'pending', attempts = 0, requeues = t.requeues + 1, feedback = x.feedback, verified = false,
          available_at = CASE WHEN p.was = 'pending' THEN t.available_at ELSE now() END,
          checkpoint = NULL, execution = NULL, verification = NULL, attempt_usage = NULL, updated_at = now()
        FROM picked p JOIN x ON x.seq = p.seq
        WHERE t.seq = p.seq AND (x.token IS NULL OR p.token = x.token::bigint) RETURNING p.*, t.status
      ),
      worked AS (
        UPDATE ${inputs} i SET
          description = x.description, payload = x.payload, overrides = x.overrides,
          max_attempts = x.max_attempts::bigint, metadata = x.metadata
        FROM done d JOIN x ON x.seq = d.seq WHERE i.seq = d.seq AND x.description IS NOT NULL
      ),
      ended AS (
        INSERT INTO ${attempts} (task, token, claim_call, number, owner, started_at, ended_at, outcome, execution,
          verification, usage)
        SELECT seq, token, claim_call, number, owner, coalesce(started_at, ended_at), ended_at, 'completed', execution, verification,
          attempt_usage
        FROM done WHERE was = 'completed'
      ),
      counted AS (INSERT INTO ${changes} ${countChange("done")})
      ${changed(inputs)}`,

    prune: forms(
      "$4",
      (picked) => `
        WITH ${picked},
        -- After all tasks are locked, as in cancel.
        floor AS (
          UPDATE ${control} SET token_floor = (SELECT max(token) FROM picked)
          WHERE token_floor < (SELECT max(token) FROM picked)
        ),
        done AS (DELETE FROM ${tasks} t USING picked p WHERE t.seq = p.seq RETURNING p.*, NULL AS status),
        inputs AS (DELETE FROM ${inputs} i USING picked p WHERE i.seq = p.seq RETURNING i.seq, i.id),
        ledger AS (DELETE FROM ${attempts} a USING picked p WHERE a.task = p.seq),
        links AS (DELETE FROM ${dependencies} d USING picked p WHERE d.task = p.seq),
        counted AS (INSERT INTO ${changes} ${countChange("done")})
        ${changed("inputs")}`,
      "AND ($3 IS NULL OR t.updated_at <= now() - $3 * interval '1 ms')"
    )
  }
}

/** The number of tasks that one statement of a search looks at. */
const searched = 10_000

const reading = ({ attempts, changes, countChanges, dependencies, inputs, tasks }: Names) => {
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
      SELECT queue, ${counted.map((kind) => `sum(${kind})::float8 AS ${kind}`).join(", ")},
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
      SELECT queue, ${counted.map((kind) => `sum(${kind})`).join(", ")} FROM gone GROUP BY queue
      HAVING ${counted.map((kind) => `sum(${kind}) <> 0`).join(" OR ")}`,

    /** The following statements of the transaction see the store at one moment. */
    snapshot: "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    dump: page("", `${taskColumns}, t.token::float8 AS token, t.lease_until AS "leaseUntil", t.checkpoint`),
    dumpAttempts: ledger("SELECT unnest($1::float8[])::bigint AS seq"),
    dumpWaitsFor: `
      SELECT d.task::float8 AS task, d.dependency
      FROM unnest($1::float8[]) AS x (task) JOIN ${dependencies} d ON d.task = x.task::bigint`
  }
}

const controlColumns = "revision::float8 AS revision, paused, stops::float8 AS stops"

const waiting = (names: Names) => {
  const { control, keyTurns, pauses, tasks, texts } = names
  const millisFromNow = (time: string) => `(extract(epoch FROM ${time} - now()) * 1000)::float8`
  return {
    control: `SELECT ${controlColumns} FROM ${control}`,

    text: `SELECT text FROM ${texts} WHERE name = $1`,
    /** A text is never removed, so `before` is null exactly when there is none. */
    saveText: `
      WITH saved AS (
        INSERT INTO ${texts} AS t (name, text) VALUES ($1, $2)
        ON CONFLICT (name) DO UPDATE SET text = excluded.text WHERE t.text = $3
        RETURNING name
      ), revised AS (
        UPDATE ${control} SET revision = revision + 1 WHERE $4 AND EXISTS (SELECT FROM saved)
      )
      SELECT name FROM saved`,

    request: {
      pause: `UPDATE ${control} SET revision = revision + 1, paused = true RETURNING ${controlColumns}`,
      resume: `UPDATE ${control} SET revision = revision + 1, paused = false RETURNING ${controlColumns}`,
      stop: `UPDATE ${control} SET revision = revision + 1, stops = stops + 1 RETURNING ${controlColumns}`
    } satisfies { readonly [Request in ControlRequest]: string },

    /** Orders rows even where any row will do: otherwise a plan may read the pending tasks of all queues to find it. */
    outlook: `
      WITH RECURSIVE ${levels(names, "$1")},
      next (at) AS MATERIALIZED (
        SELECT coalesce(
          (SELECT now() FROM levels l CROSS JOIN LATERAL (
             SELECT FROM ${tasks} t
             WHERE ${isClaimable("$1")} AND ${level} = l.level AND t.available_at <= now()
             ORDER BY t.available_at LIMIT 1
           ) claimable LIMIT 1),
          (SELECT min(earliest.available_at) FROM levels l CROSS JOIN LATERAL (
             SELECT t.available_at FROM ${tasks} t
             WHERE ${isClaimable("$1")} AND ${level} = l.level ORDER BY t.available_at LIMIT 1
           ) earliest)
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
