import * as Effect from "effect/Effect"
import type { TaskStatus } from "@baton/core/Task"
import type { ControlRequest } from "@baton/core/TaskStore"
import type { ChangeReply, ControlRow, SelectionRow, TaskStoreDriver } from "@baton/core/TaskStoreDriver"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Budgets from "./budgets.ts"
import { boolean, type Database, int, number, numbers, type Parameter, text, texts } from "./database.ts"
import {
  controlColumns,
  countChange,
  entered,
  giveUpLease,
  isInQueue,
  keepOutput,
  lineColumns,
  type Names
} from "./names.ts"
import type { Statements } from "./statements.ts"
import * as Usage from "./usage.ts"

/** A statement for tasks by their ids, and one for the next part of all tasks with a status, of one queue or of all. */
export interface Forms {
  readonly ids: string
  readonly status: { readonly [Status in TaskStatus]: string }
}

/** The statements of changes that people ask for. */
export const statements = (names: Names) => {
  const { attempts, changes, control, dependencies, inputs, tasks, texts } = names
  const withIds = `t.seq IN (SELECT i.seq FROM unnest($1::text[]) AS x (id) JOIN ${inputs} i ON i.id = x.id)`
  /** Locks the rows of a selection in the order in which every statement locks rows. */
  const picked = (rows: string) => `
    picked AS MATERIALIZED (
      SELECT t.seq, t.queue, t.status AS was, t.blockers, t.token, t.claim_call, t.attempts AS number, t.owner, t.started_at,
        t.execution, t.attempt_usage, t.usage, ${Budgets.endColumns}
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
          FROM picked p WHERE t.seq = p.seq RETURNING p.*, t.status, ${lineColumns}
        ),
        ${entered(names, "done")},
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
        WHERE t.seq = p.seq AND (x.token IS NULL OR p.token = x.token::bigint) RETURNING p.*, t.status, ${lineColumns}
      ),
      ${entered(names, "done")},
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
        counted AS (
          INSERT INTO ${changes} ${countChange(
            `(
              SELECT queue, was, status, blockers, ${Usage.ofTask("usage")} AS used FROM done
            ) d`,
            { usage: Usage.total("used", "-") }
          )}
        )
        ${changed("inputs")}`,
      `AND ($3 IS NULL OR t.updated_at <= now() - $3 * interval '1 ms')
        AND NOT EXISTS (
          SELECT FROM ${dependencies} l JOIN ${tasks} w ON w.seq = l.task
          WHERE l.dependency = (SELECT id FROM ${inputs} n WHERE n.seq = t.seq) AND w.status = 'pending'
        )`
    ),

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
    } satisfies { readonly [Request in ControlRequest]: string }
  }
}

export const make = (
  db: Database,
  statements: Statements
): Pick<TaskStoreDriver, "cancel" | "failWaiting" | "prune" | "request" | "requeue" | "revise" | "texts"> => {
  const select = (
    forms: Forms,
    selection: SelectionRow,
    from: ReadonlyArray<TaskStatus>,
    more: ReadonlyArray<Parameter> = []
  ): Effect.Effect<ChangeReply, TaskStoreError> => {
    if ("ids" in selection) {
      const parameters = [texts(selection.ids), texts(from), ...more]
      return Effect.map(db.one<ChangeReply>(forms.ids, parameters), (reply) => ({ ...reply, last: null }))
    }
    const { after, limit, queue, status } = selection
    const parameters = [int(after), int(limit), ...more, text(queue)]
    return Effect.map(db.one<ChangeReply>(forms.status[status], parameters), (reply) =>
      reply.ids.length < limit ? { ...reply, last: null } : reply
    )
  }

  return {
    requeue: (selection, { from }) => select(statements.requeue, selection, from),
    revise: (revisions, { from }) =>
      Effect.map(
        db.one<ChangeReply>(statements.revise, [
          texts(revisions.map(({ id }) => id)),
          numbers(revisions.map(({ token }) => token)),
          texts(revisions.map(({ feedback }) => feedback)),
          texts(revisions.map(({ work }) => work?.description ?? null)),
          texts(revisions.map(({ work }) => work?.payload ?? null)),
          texts(revisions.map(({ work }) => work?.overrides ?? null)),
          numbers(revisions.map(({ work }) => work?.maxAttempts ?? null)),
          texts(revisions.map(({ work }) => work?.metadata ?? null)),
          texts(from)
        ]),
        ({ ids }) => ids
      ),
    failWaiting: (ids, { feedback, from }) =>
      Effect.map(
        db.one<ChangeReply>(statements.failWaiting, [texts(ids), texts(from), text(feedback)]),
        (reply) => reply.ids
      ),
    cancel: (selection, { from, reason }) => select(statements.cancel, selection, from, [text(reason)]),
    prune: (selection, { from, unchangedMillis }) =>
      select(statements.prune, selection, from, [number(unchangedMillis)]),

    request: (request) => db.one<ControlRow>(statements.request[request]),

    texts: {
      read: (name) =>
        Effect.map(db.run<{ readonly text: string }>(statements.text, [text(name)]), ([row]) => row?.text ?? null),
      write: (change) =>
        Effect.map(
          db.run(statements.saveText, [
            text(change.name),
            text(change.text),
            text(change.before),
            boolean(change.isControl)
          ]),
          (rows) => rows.length > 0
        )
    }
  }
}
