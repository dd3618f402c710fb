import * as Schema from "effect/Schema"
import { ConcurrencyKey, defaultQueue, type NewTask, Overrides, QueueName, type TaskId } from "../../Task.ts"
import type { Refusal } from "../../TaskStoreError.ts"
import * as Codec from "./codec.ts"

/** Refusals of `add`: an id that belongs to another task, an unknown dependency, a cycle, an invalid field. */

const quote = (id: TaskId) => JSON.stringify(id)

export const idInUse = (taskId: TaskId): Refusal => ({
  taskId,
  problem: "IdInUse",
  message: `The id ${quote(taskId)} belongs to another task, with another description, payload or queue: give one of them another id.`
})

export const unknownDependency = (taskId: TaskId, unknown: ReadonlyArray<TaskId>): Refusal => ({
  taskId,
  problem: "UnknownDependency",
  message: `Task ${quote(taskId)} depends on ${unknown.map(quote).join(", ")}, which is not there: add it before, or together with it.`
})

const isQueueName: (name: string) => boolean = Schema.is(QueueName)
const isKey: (key: string) => boolean = Schema.is(ConcurrencyKey)
const areOverrides = Schema.is(Overrides)
const isJson = Schema.is(Schema.Json)

const quoteStart = (text: string) => JSON.stringify(text.slice(0, 40))

const jsonValues = "give it text, finite numbers, true, false, null, and lists and objects of these."

/** The fields that are checked when a task is added or restored. */
type Fields = { readonly id: TaskId } & {
  readonly [Key in "concurrencyKey" | "metadata" | "overrides" | "payload" | "priority" | "queue"]?:
    | NewTask[Key]
    | null
    | undefined
}

/** Each returns the problem of a task, if it has one. */
const checks: ReadonlyArray<(task: Fields) => Pick<Refusal, "problem" | "message"> | undefined> = [
  ({ id, queue }) =>
    queue === undefined || queue === null || queue === defaultQueue || isQueueName(queue)
      ? undefined
      : {
          problem: "InvalidQueueName",
          message: `The queue of task ${quote(id)}, ${quoteStart(queue)}, has no valid name: give it a name of 1 to 100 characters, without control characters.`
        },
  ({ concurrencyKey, id }) =>
    concurrencyKey === undefined || concurrencyKey === null || isKey(concurrencyKey)
      ? undefined
      : {
          problem: "InvalidConcurrencyKey",
          message: `The concurrency key of task ${quote(id)}, ${quoteStart(concurrencyKey)}, is not valid: give it a key of 1 to 200 characters, without control characters.`
        },
  // Databases would round it, or could not store it.
  ({ id, priority }) =>
    priority === undefined || priority === null || Number.isSafeInteger(priority)
      ? undefined
      : {
          problem: "InvalidPriority",
          message: `The priority of task ${quote(id)} is ${priority}: give it a whole number.`
        },
  // JSON would write NaN as null, and leave out functions.
  ({ id, payload }) =>
    payload === undefined || payload === null || isJson(payload)
      ? undefined
      : { problem: "InvalidPayload", message: `The payload of task ${quote(id)} is not JSON: ${jsonValues}` },
  ({ id, metadata }) =>
    metadata === undefined || metadata === null || isJson(metadata)
      ? undefined
      : { problem: "InvalidMetadata", message: `The metadata of task ${quote(id)} is not JSON: ${jsonValues}` },
  ({ id, overrides }) =>
    overrides === undefined || overrides === null || areOverrides(overrides)
      ? undefined
      : {
          problem: "InvalidOverrides",
          message: `The overrides of task ${quote(id)} are not valid: numbers of attempts and milliseconds are whole.`
        }
]

/** Refusals of tasks with a field that no task can have. */
export const invalid = (tasks: ReadonlyArray<Fields>): ReadonlyArray<Refusal> => {
  const refusals: Array<Refusal> = []
  for (const task of tasks) {
    for (const check of checks) {
      const refusal = check(task)
      if (refusal !== undefined) refusals.push({ taskId: task.id, ...refusal })
    }
  }
  return refusals
}

/** What identifies the work of a task, as drivers compare it. */
const workOf = ({ description, payload, queue }: NewTask): string =>
  JSON.stringify([queue ?? defaultQueue, payload ?? null, (payload ?? null) === null ? description : null])

const detailsOf = (task: NewTask): string => JSON.stringify({ ...Codec.newTaskRow(task), availableAt: null })

/** The tasks of a call. */
interface Distinct {
  /** Each id once. */
  readonly tasks: ReadonlyArray<NewTask>
  /** One for each id that comes with two kinds of work. */
  readonly refusals: ReadonlyArray<Refusal>
  /** The ids that come with the same work and other details. */
  readonly different: ReadonlySet<TaskId>
}

/** A call's tasks, each id once. */
export const distinct = (tasks: ReadonlyArray<NewTask>): Distinct => {
  const byId = new Map<TaskId, NewTask>()
  const refusals: Array<Refusal> = []
  const different = new Set<TaskId>()
  for (const task of tasks) {
    const first = byId.get(task.id)
    if (first === undefined) byId.set(task.id, task)
    else if (workOf(first) !== workOf(task)) refusals.push(idInUse(task.id))
    else if (detailsOf(first) !== detailsOf(task)) different.add(task.id)
  }
  return { tasks: byId.size === tasks.length ? tasks : Array.from(byId.values()), refusals, different }
}

/**
 * Cycles among the tasks of one call. There are no others: the tasks in a store depend on nothing that is added later.
 * Runs in linear time and without recursion, because a chain can have a million tasks.
 */
export const cycles = (tasks: ReadonlyArray<NewTask>): ReadonlyArray<ReadonlyArray<TaskId>> => {
  const linked = tasks.filter(({ dependsOn }) => dependsOn !== undefined && dependsOn.length > 0)
  if (linked.length === 0) return []
  const ids = new Set(linked.map(({ id }) => id))
  const unmet = new Map<TaskId, Set<TaskId>>()
  const dependants = new Map<TaskId, Array<TaskId>>()
  const free: Array<TaskId> = []
  for (const { dependsOn, id } of linked) {
    const inner = new Set(dependsOn?.filter((dependency) => ids.has(dependency)))
    if (inner.size === 0) free.push(id)
    else unmet.set(id, inner)
    for (const dependency of inner) {
      const waiting = dependants.get(dependency)
      if (waiting === undefined) dependants.set(dependency, [id])
      else waiting.push(id)
    }
  }
  // `free` grows during the loop.
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
  // Each task that is left is on a cycle or depends on one, so following its remaining dependencies leads to a cycle.
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

/** A refusal for each task of a cycle. */
export const cycleRefusals = (cycle: ReadonlyArray<TaskId>): ReadonlyArray<Refusal> => {
  const shown = cycle.slice(0, longestShown).map(quote)
  const path = [...shown, ...(cycle.length > longestShown ? ["..."] : []), ...shown.slice(0, 1)].join(" on ")
  return cycle.map((taskId) => ({
    taskId,
    problem: "DependencyCycle",
    message: `Task ${quote(taskId)} waits for itself (${path}): take one of these dependencies out.`
  }))
}
