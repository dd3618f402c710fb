import type { TaskStatus } from "@baton/core/Task"

/** What the statements of a store share. All of it is constant text. */

/** What a transition looks at. */
export const stateColumns = "seq, id, queue, status, blockers, attempts, token, owner, started_at, updated_at"

/** The columns of a queue with the sum of the usage of its tasks, in the order of `UsageSum.columns`. */
export const usageColumns = [
  "usages",
  "input_tokens",
  "output_tokens",
  "cache_read_tokens",
  "cache_write_tokens",
  "max_tokens",
  "min_nano_usd",
  "max_nano_usd",
  "unknown_costs",
  "unbounded_costs"
] as const

/** Whether a task is in the queue with this name; null is any queue. */
export const isIn = (name: string) => `(${name} IS NULL OR queue = (SELECT queue FROM queues WHERE name = ${name}))`

/**
 * Where to look for the tasks of a status. By itself, the planner would walk the table by `seq`; these indexes contain only
 * the selected tasks, also where a million tasks have completed. There is none for the tasks of a queue: adding tasks would
 * take an eighth longer, and reading past a million tasks of other queues takes half a second.
 */
export const tasksOf = {
  pending: "tasks",
  in_progress: "tasks INDEXED BY tasks_leased",
  in_review: "tasks INDEXED BY tasks_in_review",
  completed: "tasks",
  failed: "tasks INDEXED BY tasks_failed",
  cancelled: "tasks INDEXED BY tasks_cancelled"
} as const satisfies Record<TaskStatus, string>

export const byStatus = <A>(make: (status: TaskStatus) => A): { readonly [Status in TaskStatus]: A } => ({
  pending: make("pending"),
  in_progress: make("in_progress"),
  in_review: make("in_review"),
  completed: make("completed"),
  failed: make("failed"),
  cancelled: make("cancelled")
})

/** The fence: a write under a lease that is not current finds no row. */
export const isLeased = "id = ? AND token = ? AND status = 'in_progress'"

/** Moves the attempt in the task's row into the ledger. One that never started lasts no time. */
export const ledgerEntry = (result: string, condition = isLeased) => `
  INSERT INTO attempts
    (task, number, token, owner, started_at, ended_at, outcome, error, execution, verification, usage)
  SELECT seq, attempts, token, owner, COALESCE(started_at, ?1), ?1, ?, ?, ${result} FROM tasks WHERE ${condition}`
