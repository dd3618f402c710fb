import type * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import { SqlError } from "effect/sql/SqlError"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import { again } from "./database.ts"
import * as Errors from "./errors.ts"
import { literal, quote } from "./names.ts"
import * as Usage from "./usage.ts"

/** One step of a schema's history. Its statements run in the given order, in one transaction. */
export interface Migration {
  readonly name: string
  readonly statements: (schema: string) => ReadonlyArray<string>
}

/**
 * Append-only: a schema records the migrations that it went through, so a published one never changes. `schema` is a quoted
 * identifier.
 *
 * - JSON is kept as text, because PostgreSQL's own types refuse some of what JSON allows.
 * - All times are the server's.
 */
export const migrations: ReadonlyArray<Migration> = [
  {
    name: "0001_create_tasks",
    statements: (schema) => [
      `CREATE SEQUENCE ${schema}.task_seq`,

      // The part of a task that never changes. PostgreSQL writes a changed row completely: if the prompt were in the row
      // below, every claim, heartbeat and settlement would write it again. The index on ids, which can be long and in
      // random order, would get an entry for each of them.
      `CREATE TABLE ${schema}.task_inputs (
        seq bigint PRIMARY KEY,
        id text NOT NULL,
        description text NOT NULL,
        metadata text,
        depends_on text[],
        created_at timestamptz NOT NULL,
        CONSTRAINT task_inputs_id UNIQUE (id) INCLUDE (seq)
      )`,

      // The part of a task that changes. The row also holds the attempt under way, or the one that completed the task: an
      // attempt moves to the ledger only when it ends otherwise, which saves a second row in the common case.
      //
      // - lease: the token of the current lease, null when there is none: the fence of every write under a lease
      // - parent: grows when a task that depends on this one is added, so that a settlement notices a concurrent addition
      // - claim_call: the random number of the call that claimed the task. A worker whose connection broke before the
      //   answer arrived finds its claims by it, and every write under a lease checks it
      //
      // Half of the rows are dead at any time, and a late vacuum costs more than a frequent one. The free space in each
      // page is for checkpoints, which touch no index and so stay in their page.
      `CREATE TABLE ${schema}.tasks (
        seq bigint PRIMARY KEY,
        status text NOT NULL CHECK (status IN ('pending', 'in_progress', 'completed', 'failed', 'cancelled')),
        priority bigint NOT NULL,
        available_at timestamptz NOT NULL,
        blockers integer NOT NULL,
        parent integer NOT NULL,
        attempts bigint NOT NULL,
        requeues bigint NOT NULL,
        verified boolean NOT NULL,
        feedback text,
        usage text,
        checkpoint text,
        updated_at timestamptz NOT NULL,
        token bigint NOT NULL,
        lease bigint,
        lease_until timestamptz,
        owner text,
        claim_call bigint,
        started_at timestamptz,
        execution text,
        verification text,
        attempt_usage text
      ) WITH (
        fillfactor = 70,
        autovacuum_vacuum_scale_factor = 0.05,
        autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0,
        autovacuum_analyze_scale_factor = 0.05
      )`,

      // Contains only claimable rows, in the order of claims: completed, running and waiting tasks cost a claim nothing.
      `CREATE INDEX tasks_claimable ON ${schema}.tasks (priority DESC, available_at, seq)
        WHERE status = 'pending' AND blockers = 0`,
      `CREATE INDEX tasks_leased ON ${schema}.tasks (lease_until) WHERE status = 'in_progress'`,
      // For lists and changes of all tasks with a status. Tasks that complete cost nothing extra.
      `CREATE INDEX tasks_pending ON ${schema}.tasks (seq) WHERE status = 'pending'`,
      `CREATE INDEX tasks_failed ON ${schema}.tasks (seq) WHERE status = 'failed'`,
      `CREATE INDEX tasks_cancelled ON ${schema}.tasks (seq) WHERE status = 'cancelled'`,

      // The dependencies that have not completed. By id and not by seq, because a pruned task can be added again.
      `CREATE TABLE ${schema}.dependencies (
        dependency text NOT NULL,
        task bigint NOT NULL,
        PRIMARY KEY (dependency, task)
      )`,
      `CREATE INDEX dependencies_by_task ON ${schema}.dependencies (task)`,

      // The ledger: one row per attempt that ended without completing its task.
      `CREATE TABLE ${schema}.attempts (
        task bigint NOT NULL,
        token bigint NOT NULL,
        number bigint NOT NULL,
        owner text NOT NULL,
        started_at timestamptz NOT NULL,
        ended_at timestamptz NOT NULL,
        outcome text NOT NULL,
        error text,
        execution text,
        verification text,
        usage text,
        PRIMARY KEY (task, token)
      )`,

      // The number of tasks with each status is the sum of a column. Every write adds a row of differences, so that
      // writers never wait for each other, as they would for one row of totals. The store adds up rows now and then.
      `CREATE TABLE ${schema}.count_changes (
        pending bigint NOT NULL,
        in_progress bigint NOT NULL,
        completed bigint NOT NULL,
        failed bigint NOT NULL,
        cancelled bigint NOT NULL,
        waiting bigint NOT NULL
      ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0)`,

      `CREATE TABLE ${schema}.control (
        id integer PRIMARY KEY CHECK (id = 1),
        revision bigint NOT NULL,
        paused boolean NOT NULL,
        stops bigint NOT NULL
      )`,
      `INSERT INTO ${schema}.control VALUES (1, 0, false, 0)`
    ]
  },
  {
    name: "0002_bind_leases_to_claims",
    statements: (schema) => [
      // The greatest token of the pruned tasks. Claims give out greater ones, so that an id which is added again does not
      // repeat a token.
      `ALTER TABLE ${schema}.control ADD COLUMN token_floor bigint NOT NULL DEFAULT 0`,
      `ALTER TABLE ${schema}.attempts ADD COLUMN claim_call bigint`,
      // A JSON array, as in the other columns.
      `ALTER TABLE ${schema}.task_inputs ALTER COLUMN depends_on TYPE text USING to_json(depends_on)::text`
    ]
  },
  {
    name: "0003_add_queues",
    statements: (schema) => [
      // A constant default rewrites no row. It is for the rows that exist: without it afterwards, a worker of an earlier
      // version that is still connected fails to add, claim and settle, instead of mixing the queues.
      `ALTER TABLE ${schema}.tasks ADD COLUMN queue text COLLATE "C" NOT NULL DEFAULT 'default'`,
      `ALTER TABLE ${schema}.tasks ALTER COLUMN queue DROP DEFAULT`,
      `ALTER TABLE ${schema}.count_changes ADD COLUMN queue text COLLATE "C" NOT NULL DEFAULT 'default'`,
      `ALTER TABLE ${schema}.count_changes ALTER COLUMN queue DROP DEFAULT`,
      `ALTER TABLE ${schema}.task_inputs
        ADD COLUMN payload text, ADD COLUMN overrides text, ADD COLUMN max_attempts bigint`,
      // The queue first, so that tasks of other queues cost a claim and a sweep nothing. A claim repeats the condition, from
      // which PostgreSQL does not conclude that the status is pending: after statistics of a moment without pending tasks,
      // it would otherwise prefer tasks_pending, and sort all of them.
      `DROP INDEX ${schema}.tasks_claimable, ${schema}.tasks_leased`,
      `CREATE INDEX tasks_claimable ON ${schema}.tasks (queue, priority DESC, available_at, seq)
        WHERE CASE WHEN blockers = 0 THEN status END = 'pending'`,
      `CREATE INDEX tasks_leased ON ${schema}.tasks (queue, lease_until) WHERE status = 'in_progress'`
    ]
  },
  {
    name: "0004_add_budgets",
    statements: (schema) => [
      // By the name of the queue, because a budget outlives the tasks of its queue. Costs are in nano-dollars.
      `CREATE TABLE ${schema}.budgets (
        queue text COLLATE "C" PRIMARY KEY,
        limit_cost bigint,
        limit_tokens bigint,
        spent_cost bigint NOT NULL DEFAULT 0,
        spent_tokens bigint NOT NULL DEFAULT 0,
        held_cost bigint NOT NULL DEFAULT 0,
        held_tokens bigint NOT NULL DEFAULT 0
      ) WITH (fillfactor = 50)`,

      // What the attempt with the token `budget_token` has spent and reserved, in a queue with a budget. With another token
      // the columns are those of an earlier attempt, so that no statement has to clear them.
      `ALTER TABLE ${schema}.tasks
        ADD COLUMN budget_token bigint, ADD COLUMN spent_cost bigint, ADD COLUMN spent_tokens bigint,
        ADD COLUMN held_cost bigint, ADD COLUMN held_tokens bigint`
    ]
  },
  {
    name: "0005_add_concurrency_keys",
    statements: (schema) => [
      `ALTER TABLE ${schema}.tasks ADD COLUMN concurrency_key text COLLATE "C"`,
      // Tasks with a key have their own index, so that they cost the claims of other tasks nothing.
      `DROP INDEX ${schema}.tasks_claimable`,
      `CREATE INDEX tasks_claimable ON ${schema}.tasks (queue, priority DESC, available_at, seq)
        WHERE CASE WHEN blockers = 0 AND concurrency_key IS NULL THEN status END = 'pending'`,
      `CREATE INDEX tasks_keyed ON ${schema}.tasks (queue, concurrency_key, priority, available_at, seq)
        WHERE CASE WHEN blockers = 0 AND concurrency_key IS NOT NULL THEN status END = 'pending'`,
      `CREATE INDEX tasks_busy ON ${schema}.tasks (queue, concurrency_key)
        WHERE CASE WHEN concurrency_key IS NOT NULL THEN status END = 'in_progress'`,

      // The line of keys of each queue and priority: a row for each key with pending tasks that wait for no other task. Its
      // available_at is that of the key's first task, or earlier: a claim corrects it. Every claim writes the rows that it
      // uses, so the table is short and needs to be vacuumed often.
      `CREATE TABLE ${schema}.key_turns (
        queue text COLLATE "C" NOT NULL,
        priority bigint NOT NULL,
        concurrency_key text COLLATE "C" NOT NULL,
        turn bigint NOT NULL,
        available_at timestamptz NOT NULL,
        PRIMARY KEY (queue, concurrency_key, priority)
      ) WITH (
        fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500,
        autovacuum_vacuum_cost_delay = 0
      )`,
      `CREATE INDEX key_turns_in_order ON ${schema}.key_turns (queue, priority DESC, turn)`,

      // Whatever makes a task claimable puts its key in the line. The lock keeps a claim from taking the key out of the line
      // because it does not see the task yet: a claim passes over keys that are locked, and this waits for a claim. With
      // "+ 0", the row is found by the key and not by its place in the line.
      `CREATE FUNCTION ${schema}.enter_key_line() RETURNS trigger LANGUAGE plpgsql AS $enter_key_line$
      BEGIN
        PERFORM FROM ${schema}.key_turns
        WHERE queue = NEW.queue AND concurrency_key = NEW.concurrency_key AND priority + 0 = NEW.priority
          AND available_at <= NEW.available_at
        FOR KEY SHARE;
        IF NOT FOUND THEN
          INSERT INTO ${schema}.key_turns AS k (queue, priority, concurrency_key, turn, available_at)
          VALUES (NEW.queue, NEW.priority, NEW.concurrency_key, nextval(${literal(`${schema}.task_seq`)}) * 1024, NEW.available_at)
          ON CONFLICT (queue, concurrency_key, priority)
          DO UPDATE SET available_at = least(k.available_at, excluded.available_at);
        END IF;
        RETURN NULL;
      END $enter_key_line$`,
      `CREATE TRIGGER keyed_added AFTER INSERT ON ${schema}.tasks FOR EACH ROW
        WHEN (NEW.concurrency_key IS NOT NULL AND NEW.status = 'pending' AND NEW.blockers = 0)
        EXECUTE FUNCTION ${schema}.enter_key_line()`,
      `CREATE TRIGGER keyed_changed AFTER UPDATE OF status, blockers ON ${schema}.tasks FOR EACH ROW
        WHEN (NEW.concurrency_key IS NOT NULL AND NEW.status = 'pending' AND NEW.blockers = 0)
        EXECUTE FUNCTION ${schema}.enter_key_line()`
    ]
  },
  {
    name: "0006_mark_started_tasks",
    // From this version on, started_at is null while a task in progress is claimed and not started. An earlier version could not
    // end such an attempt, so it must not open the schema.
    statements: () => []
  },
  {
    name: "0007_claim_started_tasks_first",
    statements: (schema) => [
      // Within a priority, tasks that have had an attempt come first: only a claim gives a task a token. One number for
      // both, so that a claim goes from one level to the next.
      `DROP INDEX ${schema}.tasks_claimable, ${schema}.tasks_keyed`,
      `CREATE INDEX tasks_claimable
        ON ${schema}.tasks (queue, (priority * 2 + (token > 0)::integer) DESC, available_at, seq)
        WHERE CASE WHEN blockers = 0 AND concurrency_key IS NULL THEN status END = 'pending'`,
      `CREATE INDEX tasks_keyed
        ON ${schema}.tasks (queue, concurrency_key, (priority * 2 + (token > 0)::integer), available_at, seq)
        WHERE CASE WHEN blockers = 0 AND concurrency_key IS NOT NULL THEN status END = 'pending'`
    ]
  },
  {
    name: "0008_add_reviews",
    statements: (schema) => [
      // Not valid: all existing rows fulfil it, and checking them would lock a large table for long.
      `ALTER TABLE ${schema}.tasks DROP CONSTRAINT tasks_status_check, ADD CONSTRAINT tasks_status_check
        CHECK (status IN ('pending', 'in_progress', 'in_review', 'completed', 'failed', 'cancelled')) NOT VALID`,
      // Without a default afterwards, so that a worker of an earlier version fails instead of losing counts.
      `ALTER TABLE ${schema}.count_changes ADD COLUMN in_review bigint NOT NULL DEFAULT 0`,
      `ALTER TABLE ${schema}.count_changes ALTER COLUMN in_review DROP DEFAULT`,
      // The row of a task in review also holds the attempt, like that of a completed task.
      `CREATE INDEX tasks_in_review ON ${schema}.tasks (seq) WHERE status = 'in_review'`
    ]
  },
  {
    name: "0009_add_pauses",
    statements: (schema) => [
      // By the name of the queue, because a pause outlives the tasks of its queue. One that is over stays until the next.
      `CREATE TABLE ${schema}.pauses (
        queue text COLLATE "C" PRIMARY KEY,
        cause text NOT NULL,
        until timestamptz,
        probe_until timestamptz,
        reason text NOT NULL,
        revision bigint NOT NULL
      )`
    ]
  },
  {
    name: "0010_add_concurrency",
    // The settings of running workers.
    statements: (schema) => [`ALTER TABLE ${schema}.control ADD COLUMN concurrency text`]
  },
  {
    name: "0011_add_progress",
    // What attempts under way have reported. Rows of attempts that have ended stay until others report.
    statements: (schema) => [
      `CREATE TABLE ${schema}.progress (task bigint PRIMARY KEY, token bigint NOT NULL, report text NOT NULL)`
    ]
  },
  {
    name: "0012_add_batches",
    statements: (schema) => [
      // By the name of the queue, because a batch outlives the tasks of its queue.
      `CREATE TABLE ${schema}.batches (
        run text COLLATE "C" PRIMARY KEY,
        queue text COLLATE "C" NOT NULL,
        id text,
        requests bigint NOT NULL,
        created_at timestamptz NOT NULL,
        ended boolean NOT NULL DEFAULT false
      )`,
      `CREATE INDEX batches_open ON ${schema}.batches (created_at) WHERE NOT ended`,
      // The budget of the queue has the reserved amount of a request until its answer is here.
      `CREATE TABLE ${schema}.batch_requests (
        key text COLLATE "C" PRIMARY KEY,
        run text COLLATE "C" NOT NULL,
        task text NOT NULL,
        token bigint NOT NULL,
        held_cost bigint NOT NULL,
        held_tokens bigint NOT NULL,
        answer text,
        is_reply boolean NOT NULL DEFAULT false,
        taken_by text
      )`,
      `CREATE INDEX batch_requests_of_run ON ${schema}.batch_requests (run)`
    ]
  },
  {
    name: "0013_add_texts",
    statements: (schema) => [
      // Texts that processes share. The settings of running workers are not copied, because those workers have ended.
      `CREATE TABLE ${schema}.texts (name text COLLATE "C" PRIMARY KEY, text text NOT NULL)`,
      `ALTER TABLE ${schema}.control DROP COLUMN concurrency`
    ]
  },
  {
    name: "0014_add_usage_sums",
    statements: (schema) => [
      // By how much a write has changed the usage of the tasks of the queue. Without a default afterwards, so that a worker of an
      // earlier version fails instead of losing usage.
      `ALTER TABLE ${schema}.count_changes ADD COLUMN usage bigint[] NOT NULL DEFAULT '{}'`,
      `ALTER TABLE ${schema}.count_changes ALTER COLUMN usage DROP DEFAULT`,
      `INSERT INTO ${schema}.count_changes
        (queue, pending, in_progress, in_review, completed, failed, cancelled, waiting, usage)
      SELECT queue, 0, 0, 0, 0, 0, 0, 0, ${Usage.total("a")} FROM (
        SELECT queue, ${Usage.ofJson} AS a FROM (
          SELECT queue, usage::jsonb AS u FROM ${schema}.tasks WHERE usage IS NOT NULL OFFSET 0
        ) t OFFSET 0
      ) t GROUP BY queue`
    ]
  },
  {
    name: "0015_enter_key_lines_without_trigger",
    statements: (schema) => [
      // Each statement that makes a task claimable enters its key in the line. A worker of an earlier version relies on the
      // trigger: without the column that it names, its writes fail, and no key is missing in its line.
      `ALTER TABLE ${schema}.count_changes RENAME COLUMN usage TO usage_change`,
      `DROP TRIGGER keyed_changed ON ${schema}.tasks`
    ]
  }
]

