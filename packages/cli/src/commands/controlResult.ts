/** Requests to every run on a store. */
import { type ControlRequest, TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** The state after a request. */
export const ControlResult = Schema.Struct({
  paused: Schema.Boolean,
  /** Tasks in progress. */
  running: Schema.Int,
  pending: Schema.Int
})

export interface ControlResult extends Schema.Schema.Type<typeof ControlResult> {}

/** Sends a request. */
export const controlResult = Effect.fnUntraced(function* (
  request: ControlRequest
): Effect.fn.Return<ControlResult, TaskStoreError, TaskStore> {
  const store = yield* TaskStore
  const { paused } = yield* store.request(request)
  const counts = yield* store.counts
  return { paused, running: counts.in_progress, pending: counts.pending }
})
