/**
 * A step of a workflow that is a task of a typed queue.
 *
 * The engine of `effect/workflow` may execute a step again, after a crash or when another machine takes over an execution.
 * Work that costs money must not be repeated with it. So the step only adds a task and waits until it is settled. The id of
 * the task consists of the execution and the name of the step: a step that is executed again finds the task that it added
 * before, and a worker of the queue does the work, under a lease, with retries, verification and budgets.
 *
 * **Example** (two steps)
 *
 * ```ts
 * import { TaskActivity } from "@baton/adapters/workflow"
 * import { TaskQueue } from "@baton/core"
 * import { Effect, Schema } from "effect"
 * import { Workflow } from "effect/workflow"
 *
 * const Pages = TaskQueue.make({
 *   name: "pages",
 *   payload: Schema.Struct({ url: Schema.String }),
 *   result: Schema.Struct({ text: Schema.String })
 * })
 * const Summaries = TaskQueue.make({
 *   name: "summaries",
 *   payload: Schema.Struct({ text: Schema.String }),
 *   result: Schema.Struct({ summary: Schema.String })
 * })
 *
 * // The version is part of the tag: an execution continues with the steps with which it began.
 * export const Summarise = Workflow.make("Summarise/1", {
 *   payload: { url: Schema.String },
 *   idempotencyKey: ({ url }) => url,
 *   success: Schema.String,
 *   error: TaskActivity.Failed
 * })
 *
 * export const layer = Summarise.toLayer(({ url }) =>
 *   Effect.gen(function* () {
 *     const { text } = yield* TaskActivity.make(Pages, { name: "fetch", payload: { url } })
 *     const { summary } = yield* TaskActivity.make(Summaries, { name: "summarise", payload: { text } })
 *     return summary
 *   })
 * )
 * ```
 *
 * @since 0.2.0
 */
import type { TaskId } from "@baton/core/Task"
import { InvalidPayload, type NewQueueTask, NoResult, type TaskQueue } from "@baton/core/TaskQueue"
import { TaskStore } from "@baton/core/TaskStore"
import { type TaskStoreError, TasksRefused } from "@baton/core/TaskStoreError"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Activity from "effect/workflow/Activity"
import * as Workflow from "effect/workflow/Workflow"
import { WorkflowEngine, WorkflowInstance } from "effect/workflow/WorkflowEngine"
import { isInterrupted } from "./internal/children.ts"
import { reachable, stepMetadata, withdraw } from "./internal/steps.ts"

/**
 * The task of a `Review.gate` was completed, and no person reviewed its result.
 *
 * @category errors
 * @since 0.2.0
 */
export class NotReviewed extends Schema.TaggedError<NotReviewed>()("NotReviewed", {
  queue: Schema.String,
  /** The task's id within its queue. */
  id: Schema.String
}) {
  override get message(): string {
    return `Task "${this.id}" of the queue "${this.queue}" was completed, and no person reviewed it. Start the worker of the queue with { review: true }.`
  }
}

/**
 * Why a step has no result: its task failed, was cancelled or deleted, its payload does not fit the queue, its id belongs to
 * another task, as when a workflow was edited while it ran, or it was completed without the review that the step waits for.
 *
 * @category errors
 * @since 0.2.0
 */
export const Failed = Schema.Union([NoResult, InvalidPayload, TasksRefused, NotReviewed])

/** @since 0.2.0 */
export type Failed = typeof Failed.Type

/**
 * The task of a step.
 *
 * @category models
 * @since 0.2.0
 */
export interface Options<Payload> extends Omit<NewQueueTask<Payload>, "id"> {
  /** The name of the step: unique in its workflow, and the same each time that the workflow is executed. */
  readonly name: string
}

/**
 * Adds the task of a step and returns its result. All steps that wait in a process are watched together.
 *
 * **Details**
 *
 * - A task in the dead-letter queue, a cancelled one and one that was deleted fail the step with `NoResult`, which the workflow
 *   can handle like any error
 * - When the workflow ends before the step does, because another step failed or the execution was interrupted, the task is
 *   cancelled
 * - While the store cannot be reached, the step waits
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = <Payload, Result>(
  queue: TaskQueue<Payload, Result>,
  { name, ...task }: Options<Payload>
): Effect.Effect<Result, Failed, TaskStore | WorkflowEngine | WorkflowInstance> =>
  Effect.gen(function* () {
    const store = yield* TaskStore
    const engine = yield* WorkflowEngine
    const instance = yield* WorkflowInstance
    const { executionId, workflow } = instance
    const id = stepId(workflow, executionId, name)
    const metadata = { ...task.metadata, ...stepMetadata(workflow, executionId, name) }
    let isDone = false
    yield* Workflow.addFinalizer(() =>
      isDone ? Effect.void : Effect.ignore(store.cancel({ ids: [queue.taskId(id)] }), { log: true })
    )
    const execute = Effect.andThen(queue.add([{ ...task, id, metadata }]), queue.await(id))
    const step = Activity.make({
      name,
      success: queue.resultSchema,
      error: Failed,
      execute: Effect.provideService(reachable(execute), TaskStore, store)
    })
    // An interruption also cancels the task. The execution ends by the interruption, whichever is noticed first.
    const result = yield* Effect.catch(step, (error) =>
      Effect.flatMap(isInterrupted(engine, instance), (interrupted) =>
        interrupted && !instance.interrupted ? Workflow.suspend(instance) : Effect.fail(error)
      )
    )
    isDone = true
    return result
  })

/**
 * The id that the task of a step has within its queue.
 *
 * @category getters
 * @since 0.2.0
 */
export const stepId = (workflow: Workflow.Any, executionId: string, name: string): string =>
  `${workflow._tag}/${executionId}/${name}`

/**
 * Interrupts an execution and the executions that it executes, cancels the tasks of their steps, and gives up those that wait for
 * a review. Executions that were started with `detached` continue. An execution that has ended does not change.
 *
 * @category combinators
 * @since 0.2.0
 */
export const interrupt = Effect.fnUntraced(function* (
  workflow: Workflow.Any,
  executionId: string
): Effect.fn.Return<void, TaskStoreError, TaskStore | WorkflowEngine> {
  const store = yield* TaskStore
  const engine = yield* WorkflowEngine
  yield* engine.interruptUnsafe(workflow, executionId)
  const ids: Array<TaskId> = []
  let cursor: string | undefined
  do {
    const page = yield* store.list({ metadata: { workflow: workflow._tag, execution: executionId }, cursor })
    for (const { id } of page.tasks) ids.push(id)
    cursor = page.next
  } while (cursor !== undefined)
  if (ids.length > 0) yield* withdraw(store, ids, workflow)
})
