import type { DatabaseSync } from "node:sqlite"

/** "BATN": how a file is recognised as ours (https://www.sqlite.org/pragma.html#pragma_application_id). */
export const applicationId = 0x4241544e

export interface Migration {
  readonly name: string
  readonly sql: string
}

/**
 * Append-only: `user_version` counts how many of these a file has been through, so a published one never changes.
 *
 * - Texts are of type ANY: SQLite holds UTF-8, so a string that is no valid Unicode is kept as its UTF-16 bytes.
 * - Times are epoch milliseconds.
 */
export const migrations: ReadonlyArray<Migration> = [
  {
    name: "0001_create_tasks",
    sql: `
      -- What changes of a task. The row also holds the attempt under way, or the one that completed the task: an attempt
      -- moves to the ledger only when it ends otherwise, which spares the common case a second row.
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

      -- Only rows that can be claimed are in it, in the order in which they are: what is completed, running or waiting
      -- for another task costs a claim nothing.
      CREATE INDEX tasks_claimable ON tasks (priority DESC, available_at, seq) WHERE status = 'pending' AND blockers = 0;

      CREATE INDEX tasks_leased ON tasks (lease_until) WHERE status = 'in_progress';

      -- For the dead-letter queue; they cost nothing while tasks complete.
      CREATE INDEX tasks_failed ON tasks (seq) WHERE status = 'failed';
      CREATE INDEX tasks_cancelled ON tasks (seq) WHERE status = 'cancelled';

      -- What never changes of a task. SQLite writes a row as a whole: were a long prompt in the row above, then every
      -- claim, heartbeat and settlement would write it again (at 4 kB that takes twice as long).
      CREATE TABLE task_inputs (
        seq INTEGER PRIMARY KEY,
        description ANY NOT NULL,
        metadata TEXT NOT NULL,
        depends_on TEXT NOT NULL
      ) STRICT;

      -- Which tasks wait for which; a row goes when the task waited for completes. By id and not by seq, because a
      -- task that was pruned can be added again.
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

      -- One row: how many tasks there are of each kind, changed in the transactions that change the tasks, and the
      -- control state.
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
  }
]

export const latestVersion = migrations.length

/** Brings a file from `version` up to date. Call it inside a write transaction, so that of two processes one does it. */
export const migrate = (db: DatabaseSync, version: number, pending: ReadonlyArray<Migration> = migrations) => {
  for (const { sql } of pending.slice(version)) db.exec(sql)
  db.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${pending.length}`)
}
