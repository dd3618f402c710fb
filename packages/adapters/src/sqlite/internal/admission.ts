import { isReadonlyArrayNonEmpty } from "effect/Array"
import * as Result from "effect/Result"
import type { NewTask, TaskId } from "@baton/core/Task"
import type { AddResult } from "@baton/core/TaskStore"
import { type Refusal, TasksRefused } from "@baton/core/TaskStoreError"
import * as Refusals from "../../internal/refusals.ts"
import * as Rows from "./rows.ts"
import { count, tally, type Writing } from "./transitions.ts"

/** A task of this call that depends on others, and its row. */
interface Linked extends Refusals.Linked {
  readonly seq: number
}

/**
 * Adds tasks. It inserts first and looks afterwards, which spares new tasks a look-up each; after a refusal the caller
 * rolls back.
 */
export const add = (writing: Writing, tasks: ReadonlyArray<NewTask>): Result.Result<AddResult, TasksRefused> => {
  const { now, sql } = writing
  const fresh = new Map<TaskId, NewTask>()
  const existing = new Set<TaskId>()
  const linked: Array<Linked> = []
  const refusals: Array<Refusal> = []
  for (const task of tasks) {
    const id = Rows.toText(task.id)
    const availableAt = task.availableAt === undefined ? now : Rows.toMillis(task.availableAt.epochMilliseconds)
    const description = fresh.get(task.id)?.description
    const seq = description === undefined ? sql.addTask(id, task.priority ?? 0, availableAt, now, now) : undefined
    if (seq !== undefined) {
      const dependsOn = task.dependsOn ?? []
      sql.addInputs(
        seq,
        Rows.toText(task.description),
        task.metadata === undefined ? "{}" : Rows.toJson(task.metadata),
        dependsOn.length === 0 ? "[]" : Rows.toJson(dependsOn)
      )
      fresh.set(task.id, task)
      if (dependsOn.length > 0) linked.push({ seq, id: task.id, dependsOn: new Set(dependsOn) })
    } else {
      if (description === undefined) existing.add(task.id)
      if (task.description !== (description ?? Rows.text(sql.description(id)?.description))) {
        refusals.push(Refusals.idInUse(task.id))
      }
    }
  }
  const blocked = linked.filter((task) => block(writing, task, refusals))
  refusals.push(...Refusals.cycles(linked))
  if (isReadonlyArrayNonEmpty(refusals)) return Result.fail(new TasksRefused({ refusals }))
  count(writing, { ...tally(), pending: fresh.size, waiting: blocked.length })
  return Result.succeed({ added: Array.from(fresh.keys()), existing: existing.size })
}

/** Writes down what the task waits for; whether it waits for anything. */
const block = ({ sql }: Writing, { dependsOn, id, seq }: Linked, refusals: Array<Refusal>): boolean => {
  const unknown: Array<TaskId> = []
  let blockers = 0
  for (const dependency of dependsOn) {
    const row = sql.state(Rows.toText(dependency))
    if (row === undefined) {
      unknown.push(dependency)
    } else if (row.status !== "completed") {
      sql.addDependency(Rows.toText(dependency), seq)
      blockers++
    }
  }
  if (unknown.length > 0) refusals.push(Refusals.unknownDependency(id, unknown))
  if (blockers > 0) sql.block(blockers, seq)
  return blockers > 0
}
