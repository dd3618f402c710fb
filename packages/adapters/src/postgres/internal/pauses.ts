import * as Effect from "effect/Effect"
import type { PauseRow, Pauses } from "@baton/core/TaskStoreDriver"
import { type Database, number, text } from "./database.ts"
import type { Names } from "./names.ts"
import type { Statements } from "./statements.ts"

/** Holds for a queue from which nothing may be claimed, except for the probe of a usage limit. */
export const isPaused = ({ pauses }: Names, queue: string) => `EXISTS (
  SELECT FROM ${pauses} p WHERE p.queue = ${queue}
    AND (p.cause = 'usage-limit' OR p.until IS NULL OR p.until > now()))`

/** Holds for a queue whose usage limit has ended, and whose next probe may go. */
export const isProbeDue = ({ pauses }: Names, queue: string) => `EXISTS (
  SELECT FROM ${pauses} p WHERE p.queue = ${queue} AND ${isDue})`

const isDue = "p.cause = 'usage-limit' AND greatest(p.until, p.probe_until) <= now()"

const columns = `p.queue, p.cause, p.until, p.probe_until AS "probeUntil", p.reason, p.revision::float8 AS revision`

/** A usage limit leaves a pause in place that was requested and lasts longer. */
const isKept = `excluded.cause = 'usage-limit' AND p.cause = 'requested'
  AND coalesce(p.until, 'infinity') > coalesce(excluded.until, 'infinity')`

/** The statements of pauses. */
export const statements = (names: Names) => {
  const { control, pauses } = names
  return {
    pauses: `SELECT ${columns} FROM ${pauses} p`,

    /** The row of `control` is locked first, as by every statement that changes both. */
    setPause: `
    WITH revised AS (UPDATE ${control} SET revision = revision + 1 RETURNING revision)
    INSERT INTO ${pauses} AS p (queue, cause, until, reason, revision)
    SELECT $1, $2, to_timestamp($3 / 1000), $4, revision FROM revised
    ON CONFLICT (queue) DO UPDATE SET
      cause = CASE WHEN ${isKept} THEN p.cause ELSE excluded.cause END,
      until = CASE
        WHEN ${isKept} THEN p.until
        WHEN excluded.cause = 'usage-limit' AND p.cause = 'usage-limit' THEN greatest(p.until, excluded.until)
        ELSE excluded.until END,
      probe_until = CASE WHEN ${isKept} THEN p.probe_until END,
      reason = CASE WHEN ${isKept} THEN p.reason ELSE excluded.reason END,
      revision = excluded.revision
    RETURNING ${columns}`,

    removePause: `
    WITH locked AS MATERIALIZED (SELECT FROM ${control} FOR UPDATE),
    gone AS (
      DELETE FROM ${pauses} p
      WHERE p.queue = $1 AND ($2::float8 IS NULL OR p.revision = $2::bigint) AND (SELECT count(*) FROM locked) > 0
      RETURNING p.queue
    ),
    revised AS (UPDATE ${control} SET revision = revision + 1 WHERE EXISTS (SELECT FROM gone))
    SELECT EXISTS (SELECT FROM gone) AS removed`,

    /** Of several workers, the first holds the row until its probe is claimed, and the others find that it is. */
    startProbe: `
    UPDATE ${pauses} p SET probe_until = now() + $2 * interval '1 ms' WHERE p.queue = $1 AND ${isDue}
    RETURNING p.revision::float8 AS revision`,

    /** There was nothing to claim. */
    noProbe: `UPDATE ${pauses} SET probe_until = NULL WHERE queue = $1`
  }
}

export const make = (db: Database, statements: Statements): Pauses => ({
  list: db.run<PauseRow>(statements.pauses),
  set: ({ cause, queue, reason, until }) =>
    db.one<PauseRow>(statements.setPause, [text(queue), text(cause), number(until), text(reason)]),
  remove: (queue, revision) =>
    Effect.map(
      db.one<{ readonly removed: boolean }>(statements.removePause, [text(queue), number(revision)]),
      ({ removed }) => removed
    )
})
