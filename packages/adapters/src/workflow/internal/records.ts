/** Executions of workflows as the task store has them. Nothing in here needs an engine. */
import { idInQueue, isTerminal, localId, type Metadata, type NewTask, type Task, type TaskId } from "@baton/core/Task"
import { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Effect from "effect/Effect"
import type { Json } from "effect/Schema"
import { withdraw } from "./steps.ts"

const prefix = "@workflow/"

/**
 * The queue with the executions of a workflow.
 *
 * @category getters
 * @since 0.2.0
 */
export const queueOf = (workflow: string): string => `${prefix}${workflow}`

/**
 * The workflow whose executions are in a queue; undefined for other queues.
 *
 * @category getters
 * @since 0.2.0
 */
export const workflowOf = (queue: string): string | undefined =>
  queue.startsWith(prefix) ? queue.slice(prefix.length) : undefined

/** The task of an execution. `parent` is the metadata of a step of the execution that executes it. */
export const taskOf = (
  { _tag }: { readonly _tag: string },
  executionId: string,
  payload: Json,
  parent: Metadata = {}
): NewTask => ({
  id: idInQueue(queueOf(_tag), executionId),
  queue: queueOf(_tag),
  description: `${_tag} ${JSON.stringify(payload)}`,
  payload,
  metadata: parent
})

/**
 * A step of an execution, which is a task. An execution that a workflow executes itself is a step of it, whose name is that of its
 * workflow.
 *
 * @category models
 * @since 0.2.0
 */
export interface Step {
  readonly name: string
  readonly task: Task
  /** 0 for the steps of the execution itself, 1 for those of an execution among them, and so on. */
  readonly depth: number
}

/** How many executions among the steps are shown with their own steps: each needs a request to the store. */
const maxUnfolded = 100

/**
 * The steps of an execution that are tasks, in the order in which they began, without results, which can be large. Those of an
 * execution among them follow it, for the first 100 executions.
 *
 * @category getters
 * @since 0.2.0
 */
export const steps = Effect.fnUntraced(function* (
  workflow: string,
  executionId: string
): Effect.fn.Return<ReadonlyArray<Step>, TaskStoreError, TaskStore> {
  const store = yield* TaskStore
  const found: Array<Step> = []
  const unfolded = new Set<string>()
  const add = (workflow: string, execution: string, depth: number): Effect.Effect<void, TaskStoreError> =>
    Effect.gen(function* () {
      let cursor: string | undefined
      do {
        const page = yield* store.list({ metadata: { workflow, execution }, results: false, cursor })
        for (const task of page.tasks) {
          found.push({ name: nameOf(task), task, depth })
          const child = workflowOf(task.queue)
          if (child === undefined || unfolded.has(task.id) || unfolded.size === maxUnfolded) continue
          unfolded.add(task.id)
          yield* add(child, localId(task), depth + 1)
        }
        cursor = page.next
      } while (cursor !== undefined)
    })
  yield* add(workflow, executionId, 0)
  return found
})

const nameOf = (task: Task): string => {
  const { step } = task.metadata
  return typeof step === "string" ? step : localId(task)
}

/**
 * Cancels an execution, the executions that it executes, and the tasks of their steps, and gives up those that wait for a review. Returns whether it was cancelled:
 * one that has ended does not change. A process with workflows then interrupts the execution.
 *
 * @category combinators
 * @since 0.2.0
 */
export const cancel = Effect.fnUntraced(function* (
  workflow: string,
  executionId: string
): Effect.fn.Return<boolean, TaskStoreError, TaskStore> {
  const store = yield* TaskStore
  const changed = yield* store.cancel({ ids: [idInQueue(queueOf(workflow), executionId)] })
  if (changed.length === 0) return false
  const ids = (yield* steps(workflow, executionId)).map(({ task }) => task.id)
  if (ids.length > 0) yield* withdraw(store, ids, { _tag: workflow })
  return true
})

/** Cancels the executions that an execution executes itself and that have not ended. Detached ones do not belong to it. */
export const cancelWithin = Effect.fnUntraced(function* (
  workflow: string,
  executionId: string
): Effect.fn.Return<void, TaskStoreError, TaskStore> {
  const store = yield* TaskStore
  for (const status of ["pending", "in_progress"] as const) {
    let cursor: string | undefined
    do {
      const page = yield* store.list({ metadata: { workflow, execution: executionId }, status, results: false, cursor })
      for (const task of page.tasks) {
        const child = workflowOf(task.queue)
        if (child !== undefined) yield* cancel(child, localId(task))
      }
      cursor = page.next ?? undefined
    } while (cursor !== undefined)
  }
})

/**
 * What an execution waits for.
 *
 * - `worker`: a process with workflows begins it
 * - `steps`: the tasks of its steps end
 * - `workflow`: its own code continues, such as after a timer or when a child has ended
 *
 * @category models
 * @since 0.2.0
 */
export type WaitsFor =
  | { readonly _tag: "worker" }
  | { readonly _tag: "steps"; readonly ids: ReadonlyArray<TaskId> }
  | { readonly _tag: "workflow" }

/**
 * What an execution waits for; null if it has ended.
 *
 * @category getters
 * @since 0.2.0
 */
export const waitsFor = (execution: Task, steps: ReadonlyArray<Step>): WaitsFor | null => {
  if (isTerminal(execution.status)) return null
  const ids = steps.filter(({ depth, task }) => depth === 0 && !isTerminal(task.status)).map(({ task }) => task.id)
  if (ids.length > 0) return { _tag: "steps", ids }
  return execution.status === "pending" ? { _tag: "worker" } : { _tag: "workflow" }
}
