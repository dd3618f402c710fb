import { isReadonlyArrayNonEmpty } from "effect/Array"
import * as Effect from "effect/Effect"
import type { NewTask, TaskId } from "@baton/core/Task"
import type { AddResult } from "@baton/core/TaskStore"
import { type Refusal, type TaskStoreError, TasksRefused } from "@baton/core/TaskStoreError"
import * as Replies from "./replies.ts"
import * as Rows from "./rows.ts"
import * as Texts from "./texts.ts"

/** The answer of the script: which tasks are there already, and which have to be refused, by index. */
interface Answer {
  readonly existing: ReadonlySet<number>
  readonly refusals: ReadonlyArray<{ readonly index: number; readonly unknown: ReadonlyArray<TaskId> }>
}

export const readAnswer = (existing: Replies.Reply, refusals: Replies.Reply): Answer => ({
  existing: new Set(Replies.array(existing).map(Replies.number)),
  refusals: Replies.array(refusals).map((refusal) => {
    const [index, ...unknown] = Replies.array(refusal)
    return { index: Replies.number(index), unknown: unknown.map((id) => Texts.id(Replies.text(id))) }
  })
})

type Mode = "add" | "check"

/**
 * Adds tasks: in one call, unless the tasks alone show that some may have to be refused. Then that is looked into first, so
 * that every problem is named at once.
 */
export const add = Effect.fnUntraced(function* (
  tasks: ReadonlyArray<NewTask>,
  call: (mode: Mode, parameters: ReadonlyArray<string>) => Effect.Effect<Answer, TaskStoreError>
): Effect.fn.Return<AddResult, TaskStoreError | TasksRefused> {
  const { distinct, refusals: twice } = once(tasks)
  const circles = cycles(distinct)
  const parameters = encode(distinct)
  if (twice.length > 0 || circles.length > 0) {
    const found = yield* call("check", parameters)
    const fresh = distinct.filter((_, index) => !found.existing.has(index))
    const refusals = [...twice, ...explain(distinct, found), ...cycles(fresh).flatMap(cycleRefusals)]
    if (isReadonlyArrayNonEmpty(refusals)) return yield* new TasksRefused({ refusals })
  }
  const answer = yield* call("add", parameters)
  const refusals = explain(distinct, answer)
  if (isReadonlyArrayNonEmpty(refusals)) return yield* new TasksRefused({ refusals })
  return {
    added: distinct.flatMap(({ id }, index) => (answer.existing.has(index) ? [] : id)),
    existing: answer.existing.size
  }
})

const quote = (id: TaskId) => JSON.stringify(id)

const idInUse = (taskId: TaskId): Refusal => ({
  taskId,
  problem: "IdInUse",
  message: `The id ${quote(taskId)} belongs to a task with another description: give one of them another id.`
})

/** Each id once; refused is one that comes with several descriptions. */
const once = (tasks: ReadonlyArray<NewTask>) => {
  const byId = new Map<TaskId, NewTask>()
  const refusals: Array<Refusal> = []
  for (const task of tasks) {
    const known = byId.get(task.id)
    if (known === undefined) byId.set(task.id, task)
    else if (known.description !== task.description) refusals.push(idInUse(task.id))
  }
  return { distinct: Array.from(byId.values()), refusals }
}

/** What `add` in `lua/adding.ts` takes. */
const encode = (tasks: ReadonlyArray<NewTask>): ReadonlyArray<string> => {
  const here = new Set(tasks.map(({ id }) => id))
  return tasks.flatMap((task) => {
    const { head, lines } = Rows.inputs(task)
    const dependencies = new Set(task.dependsOn)
    return [
      Texts.key(task.id),
      lines,
      String(head),
      String(task.priority ?? 0),
      task.availableAt === undefined ? "" : Texts.millis(task.availableAt.epochMilliseconds),
      String(dependencies.size),
      ...Array.from(dependencies, (id) => (here.has(id) ? "+" : "-") + Texts.key(id))
    ]
  })
}

const explain = (tasks: ReadonlyArray<NewTask>, { refusals }: Answer): ReadonlyArray<Refusal> =>
  refusals.flatMap(({ index, unknown }): ReadonlyArray<Refusal> => {
    const task = tasks[index]
    if (task === undefined) return []
    if (unknown.length === 0) return [idInUse(task.id)]
    const message = `Task ${quote(task.id)} depends on ${unknown.map(quote).join(", ")}, which is not there: add it before, or together with it.`
    return [{ taskId: task.id, problem: "UnknownDependency", message }]
  })

/** Cycles among the tasks of one call. There can be no other: what is in the store depends on nothing that is new. */
const cycles = (tasks: ReadonlyArray<NewTask>): ReadonlyArray<ReadonlyArray<TaskId>> => {
  const linked = tasks.filter(({ dependsOn }) => dependsOn !== undefined && dependsOn.length > 0)
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
