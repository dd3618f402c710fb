import type { SweptRow, TaskStoreDriver } from "@baton/core/TaskStoreDriver"
import * as Budgets from "./budgets.ts"
import { type Database, int, number, text } from "./database.ts"
import { countChange, entered, giveUpLease, keepOutput, lineColumns, type Names } from "./names.ts"
import type { Statements } from "./statements.ts"

/** The statement that ends attempts whose leases have expired. */
export const statements = (names: Names) => {
  const { attempts, changes, inputs, tasks } = names
  return {
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
        RETURNING e.*, t.queue, t.status, t.token, t.blockers, t.attempts AS used, ${lineColumns}
      ),
      ${entered(names, "done")},
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

export const make = (db: Database, statements: Statements): Pick<TaskStoreDriver, "sweep"> => ({
  sweep: ({ failFromAttempts, limit, message, notStarted, queue }) =>
    db.run<SweptRow>(statements.sweep, [
      number(failFromAttempts),
      int(limit),
      text(message.beforeOwner),
      text(message.afterOwner),
      text(queue),
      int(notStarted.attemptsReturned),
      text(notStarted.message.beforeOwner),
      text(notStarted.message.afterOwner)
    ])
})
