import * as UsageSum from "@baton/core/UsageSum"
import type { DatabaseSync } from "node:sqlite"
import type * as SqliteFile from "../../internal/SqliteFile.ts"
import { usageColumns } from "./fragments.ts"

export interface Migration {
  readonly name: string
  readonly sql: string
  /** What SQL cannot say, in the same transaction. */
  readonly afterwards?: ((db: DatabaseSync) => void) | undefined
}

/** Adds up the usage of all tasks of each queue. */
const sumUsage = (db: DatabaseSync) => {
  const sums = new Map<number, UsageSum.UsageSum>()
  for (const { queue, usage } of db.prepare("SELECT queue, usage FROM tasks WHERE usage IS NOT NULL").iterate()) {
    const sum = sums.get(Number(queue)) ?? UsageSum.zero
    sums.set(Number(queue), UsageSum.add(sum, UsageSum.ofJson(String(usage))))
  }
  const save = db.prepare(`UPDATE queues SET ${usageColumns.map((name) => `${name} = ?`).join(", ")} WHERE queue = ?`)
  for (const [queue, sum] of sums) save.run(...UsageSum.columns.map((name) => sum[name]), queue)
}

/**
 * Append-only: `user_version` counts the migrations that a file has been through, so a published one never changes.
 *
 * Times are epoch milliseconds. Columns of type ANY hold text.
 */
