/**
 * Claude's answer to one request.
 *
 * @since 0.1.0
 */
import { optionalNullOr } from "@baton/core/OptionalKey"
import { Usage } from "@baton/core/Usage"
import * as Schema from "effect/Schema"

/**
 * How a request is billed: at the list price, or at half of it as part of a batch.
 *
 * @category models
 * @since 0.1.0
 */
export const Billing = Schema.Literals(["standard", "batch"])

/** @since 0.1.0 */
export type Billing = typeof Billing.Type

/**
 * A whole message: `message_stop` arrived, or the server sent the message in one piece.
 *
 * @category models
 * @since 0.1.0
 */
export const Reply = Schema.Struct({
  /** The message's id. */
  id: Schema.String,
  /** The model that answered. */
  model: Schema.String,
  /** Its text blocks, joined. */
  text: Schema.String,
  /** All its blocks, unchanged, to be sent back when the turn continues. */
  content: Schema.Array(Schema.JsonObject),
  /** `end_turn`, `max_tokens`, `stop_sequence`, `tool_use`, `pause_turn`, `refusal`, `model_context_window_exceeded`, or a newer one. */
  stopReason: Schema.String,
  /** Why it refused, where the API gives a reason. */
  refusal: Schema.NullOr(Schema.String),
  /** What this answer used: zero when it came from the response cache. Absent when the server did not count it. */
  usage: optionalNullOr(Usage),
  billing: Billing,
  /** How often it used the tools that the API runs; absent where it used none. */
  toolUses: Schema.optionalKey(
    Schema.Struct({ webSearches: Schema.Int, webFetches: Schema.Int, codeRuns: Schema.Int })
  ),
  /** The sandbox that a continued turn needs again. */
  container: Schema.optionalKey(Schema.String),
  /** Where the model ran, as the API reports it. */
  inferenceGeo: Schema.optionalKey(Schema.NullOr(Schema.String)),
  /** The id to quote to the provider. */
  requestId: Schema.NullOr(Schema.String),
  /** Whether it came from the response cache and cost nothing. */
  cached: Schema.Boolean
})

/** @since 0.1.0 */
export interface Reply extends Schema.Schema.Type<typeof Reply> {}
