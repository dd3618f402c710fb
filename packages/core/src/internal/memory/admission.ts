import type { NewTask, TaskId } from "../../Task.ts"
import type { Refusal } from "../../TaskStoreError.ts"
import type { Table } from "./table.ts"

/** An `add` call, looked at as a whole before anything is written. */
export interface Admission {
  readonly fresh: ReadonlyMap<TaskId, NewTask>
  readonly existing: number
  readonly refusals: ReadonlyArray<Refusal>
}

export const admit = (table: Table, tasks: ReadonlyArray<NewTask>): Admission => {
  const fresh = new Map<TaskId, NewTask>()
  const existing = new Set<TaskId>()
  const refusals: Array<Refusal> = []
  let linked = false
  for (const task of tasks) {
    const stored = table.byId.get(task.id)
    const known = stored?.task ?? fresh.get(task.id)
    if (known !== undefined && known.description !== task.description) {
      refusals.push({
        taskId: task.id,
        problem: "IdInUse",
        message: `The id ${quote(task.id)} belongs to a task with another description: give one of them another id.`
      })
    } else if (stored !== undefined) {
      existing.add(task.id)
    } else if (known === undefined) {
      fresh.set(task.id, task)
      linked ||= (task.dependsOn?.length ?? 0) > 0
    }
  }
  if (linked) refusals.push(...unknownDependencies(table, fresh), ...cycles(fresh).flatMap(cycleRefusals))
  return { fresh, existing: existing.size, refusals }
}

const quote = (id: TaskId) => JSON.stringify(id)

const unknownDependencies = (table: Table, fresh: ReadonlyMap<TaskId, NewTask>): ReadonlyArray<Refusal> =>
  Array.from(fresh.values()).flatMap((task) => {
    const unknown = (task.dependsOn ?? []).filter((id) => !table.byId.has(id) && !fresh.has(id))
    if (unknown.length === 0) return []
    return {
      taskId: task.id,
      problem: "UnknownDependency",
      message: `Task ${quote(task.id)} depends on ${unknown.map(quote).join(", ")}, which is not there: add it before, or together with it.`
    }
  })

/** Cycles among the tasks of one call. There can be no other: what is in the store depends on nothing that is new. */
const cycles = (fresh: ReadonlyMap<TaskId, NewTask>): ReadonlyArray<ReadonlyArray<TaskId>> => {
  const unmet = new Map<TaskId, Set<TaskId>>()
  const dependants = new Map<TaskId, Array<TaskId>>()
  const free: Array<TaskId> = []
  for (const task of fresh.values()) {
    const inner = new Set(task.dependsOn?.filter((id) => fresh.has(id)))
    if (inner.size === 0) free.push(task.id)
    else unmet.set(task.id, inner)
    for (const id of inner) {
      const waiting = dependants.get(id)
      if (waiting === undefined) dependants.set(id, [task.id])
      else waiting.push(task.id)
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
