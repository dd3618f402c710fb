/**
 * The errors of the HTTP API. Each one is a JSON object with a `message` for a person, and has its own status code.
 *
 * @since 0.1.0
 */
import { optionalNullOr } from "@baton/core/OptionalKey"
import { TaskStatus } from "@baton/core/Task"
import { Refusal } from "@baton/core/TaskStoreError"
import { AuditFinding, Decision } from "@baton/core/Verification"
import * as Schema from "effect/Schema"

const fields = {
  /** A sentence for a person: the event and the expectation. */
  message: Schema.String
}

/**
 * The request is not one of this API.
 *
 * @category errors
 * @since 0.1.0
 */
export class BadRequest extends Schema.TaggedError<BadRequest>()("BadRequest", fields, { httpApiStatus: 400 }) {}

/**
 * The token is missing or unknown.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unauthorized extends Schema.TaggedError<Unauthorized>()("Unauthorized", fields, { httpApiStatus: 401 }) {}

/**
 * The request comes from another site or from an address that needs a token.
 *
 * @category errors
 * @since 0.1.0
 */
export class Forbidden extends Schema.TaggedError<Forbidden>()("Forbidden", fields, { httpApiStatus: 403 }) {}

/**
 * The server refuses every change.
 *
 * @category errors
 * @since 0.1.0
 */
export class ReadOnly extends Schema.TaggedError<ReadOnly>()("ReadOnly", fields, { httpApiStatus: 403 }) {}

/**
 * The role of the token does not include this.
 *
 * @category errors
 * @since 0.2.0
 */
export class NotAllowed extends Schema.TaggedError<NotAllowed>()("NotAllowed", fields, { httpApiStatus: 403 }) {}

/**
 * No endpoint or file has this path.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotFound extends Schema.TaggedError<NotFound>()("NotFound", fields, { httpApiStatus: 404 }) {}

/**
 * No task has this id, or its attempt has no output.
 *
 * @category errors
 * @since 0.1.0
 */
export class TaskNotFound extends Schema.TaggedError<TaskNotFound>()("TaskNotFound", fields, { httpApiStatus: 404 }) {}

/**
 * No task was added, because these were refused.
 *
 * @category errors
 * @since 0.1.0
 */
export class TasksRefused extends Schema.TaggedError<TasksRefused>()(
  "TasksRefused",
  { ...fields, refusals: Schema.Array(Refusal) },
  { httpApiStatus: 409 }
) {}

/**
 * The task is not in review, or another person has already decided about the output. Nothing was changed.
 *
 * @category errors
 * @since 0.2.0
 */
export class NotInReview extends Schema.TaggedError<NotInReview>()(
  "NotInReview",
  {
    ...fields,
    status: TaskStatus,
    /** The decision and the person who made it, if there is one. */
    decision: optionalNullOr(Decision)
  },
  { httpApiStatus: 409 }
) {}

/**
 * The attempt has no verdict to audit, or another person has already audited it. Nothing was changed.
 *
 * @category errors
 * @since 0.2.0
 */
export class NotAudited extends Schema.TaggedError<NotAudited>()(
  "NotAudited",
  {
    ...fields,
    /** The finding of another person, if the attempt has one. */
    audit: optionalNullOr(AuditFinding)
  },
  { httpApiStatus: 409 }
) {}

/**
 * The body of the request is too large.
 *
 * @category errors
 * @since 0.1.0
 */
export class BodyTooLarge extends Schema.TaggedError<BodyTooLarge>()("BodyTooLarge", fields, { httpApiStatus: 413 }) {}

/**
 * The body of the request is not JSON.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnsupportedMediaType extends Schema.TaggedError<UnsupportedMediaType>()("UnsupportedMediaType", fields, {
  httpApiStatus: 415
}) {}

/**
 * The server failed in a way that it does not expect. Its log has the cause.
 *
 * @category errors
 * @since 0.1.0
 */
export class InternalError extends Schema.TaggedError<InternalError>()("InternalError", fields, {
  httpApiStatus: 500
}) {}

/**
 * The store cannot do this: it is damaged, read-only or of another version, or the request exceeds its limits.
 *
 * @category errors
 * @since 0.1.0
 */
export class StoreUnusable extends Schema.TaggedError<StoreUnusable>()("StoreUnusable", fields, {
  httpApiStatus: 500
}) {}

/**
 * The store cannot be reached or is busy; a later request may succeed.
 *
 * @category errors
 * @since 0.1.0
 */
export class StoreUnavailable extends Schema.TaggedError<StoreUnavailable>()("StoreUnavailable", fields, {
  httpApiStatus: 503
}) {}
