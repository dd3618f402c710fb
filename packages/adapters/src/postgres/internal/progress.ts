import * as Effect from "effect/Effect"
import type { Progress } from "@baton/core/TaskStoreDriver"
import { type Database, numbers, text, texts } from "./database.ts"
import type { Names } from "./names.ts"
import type { Statements } from "./statements.ts"

/** The statements of progress reports. */
export const statements = ({ inputs, progress, tasks }: Names) => ({
  /** Rows that another worker is deleting are left to it, so that no two workers wait for each other. */
  saveProgress: `
    WITH own AS MATERIALIZED (
      SELECT t.seq, t.lease, x.report
      FROM unnest($1::text[], $2::float8[], $3::text[]) AS x (id, token, report)
      JOIN ${inputs} i ON i.id = x.id JOIN ${tasks} t ON t.seq = i.seq AND t.lease = x.token::bigint
    ),
    gone AS (
      DELETE FROM ${progress} WHERE task IN (
        SELECT p.task FROM ${progress} p
        WHERE p.task NOT IN (SELECT seq FROM own)
          AND NOT EXISTS (SELECT FROM ${tasks} t WHERE t.seq = p.task AND t.lease = p.token)
        FOR UPDATE SKIP LOCKED)
    )
    INSERT INTO ${progress} (task, token, report) SELECT seq, lease, report FROM own ORDER BY seq
    ON CONFLICT (task) DO UPDATE SET token = excluded.token, report = excluded.report`,

  progress: `
    SELECT p.report FROM ${inputs} i
    JOIN ${tasks} t ON t.seq = i.seq JOIN ${progress} p ON p.task = t.seq AND p.token = t.lease
    WHERE i.id = $1`
})

export const make = (db: Database, statements: Statements): Progress => ({
  save: (rows) =>
    Effect.asVoid(
      db.run(statements.saveProgress, [
        texts(rows.map(({ id }) => id)),
        numbers(rows.map(({ token }) => token)),
        texts(rows.map((row) => row.text))
      ])
    ),
  read: (id) =>
    Effect.map(db.run<{ readonly report: string }>(statements.progress, [text(id)]), ([row]) => row?.report ?? null)
})