export interface MigrateOptions {
  readonly place: Errors.Place
  /** Fail if there is no store, instead of creating one. */
  readonly mustExist: boolean
  readonly migrations?: ReadonlyArray<Migration> | undefined
}

interface Found {
  readonly version: number
  readonly encoding: string
  readonly has_schema: boolean
  readonly has_store: boolean
  readonly relations: number
}

/**
 * Creates the schema, or brings it up to date. Uses one transaction under a lock: when many workers start at the same time,
 * one of them does it, and a failure leaves nothing behind. Fails, and changes nothing, when the schema does not belong to
 * Baton or is of a newer version.
 */
export const migrate = Effect.fnUntraced(
  function* (sql: PgClient.PgClient, options: MigrateOptions): Effect.fn.Return<void, TaskStoreError | SqlError> {
    const { place } = options
    const schema = quote(place.schemaName)
    const history = `${schema}.baton_migrations`
    const known = options.migrations ?? migrations
    const run = <A extends object>(statement: string) => sql.unsafe<A>(statement).unprepared

    const look = Effect.map(
      run<Found>(`
        SELECT current_setting('server_version_num')::integer AS version, current_setting('server_encoding') AS encoding,
          n.oid IS NOT NULL AS has_schema,
          EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relname = 'baton_migrations') AS has_store,
          (SELECT count(*)::integer FROM pg_class c WHERE c.relnamespace = n.oid) AS relations
        FROM (VALUES (1)) AS one LEFT JOIN pg_namespace n ON n.nspname = ${literal(place.schemaName)}`),
      ([found]) => found
    )

    /** The number of migrations that the schema went through. Fails if the schema cannot be used. */
    const inspect = Effect.gen(function* () {
      const found = yield* look
      if (found === undefined) return yield* Effect.fail(Errors.unusable(Errors.foreign(place)))
      const refuse = (problem: string) => Effect.fail(Errors.unusable(problem))
      if (found.version < Errors.oldestVersion) return yield* refuse(Errors.tooOld(place, found.version))
      if (found.encoding !== "UTF8") return yield* refuse(Errors.notUtf8(place, found.encoding))
      if (!found.has_store) {
        if (found.relations > 0) return yield* refuse(Errors.foreign(place))
        if (options.mustExist) return yield* refuse(Errors.missing(place))
        return { applied: 0, hasSchema: found.has_schema, hasStore: false }
      }
      const [last] = yield* run<{ readonly applied: number }>(`SELECT max(version) AS applied FROM ${history}`)
      const applied = last?.applied ?? 0
      if (applied > known.length) return yield* refuse(Errors.newer(place, applied, known.length))
      return { applied, hasSchema: true, hasStore: true }
    })

    if ((yield* inspect).applied === known.length) return
    const migrating = sql.withTransaction(
      Effect.gen(function* () {
        yield* run("SET LOCAL statement_timeout = 0")
        yield* run("SET LOCAL idle_in_transaction_session_timeout = 0")
        // Held until the transaction ends. Behind a pooler, a lock of the session could end up with another client.
        yield* run(`SELECT pg_advisory_xact_lock(hashtextextended(${literal(`baton:${place.schemaName}`)}, 0))`)
        // Again, now that no other process can change it.
        const { applied, hasSchema, hasStore } = yield* inspect
        if (!hasSchema) yield* run(`CREATE SCHEMA ${schema}`)
        if (!hasStore) {
          yield* run(
            `CREATE TABLE ${history} (version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL)`
          )
        }
        for (const [index, { name, statements }] of known.entries()) {
          if (index < applied) continue
          yield* Effect.forEach(statements(schema), (statement) => run(statement), { discard: true })
          yield* run(`INSERT INTO ${history} VALUES (${index + 1}, ${literal(name)}, now())`)
        }
      })
    )
    // Workers of an earlier version that are still connected lock the tables in their own order.
    yield* Effect.retry(migrating, again)
  },
  (effect, _, { place }) =>
    Effect.mapError(effect, (error) => (error instanceof SqlError ? Errors.fromDriver(place, error) : error))
)
