/**
 * Why a request to Claude brought no answer.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Tokens } from "./Reply.ts"

/**
 * A request failed. `reason` says what it means for a task, in the sense of `ExecutionError`:
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
export class ClaudeError extends Schema.TaggedError<ClaudeError>()("ClaudeError", {
  reason: Schema.Literals(["Transient", "TimedOut", "Failed", "Permanent", "Fatal"]),
  /** The API's own word (`rate_limit_error`, `overloaded_error`), or ours where it sends none (`network`, `idle`, `truncated`). */
  type: Schema.String,
  /** One sentence for a person; it holds no key. */
  message: Schema.String,
  status: Schema.optionalKey(Schema.Int),
  requestId: Schema.optionalKey(Schema.String),
  retryAfter: Schema.optionalKey(Schema.Duration),
  /** What it used all the same: `null` when nobody can say, because it broke off after the server began to answer. */
  tokens: Schema.NullOr(Tokens),
  cause: Schema.optionalKey(Schema.Defect())
}) {}
