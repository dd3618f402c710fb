/** Failed tasks by cause. */
import * as FailureCause from "@baton/core/FailureCause"
import type { TaskId } from "@baton/core/Task"
import type { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Effect from "effect/Effect"
import { type Failures, limits, type Text } from "./model.ts"
import { read } from "./reading.ts"
import { cut } from "./views.ts"

const noFeedback = "no feedback"

const causeOf = (feedback: string | undefined): string => FailureCause.of(feedback ?? noFeedback)

interface Group {
  readonly queues: Set<string>
  readonly ids: Array<TaskId>
  readonly example: Text
  tasks: number
}

/** The failed tasks of a queue, or of all, by cause. */
export const failures = Effect.fnUntraced(function* (
  store: TaskStore["Service"],
  queue: string | undefined
): Effect.fn.Return<Failures, TaskStoreError> {
  const groups = new Map<string, Group>()
  const { kept, next } = yield* read(
    store,
    { status: "failed", queue, limit: limits.failures },
    ({ feedback, id, queue }) => {
      const cause = causeOf(feedback)
      let group = groups.get(cause)
      if (group === undefined) {
        const example = cut(feedback ?? noFeedback, limits.listedText)
        groups.set(cause, (group = { queues: new Set(), ids: [], example, tasks: 0 }))
      }
      group.tasks++
      group.queues.add(queue)
      if (group.ids.length < limits.idsPerCause) group.ids.push(id)
    }
  )
  return {
    causes: Array.from(groups, ([cause, { queues, ...group }]) => ({
      cause,
      ...group,
      queues: [...queues].sort()
    })).sort((left, right) => right.tasks - left.tasks),
    failed: kept.length,
    complete: next === undefined
  }
})

/** The ids of all failed tasks with this cause. */
export const withCause = Effect.fnUntraced(function* (
  store: TaskStore["Service"],
  { cause, queue }: { readonly cause: string; readonly queue?: string | undefined }
): Effect.fn.Return<ReadonlyArray<TaskId>, TaskStoreError> {
  const { kept } = yield* read(store, { status: "failed", queue, limit: Infinity }, ({ feedback, id }) =>
    causeOf(feedback) === cause ? id : undefined
  )
  return kept.filter((id) => id !== undefined)
})
