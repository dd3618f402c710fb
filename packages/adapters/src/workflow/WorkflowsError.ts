import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * The storage of an engine cannot be used. The message says why, and what to do.
 *
 * @category errors
 * @since 0.2.0
 */
export class WorkflowsError extends Schema.TaggedError<WorkflowsError>()("WorkflowsError", {
  message: Schema.String,
  cause: Schema.Defect()
}) {}

export const unusable = (cause: unknown): Effect.Effect<never, WorkflowsError> =>
  Effect.fail(new WorkflowsError({ message: `The engine for workflows cannot start: ${reasonOf(cause)}`, cause }))

/** The innermost message: the outer ones say only that something failed. */
export const reasonOf = (cause: unknown): string => {
  let message = String(cause)
  let next: unknown = cause
  for (let depth = 0; depth < 8 && typeof next === "object" && next !== null; depth++) {
    if ("message" in next && typeof next.message === "string" && next.message !== "") message = next.message
    next = "cause" in next ? next.cause : "reason" in next ? next.reason : undefined
  }
  return message
}
