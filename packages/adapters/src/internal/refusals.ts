import type { TaskId } from "@baton/core/Task"
import type { Refusal } from "@baton/core/TaskStoreError"

/** Why a task cannot be added, in the words that all stores use. */

const quote = (id: TaskId) => JSON.stringify(id)

export const idInUse = (taskId: TaskId): Refusal => ({
  taskId,
  problem: "IdInUse",
  message: `The id ${quote(taskId)} belongs to a task with another description: give one of them another id.`
})

export const unknownDependency = (taskId: TaskId, unknown: ReadonlyArray<TaskId>): Refusal => ({
  taskId,
  problem: "UnknownDependency",
  message: `Task ${quote(taskId)} depends on ${unknown.map(quote).join(", ")}, which is not there: add it before, or together with it.`
})

/** A task of a call that depends on others. */
export interface Linked {
  readonly id: TaskId
  readonly dependsOn: ReadonlySet<TaskId>
}

/**
 * Refuses those that wait for themselves. Looks at the tasks of one call, because what is in a store already depends on
 * nothing that is new.
 */
export const cycles = (linked: ReadonlyArray<Linked>): ReadonlyArray<Refusal> => findCycles(linked).flatMap(refuseCycle)

const findCycles = (linked: ReadonlyArray<Linked>): ReadonlyArray<ReadonlyArray<TaskId>> => {
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

const refuseCycle = (cycle: ReadonlyArray<TaskId>): ReadonlyArray<Refusal> => {
  const shown = cycle.slice(0, longestShown).map(quote)
  const path = [...shown, ...(cycle.length > longestShown ? ["..."] : []), ...shown.slice(0, 1)].join(" on ")
  return cycle.map((taskId) => ({
    taskId,
    problem: "DependencyCycle",
    message: `Task ${quote(taskId)} waits for itself (${path}): take one of these dependencies out.`
  }))
}
