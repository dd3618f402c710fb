import * as Effect from "effect/Effect"
import type { SweepOptions, SweptTask } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import type { Database } from "./database.ts"
import { countWhere, giveUpLease, keepOutput, type Names } from "./names.ts"
import { boolean, int, number } from "./parameters.ts"
import * as Rows from "./rows.ts"

export const statements = ({ attempts, changes, inputs, tasks }: Names) => {
  const givenUp = "$2 OR t.attempts >= $1"
  const silence = "'Worker ' || t.owner || ' stopped answering.'"
  return {
    /**
     * Passes over what others are writing at the moment, which is a heartbeat, an end or another sweep. Checked again in
     * the UPDATE: a heartbeat that was just in time wins.
     */
    sweep: `
      WITH expired AS MATERIALIZED (
        SELECT t.seq, t.attempts AS number, t.owner, t.started_at, t.execution, t.attempt_usage
        FROM ${tasks} t WHERE t.status = 'in_progress' AND t.lease_until <= now()
        ORDER BY t.lease_until LIMIT $3 FOR UPDATE SKIP LOCKED
      ),
      done AS (
        UPDATE ${tasks} t SET
          status = CASE WHEN ${givenUp} THEN 'failed' ELSE 'pending' END,
          feedback = CASE WHEN ${givenUp} THEN ${silence} ELSE t.feedback END,
          available_at = CASE WHEN ${givenUp} THEN t.available_at ELSE now() END,
          ${giveUpLease}, ${keepOutput}, updated_at = now()
        FROM expired e WHERE t.seq = e.seq AND t.status = 'in_progress' AND t.lease_until <= now()
        RETURNING e.*, t.status, t.token, t.blockers, ${silence} AS error
      ),
      ended AS (
        INSERT INTO ${attempts} (task, token, number, owner, started_at, ended_at, outcome, error, execution, usage)
        SELECT seq, token, number, owner, started_at, now(), 'lease_expired', error, execution, attempt_usage FROM done
      ),
      counted AS (
        INSERT INTO ${changes}
        SELECT ${countWhere("status = 'pending'")}, -count(*), 0, ${countWhere("status = 'failed'")}, 0,
          ${countWhere("status = 'pending' AND blockers > 0")}
        FROM done HAVING count(*) > 0
      )
      SELECT i.id, d.status, d.token::float8 AS token, d.number::float8 AS number, d.owner
      FROM done d JOIN ${inputs} i ON i.seq = d.seq`
  }
}

/** As many tasks as one statement takes back. */
const most = 1_000

const swept = (row: Rows.Row): SweptTask => ({
  taskId: Rows.taskId(row.id),
  token: Rows.leaseToken(row.token),
  status: row.status === "failed" ? "failed" : "pending",
  owner: Rows.text(row.owner),
  attempts: Rows.number(row.number)
})

/** Takes back what has expired; where a task goes is what `TaskState.transition` says of `LeaseExpired`. */
export const make = (db: Database, names: Names) => {
  const sql = statements(names)
  return Effect.fnUntraced(function* ({
    maxAttempts,
    onCrash
  }: SweepOptions): Effect.fn.Return<ReadonlyArray<SweptTask>, TaskStoreError> {
    const parameters = [number(maxAttempts), boolean(onCrash === "dead-letter"), int(most)]
    const all: Array<SweptTask> = []
    while (true) {
      const part = yield* db.run(sql.sweep, parameters, (rows) => rows.map(swept))
      all.push(...part)
      if (part.length < most) return all
    }
  })
}
