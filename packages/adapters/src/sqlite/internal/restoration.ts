import * as Result from "effect/Result"
import { type TaskRecord, validate } from "@baton/core/TaskRecord"
import type { TaskStoreError, TasksRefused } from "@baton/core/TaskStoreError"
import * as Rows from "./rows.ts"
import { count, type Tally, tally, unblock, type Writing } from "./transitions.ts"

/** Adds tasks as they were in another store; after a failure the caller rolls back. */
export const restore = (
  writing: Writing,
  records: ReadonlyArray<TaskRecord>
): Result.Result<void, TaskStoreError | TasksRefused> => {
  const { sql } = writing
  return Result.map(
    validate(records, (id) => sql.state(Rows.toText(id)) !== undefined),
    () => {
      const moved = tally()
      const seqs = records.map((record) => insert(writing, record))
      for (const { task } of records) moved[task.status]++
      // Only now, because a dependant can come before what it waits for.
      records.forEach((record, index) => block(writing, record, seqs[index] ?? 0, moved))
      for (const { task } of records) {
        if (task.status === "completed") moved.waiting -= unblock(sql, Rows.toText(task.id))
      }
      count(writing, moved)
    }
  )
}

/** Writes the task and its ledger; its `seq`. */
const insert = ({ now, sql }: Writing, { attempts, checkpoint, task, token }: TaskRecord): number => {
  // The attempt under way, or the one that completed the task, is in the task's own row.
  const inRow = task.status === "in_progress" || task.status === "completed"
  const last = inRow ? attempts.at(-1) : undefined
  const row = sql.restoreTask(
    Rows.toText(task.id),
    task.status,
    task.priority,
    Rows.toMillis(task.availableAt.epochMilliseconds),
    task.attempts,
    task.requeues,
    task.verified ? 1 : 0,
    Rows.toTextOrNull(task.feedback),
    Rows.toJsonOrNull(task.usage),
    Rows.toJsonOrNull(checkpoint),
    Rows.toMillis(task.createdAt.epochMilliseconds),
    Rows.toMillis(task.updatedAt.epochMilliseconds),
    token,
    Rows.toTextOrNull(last?.owner ?? null),
    last === undefined ? null : Rows.toMillis(last.startedAt.epochMilliseconds),
    // Its worker works on the other store: the next sweep takes the task back.
    now,
    Rows.toJsonOrNull(last?.execution ?? null),
    Rows.toJsonOrNull(last?.verification ?? null),
    Rows.toJsonOrNull(last?.usage ?? null)
  )
  const seq = Rows.int(row.seq)
  sql.addInputs(seq, Rows.toText(task.description), Rows.toJson(task.metadata), Rows.toJson(task.dependsOn))
  for (const attempt of inRow ? attempts.slice(0, -1) : attempts) {
    sql.restoreAttempt(
      seq,
      attempt.number,
      attempt.token,
      Rows.toText(attempt.owner),
      Rows.toMillis(attempt.startedAt.epochMilliseconds),
      Rows.toMillis((attempt.endedAt ?? attempt.startedAt).epochMilliseconds),
      attempt.outcome,
      Rows.toTextOrNull(attempt.error),
      Rows.toJsonOrNull(attempt.execution),
      Rows.toJsonOrNull(attempt.verification),
      Rows.toJsonOrNull(attempt.usage)
    )
  }
  return seq
}

/** Writes down what the task waits for: whatever is not completed here, there or not. */
const block = ({ sql }: Writing, { task, waitsFor }: TaskRecord, seq: number, moved: Tally) => {
  const open = Array.from(new Set(waitsFor), Rows.toText).filter((id) => sql.state(id)?.status !== "completed")
  if (open.length === 0) return
  for (const id of open) sql.addDependency(id, seq)
  sql.block(open.length, seq)
  if (task.status === "pending") moved.waiting++
}
