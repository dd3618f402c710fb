/**
 * Claude's answer to one request.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/**
 * What a request used, by kind of token. Their prices differ, so they are kept apart; a kind that the server leaves out is 0.
 *
 * @category models
 * @since 0.1.0
 */
export const Tokens = Schema.Struct({
  /** Neither read from nor written to the prompt cache. */
  input: Count,
  output: Count,
  cacheRead: Count,
  /** Kept by the prompt cache for five minutes. */
  cacheWrite5m: Count,
  /** Kept by the prompt cache for an hour. */
  cacheWrite1h: Count
})

/** @since 0.1.0 */
export interface Tokens extends Schema.Schema.Type<typeof Tokens> {}

/**
 * How a request is paid for: at the list price, or at half of it as part of a batch.
 *
 * @category models
 * @since 0.1.0
 */
export const Billing = Schema.Literals(["standard", "batch"])

/** @since 0.1.0 */
export type Billing = typeof Billing.Type

/**
 * A whole message: `message_stop` was seen, or the server sent it in one piece.
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
  /** All its blocks as they came, to be sent back when the turn goes on. */
  content: Schema.Array(Schema.JsonObject),
  /** `end_turn`, `max_tokens`, `stop_sequence`, `tool_use`, `pause_turn`, `refusal`, `model_context_window_exceeded`, or one that is newer than this code. */
  stopReason: Schema.String,
  /** Why it refused, where it says so. */
  refusal: Schema.NullOr(Schema.String),
  /** What this answer used; nothing when it came from the response cache. */
  tokens: Tokens,
  /** The server did not say what it used, so `tokens` lacks some of it and nobody knows the cost. */
  unmetered: Schema.optionalKey(Schema.Literal(true)),
  billing: Billing,
  /** The id to quote to the provider. */
  requestId: Schema.NullOr(Schema.String),
  /** Whether it came from the response cache and cost nothing. */
  cached: Schema.Boolean
})

/** @since 0.1.0 */
export interface Reply extends Schema.Schema.Type<typeof Reply> {}

/**
 * No tokens at all.
 *
 * @category constructors
 * @since 0.1.0
 */
export const noTokens: Tokens = { input: 0, output: 0, cacheRead: 0, cacheWrite5m: 0, cacheWrite1h: 0 }

/**
 * Adds up what two requests used.
 *
 * @category combinators
 * @since 0.1.0
 */
export const addTokens = (left: Tokens, right: Tokens): Tokens => ({
  input: left.input + right.input,
  output: left.output + right.output,
  cacheRead: left.cacheRead + right.cacheRead,
  cacheWrite5m: left.cacheWrite5m + right.cacheWrite5m,
  cacheWrite1h: left.cacheWrite1h + right.cacheWrite1h
})
