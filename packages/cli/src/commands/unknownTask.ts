/**
 * What is said of ids that name no task.
 *
 * @since 0.1.0
 */
import type { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Effect from "effect/Effect"
import { CommandFailed } from "../system/CommandFailed.ts"
import { safeText } from "../view/safeText.ts"
import { closeIds } from "./closeIds.ts"

/**
 * Fails with the ids, if there are any; one alone gets suggestions.
 *
 * @category errors
 * @since 0.1.0
 */
export const failOnUnknown = Effect.fnUntraced(function* (
  unknown: ReadonlyArray<string>
): Effect.fn.Return<void, CommandFailed | TaskStoreError, TaskStore> {
  const [id] = unknown
  if (id === undefined) return
  if (unknown.length > 1) {
    return yield* new CommandFailed({ message: `There are no tasks with the ids ${unknown.map(safeText).join(", ")}.` })
  }
  const close = (yield* closeIds(id)).map(safeText)
  const hint = close.length === 0 ? "`baton list` shows those there are." : `Did you mean ${close.join(" or ")}?`
  return yield* new CommandFailed({ message: `There is no task with the id ${safeText(id)}. ${hint}` })
})
