/** What steps of workflows have in common: their metadata, waiting for an unreachable store, and withdrawing their tasks. */
import type { Metadata, TaskId } from "@baton/core/Task"
import type { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Workflow from "effect/workflow/Workflow"

export const stepMetadata = (workflow: Workflow.Any, executionId: string, name: string): Metadata => ({
  workflow: workflow._tag,
  execution: executionId,
  step: name
})

/** The execution that a task is a step of. */
export const executionOf = ({ metadata }: { readonly metadata: Metadata }) =>
  typeof metadata["workflow"] === "string" && typeof metadata["execution"] === "string"
    ? { workflow: nameOnly(metadata["workflow"]), executionId: metadata["execution"] }
    : undefined

/** The engine knows the workflow of an execution by its name. */
const nameOnly = (tag: string): Workflow.Any => Workflow.make(tag, { payload: {}, idempotencyKey: () => "" })

/** While the store cannot be reached, a workflow waits. */
const untilReachable = Schedule.jittered(
  Schedule.min([Schedule.exponential("250 millis"), Schedule.spaced("10 seconds")])
)

export const reachable = <A, E, R>(effect: Effect.Effect<A, E | TaskStoreError, R>) =>
  effect.pipe(
    Effect.tapError((error) =>
      isStoreError(error)
        ? Effect.logWarning("A step of a workflow waits for its store", error.message).pipe(
            Effect.annotateLogs({ module: "TaskActivity" })
          )
        : Effect.void
    ),
    Effect.retry({ schedule: untilReachable, while: isStoreError }),
    Effect.catchIf(isStoreError, Effect.die)
  )

const isStoreError = (error: unknown): error is TaskStoreError =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === "TaskStoreError"

/** Cancels tasks, and gives up those in review. Settled tasks do not change. */
export const withdraw = Effect.fnUntraced(function* (
  store: Context.Service.Shape<typeof TaskStore>,
  ids: ReadonlyArray<TaskId>,
  workflow: Pick<Workflow.Any, "_tag">
): Effect.fn.Return<void, TaskStoreError> {
  yield* store.cancel({ ids })
  if (store.reviews === undefined) return
  yield* store.reviews.decide(
    ids.map((taskId) => ({
      _tag: "Reject",
      taskId,
      by: workflow._tag,
      comment: "The execution of the workflow has ended.",
      giveUp: true
    }))
  )
  // A person may have rejected an output in between, which makes its task pending.
  yield* store.cancel({ ids })
})
