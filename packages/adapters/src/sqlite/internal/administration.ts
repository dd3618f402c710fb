import type { TaskStatus } from "@baton/core/Task"
import type { ChangeReply, RevisionRow, SelectionRow } from "@baton/core/TaskStoreDriver"
import * as Budgets from "./budgets.ts"
import type { Writing } from "./connection.ts"
import { byStatus, isIn, stateColumns, tasksOf } from "./fragments.ts"
import type { Preparing } from "./preparing.ts"
import * as Rows from "./rows.ts"
import {
  count,
  decodeState,
  jsonOrNull,
  meter,
  move,
  type State,
  stateOf,
  type Tallies,
  tallyOf
} from "./transitions.ts"

type Json = string

/** The statements of changes that people ask for. */
export const statements = ({ all, change, first, run }: Preparing) => ({
  statesOf: byStatus((status) =>
    all<[after: number, limit: number, queue: string | null]>(`
        SELECT ${stateColumns} FROM ${tasksOf[status]}
        WHERE status = '${status}' AND seq > ?1 AND ${isIn("?3")} ORDER BY seq LIMIT +?2`)
  ),

  requeue: run<[now: number, seq: number]>(`
      UPDATE tasks SET status = 'pending', attempts = 0, requeues = requeues + 1, available_at = ?1, updated_at = ?1
      WHERE seq = ?2`),

  /** Moves the attempt that completed a task from its row into the ledger. `reviseTask` follows in the same transaction. */
  endCompleted: run<[seq: number]>(`
      INSERT INTO attempts
        (task, number, token, owner, started_at, ended_at, outcome, error, execution, verification, usage)
      SELECT seq, attempts, token, owner, COALESCE(started_at, updated_at), updated_at, 'completed', NULL, execution, verification, attempt_usage
      FROM tasks WHERE seq = ? AND status = 'completed'`),

  reviseTask: run<[feedback: string | null, now: number, seq: number]>(`
      UPDATE tasks SET
        status = 'pending', attempts = 0, requeues = requeues + 1, feedback = ?1, verified = 0, checkpoint = NULL,
        available_at = IIF(status = 'pending', available_at, ?2), execution = NULL, verification = NULL,
        attempt_usage = NULL, updated_at = ?2
      WHERE seq = ?3`),

  reviseInputs: run<[description: string, metadata: Json, payload: Json | null, overrides: Json | null, seq: number]>(
    "UPDATE task_inputs SET description = ?, metadata = ?, payload = ?, overrides = ? WHERE seq = ?"
  ),

  removeTask: run<[seq: number]>("DELETE FROM tasks WHERE seq = ?"),

  removeInputs: run<[seq: number]>("DELETE FROM task_inputs WHERE seq = ?"),

  removeAttempts: run<[task: number]>("DELETE FROM attempts WHERE task = ?"),

  isAwaited: first<[dependency: string]>(
    "SELECT 1 FROM dependencies d JOIN tasks t ON t.seq = d.task WHERE d.dependency = ? AND t.status = 'pending' LIMIT 1"
  ),

  removeDependencies: run<[task: number]>("DELETE FROM dependencies WHERE task = ?"),

  removeEmptyQueues: run<[]>(
    `DELETE FROM queues
      WHERE pending = 0 AND in_progress = 0 AND in_review = 0 AND completed = 0 AND failed = 0 AND cancelled = 0`
  ),

  raiseTokenFloor: run<[token: number]>("UPDATE control SET token_floor = MAX(token_floor, ?)"),

  /** A text is never removed, so `before` is null exactly when there is none. */
  saveText: change<[name: string, text: string, before: string | null]>(
    "INSERT INTO texts (name, text) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET text = excluded.text WHERE text = ?3"
  ),

  /** Increases the revision. Null keeps the runs paused, or not. */
  revise: run<[paused: number | null, stops: number]>(
    "UPDATE control SET revision = revision + 1, paused = COALESCE(?, paused), stops = stops + ?"
  )
})

