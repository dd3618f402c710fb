/**
 * The errors of the adapters that send requests to a model's API.
 *
 * @since 0.1.0
 */
import { optionalNullOr } from "@baton/core/OptionalKey"
import { Usage } from "@baton/core/Usage"
import type { Duration } from "effect/Duration"
import * as Schema from "effect/Schema"

/**
 * A request failed. `reason` has the meaning that it has in `ExecutionError`:
 *
 * - `Transient`: rate limit, overload, network, a stream that broke off: the same request may work later
 * - `TimedOut`: no answer in time
 * - `Failed`: an answer that cannot be used
 * - `Permanent`: this request will never work (400, 404, 413, a prompt over the context window)
 * - `Fatal`: no request will work (no key, wrong key, spend limit, billing)
 *
 * @category errors
 * @since 0.1.0
 */
export class ModelError extends Schema.TaggedError<ModelError>()("ModelError", {
  reason: Schema.Literals(["Transient", "TimedOut", "Failed", "Permanent", "Fatal"]),
  /** The API's error type (`rate_limit_error`, `overloaded_error`), or one of this package (`network`, `idle`, `truncated`). */
  type: Schema.String,
  /** One sentence for a person; it never contains the key. */
  message: Schema.String,
  status: Schema.optionalKey(Schema.Int),
  requestId: Schema.optionalKey(Schema.String),
  retryAfter: Schema.optionalKey(Schema.Duration),
  /** What the request used. Absent when that is unknown, because it broke off after the server began to answer. */
  usage: optionalNullOr(Usage),
  cause: Schema.optionalKey(Schema.Defect())
}) {
  /** The same error with some other fields. */
  with(fields: {
    readonly reason?: ModelError["reason"]
    readonly message?: string
    readonly retryAfter?: Duration
    readonly usage?: Usage | undefined
  }): ModelError {
    return new ModelError({
      reason: this.reason,
      type: this.type,
      message: this.message,
      ...(this.status === undefined ? undefined : { status: this.status }),
      ...(this.requestId === undefined ? undefined : { requestId: this.requestId }),
      ...(this.retryAfter === undefined ? undefined : { retryAfter: this.retryAfter }),
      usage: this.usage,
      ...(this.cause === undefined ? undefined : { cause: this.cause }),
      ...fields
    })
  }
}

/**
 * Structured output cannot express this schema: its root is not an object, or it refers to itself.
 *
 * @category errors
 * @since 0.1.0
 */
export class OutputSchemaError extends Schema.TaggedError<OutputSchemaError>()("OutputSchemaError", {
  /** One sentence for a person: what cannot be expressed, and what to do instead. */
  message: Schema.String
}) {}

/**
 * The file of a response cache cannot be opened, read or written.
 *
 * @category errors
 * @since 0.1.0
 */
export class ResponseCacheError extends Schema.TaggedError<ResponseCacheError>()("ResponseCacheError", {
  /** One sentence for a person, with the remedy. */
  message: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {}