export const migrations: ReadonlyArray<Migration> = [
  {
    name: "0001_create_tasks",
    sql: `
      -- The part of a task that changes. The row also holds the attempt under way, or the one that completed the task: an
      -- attempt moves to the ledger only when it ends otherwise, so most tasks need no second row.
      CREATE TABLE tasks (
        seq INTEGER PRIMARY KEY,
        id ANY NOT NULL UNIQUE,
        status TEXT NOT NULL,
        priority INTEGER NOT NULL,
        available_at INTEGER NOT NULL,
        blockers INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        requeues INTEGER NOT NULL,
        verified INTEGER NOT NULL,
        feedback ANY,
        usage TEXT,
        checkpoint TEXT,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        token INTEGER NOT NULL,
        owner ANY,
        started_at INTEGER,
        lease_until INTEGER,
        execution TEXT,
        verification TEXT,
        attempt_usage TEXT
      ) STRICT;

      -- Contains only claimable tasks, in the order of claiming, so other tasks do not slow down a claim.
      CREATE INDEX tasks_claimable ON tasks (priority DESC, available_at, seq) WHERE status = 'pending' AND blockers = 0;

      CREATE INDEX tasks_leased ON tasks (lease_until) WHERE status = 'in_progress';

      -- For the dead-letter queue. A task that completes never enters these indexes.
      CREATE INDEX tasks_failed ON tasks (seq) WHERE status = 'failed';
      CREATE INDEX tasks_cancelled ON tasks (seq) WHERE status = 'cancelled';

      -- The part of a task that never changes. SQLite rewrites whole rows: with a prompt of 4 kB in the row above, every
      -- claim, heartbeat and settlement would take twice as long.
      CREATE TABLE task_inputs (
        seq INTEGER PRIMARY KEY,
        description ANY NOT NULL,
        metadata TEXT NOT NULL,
        depends_on TEXT NOT NULL
      ) STRICT;

      -- Dependencies that have not completed. By id and not by seq, because a task that was pruned can be added again.
      CREATE TABLE dependencies (
        dependency ANY NOT NULL,
        task INTEGER NOT NULL,
        PRIMARY KEY (dependency, task)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX dependencies_by_task ON dependencies (task);

      CREATE TABLE attempts (
        id INTEGER PRIMARY KEY,
        task INTEGER NOT NULL,
        number INTEGER NOT NULL,
        token INTEGER NOT NULL,
        owner ANY NOT NULL,
        started_at INTEGER NOT NULL,
        ended_at INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        error ANY,
        execution TEXT,
        verification TEXT,
        usage TEXT
      ) STRICT;
      CREATE INDEX attempts_by_task ON attempts (task);

      -- One row: the control state, and the number of tasks of each status, which changes in the transactions that change
      -- the tasks.
      CREATE TABLE store (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        pending INTEGER NOT NULL DEFAULT 0,
        in_progress INTEGER NOT NULL DEFAULT 0,
        completed INTEGER NOT NULL DEFAULT 0,
        failed INTEGER NOT NULL DEFAULT 0,
        cancelled INTEGER NOT NULL DEFAULT 0,
        waiting INTEGER NOT NULL DEFAULT 0,
        revision INTEGER NOT NULL DEFAULT 0,
        paused INTEGER NOT NULL DEFAULT 0,
        stops INTEGER NOT NULL DEFAULT 0
      ) STRICT;
      INSERT INTO store (id) VALUES (1);
    `
  },
  {
    name: "0002_add_token_floor",
    sql: `
      -- The greatest token of the tasks that were pruned. Every claim gives out a greater one, because the id may be
      -- that of a pruned task.
      ALTER TABLE store ADD COLUMN token_floor INTEGER NOT NULL DEFAULT 0;

      -- From this version on, a checkpoint stores the usage of its execution here.
      UPDATE tasks SET attempt_usage = NULLIF(execution -> '$.usage', 'null') WHERE status = 'in_progress';
    `
  },
  {
    name: "0003_add_queues",
    sql: `
      -- A row for each queue that has tasks: its name, and the number of its tasks of each status, which changes in the
      -- transactions that change the tasks. The tasks of an older file are all in one queue.
      CREATE TABLE queues (
        queue INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        pending INTEGER NOT NULL DEFAULT 0,
        in_progress INTEGER NOT NULL DEFAULT 0,
        completed INTEGER NOT NULL DEFAULT 0,
        failed INTEGER NOT NULL DEFAULT 0,
        cancelled INTEGER NOT NULL DEFAULT 0,
        waiting INTEGER NOT NULL DEFAULT 0
      ) STRICT;
      INSERT INTO queues
      SELECT 1, 'default', pending, in_progress, completed, failed, cancelled, waiting FROM store
      WHERE pending + in_progress + completed + failed + cancelled > 0;

      -- One row: what is left of the table store. Replacing a table is faster than dropping six columns.
      CREATE TABLE control (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        revision INTEGER NOT NULL,
        paused INTEGER NOT NULL,
        stops INTEGER NOT NULL,
        token_floor INTEGER NOT NULL
      ) STRICT;
      INSERT INTO control SELECT id, revision, paused, stops, token_floor FROM store;
      DROP TABLE store;

      -- Existing rows are not rewritten, so this is fast on a large file.
      ALTER TABLE tasks ADD COLUMN queue INTEGER NOT NULL DEFAULT 1;
      ALTER TABLE task_inputs ADD COLUMN payload TEXT;
      ALTER TABLE task_inputs ADD COLUMN overrides TEXT;

      -- The queue comes first, so the tasks of other queues do not slow down a claim or a sweep.
      DROP INDEX tasks_claimable;
      CREATE INDEX tasks_claimable ON tasks (queue, priority DESC, available_at, seq)
      WHERE status = 'pending' AND blockers = 0;
      DROP INDEX tasks_leased;
      CREATE INDEX tasks_leased ON tasks (queue, lease_until) WHERE status = 'in_progress';
    `
  },
  {
    name: "0004_add_budgets",
    sql: `
      -- By the name of the queue, because a budget outlives the tasks of its queue. Costs are in nano-dollars.
      CREATE TABLE budgets (
        queue TEXT PRIMARY KEY,
        limit_cost INTEGER,
        limit_tokens INTEGER,
        committed_cost INTEGER NOT NULL DEFAULT 0,
        committed_tokens INTEGER NOT NULL DEFAULT 0,
        reserved_cost INTEGER NOT NULL DEFAULT 0,
        reserved_tokens INTEGER NOT NULL DEFAULT 0
      ) STRICT, WITHOUT ROWID;

      -- What attempts under way have spent and reserved, in queues with a budget. Not columns of tasks, whose rows are
      -- rewritten as a whole, with the output that they have checkpointed.
      CREATE TABLE spending (
        task INTEGER PRIMARY KEY,
        committed_cost INTEGER NOT NULL,
        committed_tokens INTEGER NOT NULL,
        reserved_cost INTEGER NOT NULL,
        reserved_tokens INTEGER NOT NULL
      ) STRICT;
    `
  },
  {
    name: "0005_add_concurrency_keys",
    sql: `
      ALTER TABLE tasks ADD COLUMN concurrency_key TEXT;

      -- Tasks with a key are claimed through their own index, so that they do not slow down the claims of other tasks. With
      -- the key as a column and these brackets, SQLite answers from the first index alone and reads no row of the table.
      DROP INDEX tasks_claimable;
      CREATE INDEX tasks_claimable ON tasks (queue, priority DESC, available_at, seq, concurrency_key)
      WHERE concurrency_key IS NULL AND (status = 'pending' AND blockers = 0);
      CREATE INDEX tasks_keyed ON tasks (queue, concurrency_key, priority, available_at, seq)
      WHERE status = 'pending' AND blockers = 0 AND concurrency_key IS NOT NULL;
      CREATE INDEX tasks_busy ON tasks (queue, concurrency_key)
      WHERE status = 'in_progress' AND concurrency_key IS NOT NULL;

      -- The line of keys of each queue and priority: a row for each key with pending tasks that wait for no other task. Its
      -- available_at is that of the key's first task, or earlier: a claim corrects it.
      CREATE TABLE key_turns (
        queue INTEGER NOT NULL,
        priority INTEGER NOT NULL,
        concurrency_key TEXT NOT NULL,
        turn INTEGER NOT NULL,
        available_at INTEGER NOT NULL,
        PRIMARY KEY (queue, priority, concurrency_key)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX key_turns_in_order ON key_turns (queue, priority DESC, turn, available_at);

      -- Whatever makes a task claimable puts its key in the line. Adding does so without a trigger, which would make it an
      -- eighth slower for tasks without a key.
      CREATE TRIGGER tasks_keyed_changed AFTER UPDATE OF status, blockers ON tasks
      WHEN NEW.concurrency_key IS NOT NULL AND NEW.status = 'pending' AND NEW.blockers = 0
      BEGIN
        INSERT INTO key_turns
        SELECT NEW.queue, NEW.priority, NEW.concurrency_key, COALESCE(MAX(turn), 0) + 1, NEW.available_at
        FROM key_turns WHERE queue = NEW.queue AND priority = NEW.priority
        ON CONFLICT DO UPDATE SET available_at = excluded.available_at WHERE excluded.available_at < available_at;
      END;
    `
  },
  {
    name: "0006_mark_started_tasks",
    sql: `
      -- From this version on, started_at is null while a task in progress is claimed and not started. An earlier version could
      -- not end such an attempt, so it must not open the file.
    `
  },
  {
    name: "0007_claim_started_tasks_first",
    sql: `
      -- Tasks that have had an attempt have indexes of their own, from which a claim takes first. Only a claim gives a task a
      -- token.
      DROP INDEX tasks_claimable;
      CREATE INDEX tasks_claimable ON tasks (queue, priority DESC, available_at, seq, concurrency_key, token)
      WHERE concurrency_key IS NULL AND token = 0 AND (status = 'pending' AND blockers = 0);
      CREATE INDEX tasks_started ON tasks (queue, priority DESC, available_at, seq, concurrency_key, token)
      WHERE concurrency_key IS NULL AND token > 0 AND (status = 'pending' AND blockers = 0);
      DROP INDEX tasks_keyed;
      CREATE INDEX tasks_keyed ON tasks (queue, concurrency_key, priority, available_at, seq, token)
      WHERE status = 'pending' AND blockers = 0 AND concurrency_key IS NOT NULL AND token = 0;
      CREATE INDEX tasks_keyed_started ON tasks (queue, concurrency_key, priority, available_at, seq, token)
      WHERE status = 'pending' AND blockers = 0 AND concurrency_key IS NOT NULL AND token > 0;
    `
  },
  {
    name: "0008_add_reviews",
    sql: `
      ALTER TABLE queues ADD COLUMN in_review INTEGER NOT NULL DEFAULT 0;

      -- For the review desk. The row of a task in review also holds the attempt, like that of a completed task.
      CREATE INDEX tasks_in_review ON tasks (seq) WHERE status = 'in_review';
    `
  },
  {
    name: "0009_add_pauses",
    sql: `
      -- By the name of the queue, because a pause outlives the tasks of its queue. A pause that is over stays until the next.
      CREATE TABLE pauses (
        queue TEXT PRIMARY KEY,
        cause TEXT NOT NULL,
        until INTEGER,
        probe_until INTEGER,
        reason ANY NOT NULL,
        revision INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;
    `
  },
  {
    name: "0010_add_longest_lease",
    sql: `
      -- The longest lease that was given, in milliseconds. A lease that lies further ahead is from before the clock of the
      -- machine was set back.
      ALTER TABLE control ADD COLUMN longest_lease INTEGER NOT NULL DEFAULT 0;
    `
  },
  {
    name: "0011_add_concurrency",
    sql: `
      -- What was set for running workers.
      ALTER TABLE control ADD COLUMN concurrency TEXT;
    `
  },
  {
    name: "0012_add_progress",
    sql: `
      -- What attempts under way have reported. Rows of attempts that have ended stay until others report.
      CREATE TABLE progress (task INTEGER PRIMARY KEY, token INTEGER NOT NULL, report TEXT NOT NULL) STRICT;
    `
  },
  {
    name: "0013_add_batches",
    sql: `
      -- By the name of the queue, because a batch outlives the tasks of its queue.
      CREATE TABLE batches (
        run TEXT PRIMARY KEY,
        queue TEXT NOT NULL,
        id TEXT,
        requests INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        ended INTEGER NOT NULL DEFAULT 0
      ) STRICT, WITHOUT ROWID;

      -- The budget of the queue has the reserved amount of a request until its answer is here.
      CREATE TABLE batch_requests (
        key TEXT PRIMARY KEY,
        run TEXT NOT NULL,
        task ANY NOT NULL,
        token INTEGER NOT NULL,
        reserved_cost INTEGER NOT NULL,
        reserved_tokens INTEGER NOT NULL,
        answer TEXT,
        is_reply INTEGER NOT NULL DEFAULT 0,
        taken_by ANY
      ) STRICT;
      CREATE INDEX batch_requests_of_run ON batch_requests (run);
    `
  },
  {
    name: "0014_add_texts",
    sql: `
      -- What processes share. What was set for running workers is for them only, and they have ended.
      CREATE TABLE texts (name TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT, WITHOUT ROWID;
      ALTER TABLE control DROP COLUMN concurrency;
    `
  },
  {
    name: "0015_add_usage_sums",
    sql: `
      -- The sum of the usage of all tasks of a queue, which changes in the transactions that change the tasks. Costs are in
      -- nano-dollars.
      ALTER TABLE queues ADD COLUMN usages INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE queues ADD COLUMN input_tokens INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE queues ADD COLUMN output_tokens INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE queues ADD COLUMN cache_read_tokens INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE queues ADD COLUMN cache_write_tokens INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE queues ADD COLUMN max_tokens INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE queues ADD COLUMN min_nano_usd INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE queues ADD COLUMN max_nano_usd INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE queues ADD COLUMN unknown_costs INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE queues ADD COLUMN unbounded_costs INTEGER NOT NULL DEFAULT 0;
    `,
    afterwards: sumUsage
  },
  {
    name: "0016_narrow_key_trigger",
    sql: `
      -- A statement that can make a task claimable writes one of these columns. A claim and a settlement that ends a task do
      -- not: a trigger on the status took half the time of the statement that settles, also for tasks without a key.
      DROP TRIGGER tasks_keyed_changed;
      CREATE TRIGGER tasks_keyed_changed AFTER UPDATE OF available_at, blockers ON tasks
      WHEN NEW.concurrency_key IS NOT NULL AND NEW.status = 'pending' AND NEW.blockers = 0
      BEGIN
        INSERT INTO key_turns
        SELECT NEW.queue, NEW.priority, NEW.concurrency_key, COALESCE(MAX(turn), 0) + 1, NEW.available_at
        FROM key_turns WHERE queue = NEW.queue AND priority = NEW.priority
        ON CONFLICT DO UPDATE SET available_at = excluded.available_at WHERE excluded.available_at < available_at;
      END;
    `
  }
]

/** The format of a file that has been through these migrations. */
export const formatOf = (migrations: ReadonlyArray<Migration>): SqliteFile.Format => ({
  label: "store",
  // "BATN"
  applicationId: 0x4241544e,
  version: migrations.length,
  migrate: (db: DatabaseSync, from) => {
    for (const { afterwards, sql } of migrations.slice(from)) {
      db.exec(sql)
      afterwards?.(db)
    }
  },
  ifDamaged: (filename) => `restore it from a backup, or save the rest with "sqlite3 ${filename} .recover"`
})

export const format = formatOf(migrations)
