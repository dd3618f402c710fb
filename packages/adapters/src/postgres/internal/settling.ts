import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { AttemptOutcome } from "@baton/core/Attempt"
import type { FencedReply, Settlement } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import type { Database } from "./database.ts"
import * as Errors from "./errors.ts"
import { type Leases, type Located, type Standing, toReply, written } from "./leases.ts"
import { countWhere, giveUpLease, later, type Names } from "./names.ts"
import { booleans, numbers, span, texts } from "./parameters.ts"
import * as Rows from "./rows.ts"
import type { Seqs } from "./seqs.ts"
import * as Text from "./text.ts"

export const statements = ({ attempts, changes, dependencies, tasks }: Names) => ({
  /** The common case of `settle`, at half its cost: completions of tasks that nobody waits for. */
  complete: `
    WITH done AS (
      UPDATE ${tasks} t SET
        status = 'completed', ${giveUpLease}, execution = x.execution, verification = x.verification,
        attempt_usage = x.attempt_usage, usage = x.usage, verified = x.verified, feedback = NULL, checkpoint = NULL,
        updated_at = now()
      FROM unnest($1::float8[], $2::float8[], $3::text[], $4::text[], $5::text[], $6::text[], $7::boolean[])
        AS x (seq, token, execution, verification, attempt_usage, usage, verified)
      WHERE t.seq = x.seq::bigint AND t.lease = x.token::bigint AND t.parent = 0 RETURNING t.seq
    ),
    counted AS (
      INSERT INTO ${changes} SELECT 0, -count(*), count(*), 0, 0, 0 FROM done HAVING count(*) > 0
    ) ${written("$1")}`,

  /**
   * Settlements of every kind. Reads the rows, locks them together with those that wait for them, and writes those that
   * have not changed since they were read; the caller tries the rest again. Because it reads first, it can move the attempt
   * as it was into the ledger, and knows everybody who waits.
   */
  settle: `
    WITH own AS MATERIALIZED (
      SELECT x.*, t.xmin AS version, t.attempts AS number, t.owner, t.started_at,
        t.execution AS saved, t.attempt_usage AS saved_usage
      FROM unnest($1::float8[], $2::float8[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::boolean[],
          $9::text[], $10::text[], $11::float8[], $12::text[])
        AS x (seq, token, id, outcome, execution, verification, attempt_usage, verified, usage, checkpoint, delay, error)
      JOIN ${tasks} t ON t.seq = x.seq::bigint AND t.lease = x.token::bigint
    ),
    locked AS MATERIALIZED (
      SELECT t.seq FROM ${tasks} t WHERE t.seq IN (
        SELECT seq::bigint FROM own
        UNION
        SELECT d.task FROM own JOIN ${dependencies} d ON d.dependency = own.id WHERE own.outcome = 'completed'
      ) ORDER BY t.seq FOR UPDATE
    ),
    done AS (
      UPDATE ${tasks} t SET
        status = CASE o.outcome WHEN 'completed' THEN 'completed' WHEN 'failed' THEN 'failed' ELSE 'pending' END,
        ${giveUpLease},
        attempts = CASE WHEN o.outcome = 'released' THEN greatest(0, t.attempts - 1) ELSE t.attempts END,
        available_at = CASE WHEN o.outcome IN ('retried', 'released') THEN ${later("o.delay")} ELSE t.available_at END,
        feedback = CASE o.outcome WHEN 'completed' THEN NULL WHEN 'released' THEN t.feedback ELSE o.error END,
        usage = CASE WHEN o.outcome = 'released' THEN coalesce(o.usage, t.usage) ELSE o.usage END,
        checkpoint = CASE WHEN o.outcome = 'released' THEN coalesce(t.execution, t.checkpoint) ELSE o.checkpoint END,
        verified = o.verified,
        execution = CASE WHEN o.outcome = 'completed' THEN o.execution END,
        verification = CASE WHEN o.outcome = 'completed' THEN o.verification END,
        attempt_usage = CASE WHEN o.outcome = 'completed' THEN o.attempt_usage END,
        updated_at = now()
      FROM own o
      WHERE t.seq = o.seq::bigint AND t.xmin = o.version AND (SELECT count(*) FROM locked) > 0
      RETURNING o.*
    ),
    ended AS (
      INSERT INTO ${attempts}
        (task, token, number, owner, started_at, ended_at, outcome, error, execution, verification, usage)
      SELECT seq, token, number, owner, started_at, now(), outcome, error,
        CASE WHEN outcome = 'released' THEN saved ELSE execution END, verification,
        CASE WHEN outcome = 'released' THEN coalesce(attempt_usage, saved_usage) ELSE attempt_usage END
      FROM done WHERE outcome <> 'completed'
    ),
    freed AS (
      UPDATE ${tasks} t SET blockers = t.blockers - w.count::integer
      FROM (
        SELECT d.task, count(*) AS count FROM done JOIN ${dependencies} d ON d.dependency = done.id
        WHERE done.outcome = 'completed' GROUP BY d.task
      ) w WHERE t.seq = w.task RETURNING t.status, t.blockers
    ),
    forgotten AS (
      DELETE FROM ${dependencies} d USING done WHERE d.dependency = done.id AND done.outcome = 'completed'
    ),
    counted AS (
      INSERT INTO ${changes}
      SELECT ${countWhere("outcome IN ('retried', 'released')")}, -count(*), ${countWhere("outcome = 'completed'")},
        ${countWhere("outcome = 'failed'")}, 0,
        -(SELECT count(*) FROM freed WHERE status = 'pending' AND blockers = 0)
      FROM done HAVING count(*) > 0
    ) ${written("$1")}`
})