/** Acts on the selected tasks whose status is in `from` and that `matches` accepts. */
const changeSelected = (
  writing: Writing,
  selection: SelectionRow,
  from: ReadonlyArray<TaskStatus>,
  act: (state: State, tallies: Tallies) => void,
  matches: (state: State) => boolean = () => true
): ChangeReply => {
  const { sql } = writing
  const found =
    "ids" in selection
      ? selection.ids.flatMap((id) => stateOf(sql, id))
      : sql.statesOf[selection.status](selection.after, selection.limit, selection.queue).map(decodeState)
  const chosen = found.filter((state) => from.includes(state.status) && matches(state))
  const tallies: Tallies = new Map()
  for (const state of chosen) act(state, tallies)
  count(writing, tallies)
  return {
    ids: chosen.map(({ id }) => id),
    interrupted: chosen.filter(({ status }) => status === "in_progress").length,
    last: "ids" in selection || found.length < selection.limit ? null : (found.at(-1)?.seq ?? null)
  }
}

export const requeue = (writing: Writing, selection: SelectionRow, from: ReadonlyArray<TaskStatus>): ChangeReply =>
  changeSelected(writing, selection, from, (state, tallies) => {
    writing.sql.requeue(writing.now, state.seq)
    move(tallies, state, "pending")
  })

/** Returns the ids that changed. */
export const revise = (
  writing: Writing,
  revisions: ReadonlyArray<RevisionRow>,
  from: ReadonlyArray<TaskStatus>
): ReadonlyArray<string> => {
  const { now, sql } = writing
  const tallies: Tallies = new Map()
  const ids = revisions.flatMap(({ feedback, id, token, work }) =>
    stateOf(sql, id).flatMap((state) => {
      if (!from.includes(state.status) || (token !== null && token !== state.token)) return []
      if (state.status === "completed") sql.endCompleted(state.seq)
      sql.reviseTask(feedback, now, state.seq)
      if (work !== null) {
        sql.reviseInputs(work.description, work.metadata ?? Rows.noMetadata, work.payload, work.overrides, state.seq)
      }
      move(tallies, state, "pending")
      return id
    })
  )
  count(writing, tallies)
  return ids
}

export const failWaiting = (
  writing: Writing,
  ids: ReadonlyArray<string>,
  from: ReadonlyArray<TaskStatus>,
  feedback: string
): ReadonlyArray<string> =>
  changeSelected(
    writing,
    { ids },
    from,
    (state, tallies) => {
      writing.sql.interrupt("failed", 0, null, feedback, null, writing.now, state.id)
      move(tallies, state, "failed")
    },
    ({ isBlocked }) => isBlocked
  ).ids

export const cancel = (
  writing: Writing,
  selection: SelectionRow,
  from: ReadonlyArray<TaskStatus>,
  reason: string
): ChangeReply => {
  const { now, sql } = writing
  const budgets = Budgets.open(sql)
  const reply = changeSelected(writing, selection, from, (state, tallies) => {
    if (state.status === "in_progress") budgets?.end(state.seq, state.queue, undefined)
    // Writes nothing for a pending task, which has no attempt under way.
    sql.endInterrupted(now, "cancelled", reason, null, state.id, state.token)
    sql.interrupt("cancelled", 0, null, null, null, now, state.id)
    move(tallies, state, "cancelled")
  })
  budgets?.close()
  if (reply.interrupted > 0) sql.revise(null, 0)
  return reply
}

export const prune = (
  writing: Writing,
  selection: SelectionRow,
  from: ReadonlyArray<TaskStatus>,
  unchangedMillis: number | null
): ChangeReply => {
  const { now, sql } = writing
  const latest = unchangedMillis === null ? Infinity : now - unchangedMillis
  let greatestToken = 0
  const reply = changeSelected(
    writing,
    selection,
    from,
    ({ queue, seq, status, token }, tallies) => {
      meter(tallies, queue, jsonOrNull(sql.usageOf(seq)?.usage), null)
      sql.removeTask(seq)
      sql.removeInputs(seq)
      sql.removeAttempts(seq)
      sql.removeDependencies(seq)
      tallyOf(tallies, queue)[status]--
      greatestToken = Math.max(greatestToken, token)
    },
    ({ id, updatedAt }) => updatedAt <= latest && sql.isAwaited(id) === undefined
  )
  sql.removeEmptyQueues()
  if (greatestToken > 0) sql.raiseTokenFloor(greatestToken)
  return reply
}
