/** One step of a schema's history. Its statements run in the order given, in one transaction. */
export interface Migration {
  readonly name: string
  readonly statements: (schema: string) => ReadonlyArray<string>
}

/**
 * Append-only: a schema remembers which of these it has been through, so a published one never changes. `schema` is a
 * quoted identifier.
 *
 * - Texts are encoded as in `text.ts`; JSON is kept as text, because PostgreSQL's own types refuse some of what JSON allows.
 * - All times are the server's.
 */
export const migrations: ReadonlyArray<Migration> = [
  {
    name: "0001_create_tasks",
    statements: (schema) => [
      `CREATE SEQUENCE ${schema}.task_seq`,

      // What never changes of a task. PostgreSQL writes a changed row as a whole: were the prompt in the row below, then
      // every claim, heartbeat and settlement would write it again. And the index on ids, which can be long and in no
      // order, would get an entry for each of them.
      `CREATE TABLE ${schema}.task_inputs (
        seq bigint PRIMARY KEY,
        id text NOT NULL,
        description text NOT NULL,
        metadata text,
        depends_on text[],
        created_at timestamptz NOT NULL,
        CONSTRAINT task_inputs_id UNIQUE (id) INCLUDE (seq)
      )`,

      // What changes of a task. The row also holds the attempt under way, or the one that completed the task: an attempt
      // moves to the ledger only when it ends otherwise, which spares the common case a second row.
      //
      // - lease: the current lease's token, and null when nobody holds the task: the fence of every write under a lease
      // - parent: grows when a task that depends on this one is added, so that a settlement notices one that came meanwhile
      // - claim_call: which call claimed it, for a worker whose connection broke before it heard what it had claimed
      //
      // Half of all rows in it are dead at any time, and a vacuum that comes late costs more than one that comes often.
      // The room in each page is for checkpoints, which touch no index and so stay in their page.
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

      // Only rows that can be claimed are in it, in the order in which they are: what is completed, running or waiting
      // for another task costs a claim nothing.
      `CREATE INDEX tasks_claimable ON ${schema}.tasks (priority DESC, available_at, seq)
        WHERE status = 'pending' AND blockers = 0`,
      `CREATE INDEX tasks_leased ON ${schema}.tasks (lease_until) WHERE status = 'in_progress'`,
      // For listing and for work on all tasks of a status; those that complete cost nothing more.
      `CREATE INDEX tasks_pending ON ${schema}.tasks (seq) WHERE status = 'pending'`,
      `CREATE INDEX tasks_failed ON ${schema}.tasks (seq) WHERE status = 'failed'`,
      `CREATE INDEX tasks_cancelled ON ${schema}.tasks (seq) WHERE status = 'cancelled'`,

      // Which tasks wait for which; a row goes when the task waited for completes. By id and not by seq, because a task
      // that was pruned can be added again.
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

      // How many tasks there are of each kind: the sums of these columns. Every write adds a row of differences, so that
      // writers never wait for one another as they would for one row of totals; now and then rows are added up.
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
  }
]
