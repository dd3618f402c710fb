import type { Attempt } from "@baton/core/Attempt"
import * as Execution from "@baton/core/Execution"
import { ExecutionError } from "@baton/core/ExecutionError"
import type { Metadata } from "@baton/core/Task"
import type { Usage } from "@baton/core/Usage"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type ModelError, OutputSchemaError } from "./ModelError.ts"
import type { OutputFormat } from "./MessageRequest.ts"
import type { Reply } from "./Reply.ts"
import { sourcesOf } from "./serverTools.ts"
import type { Dialect, OutputSchema } from "./Dialect.ts"
import { forRun } from "./forRun.ts"

/** The replies of one attempt: the last one, the text of all its turns, and their usage together. */
export interface Turns {
  readonly last: Reply
  readonly replies: ReadonlyArray<Reply>
  readonly text: string
  readonly usage?: Usage | undefined
  readonly maxTokens: number
  /** The models that did not answer before the one that did. */
  readonly passed: ReadonlyArray<string>
}

/** The execution for a reply, or the error, by the reason for which the reply ended. */
export const fromReply = (
  { last, maxTokens, passed, replies, text, usage }: Turns,
  structured: StructuredOutput | undefined,
  { who }: Dialect
): Effect.Effect<Execution.Execution, ExecutionError> => {
  const { billing, cached, model, refusal, requestId, stopReason } = last
  const metadata = {
    model,
    requestId,
    stopReason,
    cached,
    billing,
    ...toolMetadata(replies),
    ...(passed.length === 0 ? undefined : { fallbackFrom: passed })
  }

  const fail = (reason: ExecutionError["reason"], message: string, more?: Metadata) =>
    Effect.fail(
      new ExecutionError({
        reason,
        message,
        metadata: { ...metadata, ...more },
        ...(text === "" ? undefined : { output: text }),
        ...(usage === undefined ? undefined : { usage })
      })
    )

  switch (stopReason) {
    case "end_turn":
    case "stop_sequence":
      if (text.trim() === "") return fail("Failed", `${who} answered without any text.`)
      return structured === undefined
        ? Effect.succeed(Execution.make({ output: text, usage, metadata }))
        : Effect.matchEffect(structured.read(text), {
            onSuccess: (output) => Effect.succeed(Execution.make({ output, usage, metadata })),
            onFailure: (why) => fail("Failed", `${who}'s answer does not match the output schema: ${why}`)
          })
    case "refusal":
      return fail("Permanent", `${who} refused the task${refusal === null ? "" : ` (${refusal.replace(/\.$/, "")})`}.`)
    case "max_tokens":
      return fail(
        "Failed",
        `The answer was cut off at its maximum of ${maxTokens} tokens: make it shorter, or raise the maximum.`,
        { maxTokens }
      )
    case "model_context_window_exceeded":
      return fail("Permanent", `The task and its answer exceed the context window of ${model}: make the task smaller.`)
    case "tool_use":
      return fail("Permanent", `${who} tried to use a tool, but the request has no tools.`)
    case "pause_turn":
      return fail("Failed", `${who} paused its turn too often and did not finish.`)
    default:
      return fail("Failed", `${who} stopped in the middle, for a reason unknown to this version (${stopReason}).`)
  }
}

/** What the tools that the API runs were used for, where they were. */
const toolMetadata = (replies: ReadonlyArray<Reply>): Metadata => {
  const uses = replies.flatMap(({ toolUses }) => toolUses ?? [])
  const count = (name: "webSearches" | "webFetches" | "codeRuns") => {
    const sum = uses.reduce((sum, use) => sum + use[name], 0)
    return sum === 0 ? undefined : { [name]: sum }
  }
  const sources = sourcesOf(replies.flatMap(({ content }) => content))
  return {
    ...count("webSearches"),
    ...count("webFetches"),
    ...count("codeRuns"),
    ...(sources.length === 0 ? undefined : { sources })
  }
}

/** The limit at which the last of these attempts was cut off, if it was. */
export const truncatedAt = (attempts: ReadonlyArray<Attempt>): number | undefined => {
  const maxTokens = attempts.findLast(({ outcome }) => outcome === "retried")?.execution?.metadata["maxTokens"]
  return typeof maxTokens === "number" ? maxTokens : undefined
}

/** The error for a request without a reply. */
export const fromError = (
  error: ModelError,
  options: {
    readonly model: string
    /** Whether the task names the model itself, so that other tasks do not depend on it. */
    readonly isOwnModel: boolean
    /** The usage of the turns before it included. */
    readonly usage?: Usage | undefined
    readonly maxRetryAfter: Duration.Duration
  }
): ExecutionError => {
  const { isOwnModel, maxRetryAfter, model, usage } = options
  const { message, reason } = forRun(error, maxRetryAfter)
  return new ExecutionError({
    reason: isOwnModel && error.status === 404 ? "Permanent" : reason,
    message: error.status === 404 ? `${message} The requested model is ${model}.` : message,
    metadata: {
      model,
      type: error.type,
      ...(error.status === undefined ? undefined : { status: error.status }),
      ...(error.requestId === undefined ? undefined : { requestId: error.requestId })
    },
    ...(error.retryAfter === undefined ? undefined : { retryAfter: error.retryAfter }),
    ...(usage === undefined ? undefined : { usage }),
    cause: error
  })
}

export interface StructuredOutput {
  /** What the API constrains the model to. */
  readonly format: OutputFormat
  /** Validates an answer against the schema, and returns it as the schema encodes it. Fails with the problem. */
  readonly read: (text: string) => Effect.Effect<string, string>
}

/**
 * Prepares an output schema. The API supports only part of JSON Schema, so the schema it gets is an approximation, and
 * answers are decoded with the original one.
 */
export const makeStructuredOutput = Effect.fnUntraced(function* (
  schema: OutputSchema,
  { toCodec, who }: Dialect
): Effect.fn.Return<StructuredOutput, OutputSchemaError> {
  const { codec, jsonSchema } = yield* Effect.try({
    try: () => toCodec(schema),
    catch: (cause) => new OutputSchemaError({ message: schemaProblem(cause, who) })
  })
  if (jsonSchema.type !== "object") {
    return yield* new OutputSchemaError({
      message: "The output schema must be an object with named fields: wrap the current schema in a field of one."
    })
  }
  const plain = yield* Effect.mapError(
    Schema.decodeUnknownEffect(Schema.JsonObject)(jsonSchema),
    (error) => new OutputSchemaError({ message: schemaProblem(error, who) })
  )
  const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(codec))
  const encode = Schema.encodeUnknownEffect(Schema.fromJsonString(Schema.toCodecJson(schema)))
  return {
    format: { type: "json_schema", schema: plain },
    read: (text) => Effect.mapError(Effect.flatMap(decode(text), encode), ({ message }) => shorten(message))
  }
})

const schemaProblem = (cause: unknown, who: string): string => {
  const why = cause instanceof Error ? cause.message : String(cause)
  return /recursive/i.test(why)
    ? `The output schema refers to itself, which ${who}'s structured output does not support: give it a fixed depth.`
    : `${who}'s structured output does not support this output schema: ${shorten(why)}`
}

const shorten = (text: string) => (text.length <= 500 ? text : `${text.slice(0, 500)}…`)
