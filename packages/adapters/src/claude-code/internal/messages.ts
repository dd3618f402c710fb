import * as Schema from "effect/Schema"

// Only the fields that are used here, and few of them required: other versions print other fields, and null for some.
const nullable = <S extends Schema.Top>(schema: S) => Schema.optionalKey(Schema.NullOr(schema))

const Count = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))

const ModelUsage = Schema.Struct({
  inputTokens: nullable(Count),
  outputTokens: nullable(Count),
  cacheReadInputTokens: nullable(Count),
  cacheCreationInputTokens: nullable(Count),
  costUSD: nullable(Count),
  costBasis: nullable(Schema.String)
})

/** The last line of a session: its status, answer and cost. */
export const Result = Schema.Struct({
  type: Schema.Literal("result"),
  subtype: Schema.String,
  is_error: Schema.Boolean,
  result: nullable(Schema.String),
  structured_output: nullable(Schema.Json),
  session_id: nullable(Schema.String),
  num_turns: nullable(Schema.Finite),
  total_cost_usd: nullable(Count),
  modelUsage: nullable(Schema.Record(Schema.String, ModelUsage)),
  permission_denials: nullable(Schema.Array(Schema.Struct({ tool_name: nullable(Schema.String) }))),
  stop_reason: nullable(Schema.String),
  terminal_reason: nullable(Schema.String),
  api_error_status: nullable(Schema.Finite),
  api_error_type: nullable(Schema.String),
  api_error: nullable(Schema.String),
  errors: nullable(Schema.Array(Schema.String))
})

export interface Result extends Schema.Schema.Type<typeof Result> {}

/** The first line: the session and its model. */
const Init = Schema.Struct({
  type: Schema.Literal("system"),
  subtype: Schema.Literal("init"),
  session_id: Schema.String,
  model: nullable(Schema.String),
  claude_code_version: nullable(Schema.String)
})

/** The API did not answer, and Claude Code retries. */
const ApiRetry = Schema.Struct({
  type: Schema.Literal("system"),
  subtype: Schema.Literal("api_retry"),
  attempt: Schema.Finite,
  error_status: nullable(Schema.Finite)
})

/** The status of a subscription's usage limit. */
const RateLimitEvent = Schema.Struct({
  type: Schema.Literal("rate_limit_event"),
  rate_limit_info: Schema.Struct({
    status: Schema.String,
    /** Seconds since 1970. */
    resetsAt: nullable(Schema.Finite),
    rateLimitType: nullable(Schema.String)
  })
})

/** One message of the model, or a notice of Claude Code in its place, which has an `error`. */
const Assistant = Schema.Struct({
  type: Schema.Literal("assistant"),
  parent_tool_use_id: nullable(Schema.String),
  error: nullable(Schema.String),
  message: Schema.Struct({
    content: Schema.Array(Schema.Struct({ type: Schema.String, text: nullable(Schema.String) }))
  })
})

/** A line that is used here. */
export const Message = Schema.Union([Result, Init, ApiRetry, RateLimitEvent, Assistant])

export type Message = typeof Message.Type

export const decodeJson = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Unknown))

/** None for a line of another type or shape. */
export const decodeMessage = Schema.decodeUnknownOption(Message)
