/**
 * A step of a workflow that waits for a person.
 *
 * The step adds a task, as a `TaskActivity` does, and the execution is suspended until a person has approved or edited the
 * result of the task, for minutes or for weeks. The task is then `in_review`, and people
 * decide with `baton review`, on the web page, or through `TaskStore.reviews`. A rejection with a comment starts another
 * attempt of the task, which gets the comment as feedback.
 *
 * **Example** (a report that a person approves before it is published)
 *
 * ```ts
 * import { Review, TaskActivity } from "@baton/adapters/workflow"
 * import { TaskQueue } from "@baton/core"
 * import { Effect, Schema } from "effect"
 * import { Workflow } from "effect/workflow"
 *
 * const Reports = TaskQueue.make({
 *   name: "reports",
 *   payload: Schema.Struct({ topic: Schema.String }),
 *   result: Schema.Struct({ text: Schema.String })
 * })
 *
 * export const worker = Reports.toLayer(({ topic }) => Effect.succeed({ text: `About ${topic}` }), { review: true })
 *
 * export const Publish = Workflow.make("Publish/1", {
 *   payload: { topic: Schema.String },
 *   idempotencyKey: ({ topic }) => topic,
 *   success: Schema.String,
 *   error: TaskActivity.Failed
 * })
 *
 * export const layer = Publish.toLayer(({ topic }) =>
 *   Effect.map(Review.gate(Reports, { name: "report", payload: { topic } }), ({ text }) => text)
 * )
 * ```
 *
 * @since 0.2.0
 */
import type { Task, TaskId } from "@baton/core/Task"
import type { TaskQueue } from "@baton/core/TaskQueue"
import { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as FiberMap from "effect/FiberMap"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Activity from "effect/workflow/Activity"
import * as DurableDeferred from "effect/workflow/DurableDeferred"
import * as Workflow from "effect/workflow/Workflow"
import { WorkflowEngine, WorkflowInstance } from "effect/workflow/WorkflowEngine"
import { executionOf, reachable, stepMetadata, withdraw } from "./internal/steps.ts"
import * as TaskActivity from "./TaskActivity.ts"

/**
 * Wakes the executions of this process whose tasks were decided.
 *
 * @category services
 * @since 0.2.0
 */
export class Review extends Context.Service<
  Review,
  {
    /** Wakes the execution that the token names once the task is settled. Repeating it changes nothing. */
    readonly watch: (taskId: TaskId, token: DurableDeferred.Token) => Effect.Effect<void>
  }
>()("@baton/adapters/workflow/Review") {}

/** Marks the tasks that an execution is suspended for. */
const gateKey = "gate"

const settledOf = (name: string) => DurableDeferred.make(`${name}/settled`)

/**
 * Adds a task whose result people review, suspends the execution until it is settled, and returns the result as it was approved
 * or edited. The worker of the queue sends results to review: `queue.toLayer(handler, { review: true })`.
 *
 * **Details**
 *
 * - A result that no person decided about fails the step, because the worker was started without `review`
 * - A task that a person gives up, one in the dead-letter queue and a cancelled one fail the step with `NoResult`
 * - When the execution is interrupted, or ends before the decision, the task is cancelled or given up
 *
 * @category constructors
 * @since 0.2.0
 */
export const gate = <Payload, Result>(
  queue: TaskQueue<Payload, Result>,
  { name, ...task }: TaskActivity.Options<Payload>
): Effect.Effect<Result, TaskActivity.Failed, Review | TaskStore | WorkflowEngine | WorkflowInstance> =>
  Effect.gen(function* () {
    const store = yield* TaskStore
    const review = yield* Review
    const { executionId, workflow } = yield* WorkflowInstance
    const id = TaskActivity.stepId(workflow, executionId, name)
    const taskId = queue.taskId(id)
    const metadata = { ...task.metadata, ...stepMetadata(workflow, executionId, name), [gateKey]: "review" }
    yield* Workflow.addFinalizer(() => Effect.ignore(withdraw(store, [taskId], workflow), { log: true }))
    yield* Activity.make({
      name: `${name}/add`,
      error: TaskActivity.Failed,
      execute: queue
        .add([{ ...task, id, metadata }])
        .pipe(reachable, Effect.asVoid, Effect.provideService(TaskStore, store))
    })
    const settled = settledOf(name)
    yield* review.watch(taskId, yield* DurableDeferred.token(settled))
    yield* DurableDeferred.await(settled)
    return yield* Activity.make({
      name,
      success: queue.resultSchema,
      error: TaskActivity.Failed,
      execute: reachable(reviewedResult(queue, id)).pipe(Effect.provideService(TaskStore, store))
    })
  })

/** The result of a settled task, which has to be one that a person decided about. */
const reviewedResult = Effect.fnUntraced(function* <Payload, Result>(queue: TaskQueue<Payload, Result>, id: string) {
  const result = yield* queue.await(id)
  const attempts = yield* TaskStore.use((store) => store.attempts(queue.taskId(id)))
  if (attempts.at(-1)?.verification?.decision !== undefined) return result
  return yield* new TaskActivity.NotReviewed({ queue: queue.name, id })
})

/** How often a process looks for executions whose own process died after the decision, and before it woke them. */
const lookEvery = "30 seconds"
const lookBack = "10 minutes"

/**
 * Wakes executions that wait at a gate. Each process with workflows has this layer.
 *
 * @category layers
 * @since 0.2.0
 */
export const layer: Layer.Layer<Review, never, TaskStore | WorkflowEngine> = Layer.effect(
  Review,
  Effect.gen(function* () {
    const store = yield* TaskStore
    const engine = yield* WorkflowEngine
    const watched = yield* FiberMap.make<DurableDeferred.Token>()

    /** An execution that is suspended continues, and waits again if it still has to. Others do not change. */
    const resume = (task: Task) => {
      const execution = executionOf(task)
      return execution === undefined ? Effect.void : engine.resume(execution.workflow, execution.executionId)
    }

    const resumeSettled = Effect.fnUntraced(function* (
      updatedSince: DateTime.Utc | undefined
    ): Effect.fn.Return<void, TaskStoreError> {
      for (const status of ["completed", "failed", "cancelled"] as const) {
        let cursor: string | undefined
        do {
          const page = yield* store.list({ metadata: { [gateKey]: "review" }, status, updatedSince, cursor })
          yield* Effect.forEach(page.tasks, resume, { discard: true, concurrency: 8 })
          cursor = page.next
        } while (cursor !== undefined)
      }
    })

    const lookAgain = Effect.flatMap(DateTime.now, (now) =>
      resumeSettled(DateTime.subtractDuration(now, lookBack))
    ).pipe(Effect.ignore({ log: true }), Effect.schedule(Schedule.spaced(lookEvery)))

    yield* Effect.forkScoped(Effect.andThen(reachable(resumeSettled(undefined)), lookAgain))

    return {
      watch: (taskId, token) =>
        reachable(store.awaitSettled(taskId)).pipe(
          Effect.andThen(DurableDeferred.succeed(settledOf(""), { token, value: undefined })),
          Effect.provideService(WorkflowEngine, engine),
          FiberMap.run(watched, token, { onlyIfMissing: true }),
          Effect.asVoid
        )
    }
  })
)
