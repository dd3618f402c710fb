import { literal, quote } from "./identifiers.ts"

/** The tables of one store, and the parts that its statements share. All of it is constant text. */
export interface Names extends ReturnType<typeof make> {}

/** As many tasks as one statement adds: the low bits of their `seq` are their places in it. */
export const addedAtOnce = 1_023

export const make = (schemaName: string) => {
  const schema = quote(schemaName)
  const tasks = `${schema}.tasks`
  const attempts = `${schema}.attempts`
  return {
    schemaName,
    schema,
    tasks,
    attempts,
    inputs: `${schema}.task_inputs`,
    dependencies: `${schema}.dependencies`,
    control: `${schema}.control`,
    countChanges: `${schema}.count_changes`,

    /** Where a writer says what it did to the counts. */
    changes: `${schema}.count_changes (pending, in_progress, completed, failed, cancelled, waiting)`,

    /** The `seq` of the task at place `n` of a statement. One number of the sequence serves them all. */
    seqAt: (n: string) => `((SELECT nextval(${literal(`${schema}.task_seq`)})) * ${addedAtOnce + 1} + ${n})`,
    placeOf: (seq: string) => `(${seq} % ${addedAtOnce + 1})`,

    /**
     * The priorities that have a claimable task, from the highest down. Going from one to the next like this finds what
     * is due also below a million that are not due yet; it is read only as far as it is needed.
     */
    levels: `
      levels AS (
        (SELECT priority FROM ${tasks} WHERE status = 'pending' AND blockers = 0 ORDER BY priority DESC LIMIT 1)
        UNION ALL
        SELECT (
          SELECT t.priority FROM ${tasks} t
          WHERE t.status = 'pending' AND t.blockers = 0 AND t.priority < l.priority ORDER BY t.priority DESC LIMIT 1
        ) FROM levels l WHERE l.priority IS NOT NULL
      )`
  }
}

/** The columns of a task as it is read. Numbers come as float8, which holds every integer of ours and needs no BigInt. */
export const taskColumns = `
  t.seq::float8 AS seq, t.status, t.priority::float8 AS priority, t.available_at, t.attempts::float8 AS attempts,
  t.requeues::float8 AS requeues, t.verified, t.feedback, t.usage, t.updated_at, t.token::float8 AS token,
  i.id, i.description, i.metadata, i.depends_on, i.created_at`

export const controlColumns = "revision::float8 AS revision, paused, stops::float8 AS stops"

export const giveUpLease = "lease = NULL, lease_until = NULL"

/** An output that was made durable is the checkpoint from here on, whoever comes next. */
export const keepOutput = "checkpoint = coalesce(t.execution, t.checkpoint), execution = NULL, attempt_usage = NULL"

/** So many milliseconds from now, and no later than a date can name. */
export const later = (millis: string) => `least(now() + ${millis} * interval '1 ms', timestamptz '275000-01-01 00:00Z')`

/** Of one of the sums that counts consist of. */
export const countWhere = (condition: string) => `count(*) FILTER (WHERE ${condition})`
