import { isReadonlyArrayNonEmpty } from "effect/Array"
import * as Result from "effect/Result"
import type { NewTask, TaskId } from "@baton/core/Task"
import type { AddResult } from "@baton/core/TaskStore"
import { type Refusal, TasksRefused } from "@baton/core/TaskStoreError"
import * as Rows from "./rows.ts"
import { count, tally, type Writing } from "./transitions.ts"

/** A task of this call that waits for others, and its row. */
interface Linked {
  readonly seq: number
  readonly id: TaskId
  readonly dependsOn: ReadonlySet<TaskId>
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
        refusals.push({
          taskId: task.id,
          problem: "IdInUse",
          message: `The id ${quote(task.id)} belongs to a task with another description: give one of them another id.`
        })
      }
    }
  }
  const blocked = linked.filter((task) => block(writing, task, refusals))
  refusals.push(...cycles(linked).flatMap(cycleRefusals))
  if (isReadonlyArrayNonEmpty(refusals)) return Result.fail(new TasksRefused({ refusals }))
  count(writing, { ...tally(), pending: fresh.size, waiting: blocked.length })
  return Result.succeed({ added: Array.from(fresh.keys()), existing: existing.size })
}

const quote = (id: TaskId) => JSON.stringify(id)

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
  if (unknown.length > 0) {
    refusals.push({
      taskId: id,
      problem: "UnknownDependency",
      message: `Task ${quote(id)} depends on ${unknown.map(quote).join(", ")}, which is not there: add it before, or together with it.`
    })
  }
  if (blockers > 0) sql.block(blockers, seq)
  return blockers > 0
}

/** Cycles among the tasks of one call. There can be no other: what is in the store depends on nothing that is new. */
const cycles = (linked: ReadonlyArray<Linked>): ReadonlyArray<ReadonlyArray<TaskId>> => {
  const ids = new Set(linked.map(({ id }) => id))
  const unmet = new Map<TaskId, Set<TaskId>>()
  const dependants = new Map<TaskId, Array<TaskId>>()
  const free: Array<TaskId> = []
  for (const { dependsOn, id } of linked) {
    const inner = new Set(Array.from(dependsOn).filter((dependency) => ids.has(dependency)))
    if (inner.size === 0) free.push(id)
    else unmet.set(id, inner)
    for (const dependency of inner) {
      const waiting = dependants.get(dependency)
      if (waiting === undefined) dependants.set(dependency, [id])
      else waiting.push(id)
    }
  }
  // `free` grows while it is walked: a chain of a million tasks must not need a stack of a million frames.
  for (const id of free) {
    for (const dependant of dependants.get(id) ?? []) {
      const left = unmet.get(dependant)
      left?.delete(id)
      if (left?.size === 0) {
        unmet.delete(dependant)
        free.push(dependant)
      }
    }
  }
  // Who is left is on a cycle or behind one, so following any dependency that is left leads onto one.
  const found: Array<ReadonlyArray<TaskId>> = []
  for (const start of unmet.keys()) {
    const trail = new Set<TaskId>()
    let next: TaskId | undefined = start
    while (next !== undefined && !trail.has(next)) {
      trail.add(next)
      next = unmet
        .get(next)
        ?.values()
        .find((id) => unmet.has(id))
    }
    const steps = Array.from(trail)
    if (next !== undefined) found.push(steps.slice(steps.indexOf(next)))
    for (const id of steps) unmet.delete(id)
  }
  return found
}

const longestShown = 8

const cycleRefusals = (cycle: ReadonlyArray<TaskId>): ReadonlyArray<Refusal> => {
  const shown = cycle.slice(0, longestShown).map(quote)
  const path = [...shown, ...(cycle.length > longestShown ? ["..."] : []), ...shown.slice(0, 1)].join(" on ")
  return cycle.map((taskId) => ({
    taskId,
    problem: "DependencyCycle",
    message: `Task ${quote(taskId)} waits for itself (${path}): take one of these dependencies out.`
  }))
}