type Completion = Extract<Settlement, { readonly _tag: "Complete" }>

const outcomes: { readonly [Tag in Settlement["_tag"]]: AttemptOutcome } = {
  Complete: "completed",
  Retry: "retried",
  Fail: "failed",
  Release: "released"
}

const isCompletion = (located: Located<Settlement>): located is Located<Completion> => located.lease._tag === "Complete"

const sizeOf = (settlement: Settlement): number =>
  settlement._tag === "Release" ? settlement.reason.length : (settlement.execution?.output.length ?? 0)

/** A released attempt has nothing to show: what it had made durable is in its row. */
const brought = (settlement: Settlement) =>
  settlement._tag === "Release" ? { execution: null, verification: null } : settlement

const errorOf = (settlement: Settlement): string | null => {
  switch (settlement._tag) {
    case "Complete":
      return null
    case "Release":
      return settlement.reason
    default:
      return settlement.feedback
  }
}

const key = ({ taskId, token }: Settlement): string => `${token} ${taskId}`

/** A row changed between being read and being locked: rare, and rarer every time. */
const mostTries = 20

export const make = (db: Database, names: Names, leases: Leases, seqs: Seqs) => {
  const sql = statements(names)
  /** Whether this store was seen to have tasks that wait for others. */
  let linked = false
  /**
   * Settlements that were sent and not answered. When one comes again and the ledger shows that its attempt ended as it
   * says, under its lease, it was written the first time.
   */
  const unanswered = new Set<string>()

  const complete = (part: ReadonlyArray<Located<Completion>>) =>
    leases.write(sql.complete, part, [
      texts(part.map(({ lease }) => Rows.toJson(lease.execution))),
      texts(part.map(({ lease }) => Rows.toJsonOrNull(lease.verification))),
      texts(part.map(({ lease }) => Rows.toJsonOrNull(lease.attemptUsage))),
      texts(part.map(({ lease }) => Rows.toJsonOrNull(lease.usage))),
      booleans(part.map(({ lease }) => lease.verified))
    ])

  const settleAny = (part: ReadonlyArray<Located<Settlement>>) => {
    const each = part.map(({ lease }) => brought(lease))
    return leases.write(sql.settle, part, [
      texts(part.map(({ lease }) => Text.encode(lease.taskId))),
      texts(part.map(({ lease }) => outcomes[lease._tag])),
      texts(each.map(({ execution }) => Rows.toJsonOrNull(execution))),
      texts(each.map(({ verification }) => Rows.toJsonOrNull(verification))),
      texts(part.map(({ lease }) => Rows.toJsonOrNull(lease.attemptUsage))),
      booleans(part.map(({ lease }) => lease._tag === "Complete" && lease.verified)),
      texts(part.map(({ lease }) => Rows.toJsonOrNull(lease.usage))),
      texts(part.map(({ lease }) => ("checkpoint" in lease ? Rows.toJsonOrNull(lease.checkpoint) : null))),
      numbers(part.map(({ lease }) => (lease._tag === "Retry" ? span(Duration.toMillis(lease.delay)) : 0))),
      texts(part.map(({ lease }) => Text.encodeOrNull(errorOf(lease))))
    ])
  }

  const write = (part: ReadonlyArray<Located<Settlement>>) => {
    const completions = linked ? [] : part.filter(isCompletion)
    return completions.length === part.length ? complete(completions) : settleAny(part)
  }

  const settleOnce = (settlements: ReadonlyArray<Settlement>) => leases.writeAll(settlements, sizeOf, write)

  const isAnswered = ({ ended, lease }: Standing<Settlement>) =>
    unanswered.has(key(lease)) && ended === outcomes[lease._tag]

  return Effect.fnUntraced(function* (
    settlements: ReadonlyArray<Settlement>
  ): Effect.fn.Return<FencedReply, TaskStoreError> {
    const missed: Array<Standing<Settlement>> = []
    let left = settlements
    for (let tries = 0; left.length > 0 && tries < mostTries; tries++) {
      const standing = yield* Effect.tapError(settleOnce(left), () =>
        Effect.sync(() => {
          for (const settlement of settlements) unanswered.add(key(settlement))
        })
      )
      const held = standing.filter(({ held }) => held)
      linked ||= held.length > 0
      missed.push(...standing.filter(({ held }) => !held))
      left = held.map(({ lease }) => lease)
    }
    if (left.length > 0) return yield* Effect.fail(Errors.unavailable(Errors.contended(db.place)))
    const lost = missed.filter((standing) => !isAnswered(standing))
    for (const settlement of settlements) {
      seqs.delete(settlement.taskId)
      if (unanswered.size > 0) unanswered.delete(key(settlement))
    }
    return toReply(lost)
  })
}
