import * as AnthropicStructuredOutput from "effect/ai/AnthropicStructuredOutput"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { MessageRequest } from "../../MessageRequest.ts"
import { OutputSchemaError } from "../../ClaudeError.ts"

type Format = NonNullable<NonNullable<MessageRequest["output_config"]>["format"]>

/** A schema for outputs: anything that can be written as JSON without help. */
export type OutputSchema = Schema.ConstraintCodec<unknown, unknown>

export interface Structured {
  /** What the API holds the model to. */
  readonly format: Format
  /** Checks an answer against the schema itself, and writes it as the schema encodes it. Fails with what is wrong. */
  readonly read: (text: string) => Effect.Effect<string, string>
}

/**
 * What a schema means to the API. The API knows fewer rules than schemas do and a few shapes not at all, so what it is
 * sent is an approximation: answers are decoded with the schema here, and encoded again as it would encode them.
 */
export const make = Effect.fnUntraced(function* (
  schema: OutputSchema
): Effect.fn.Return<Structured, OutputSchemaError> {
  const { codec, jsonSchema } = yield* Effect.try({
    try: () => AnthropicStructuredOutput.toCodecAnthropic(schema),
    catch: (cause) => new OutputSchemaError({ message: sentence(cause) })
  })
  if (jsonSchema.type !== "object") {
    return yield* new OutputSchemaError({
      message: "The schema for outputs has to be an object with named fields: put what it is now into a field of one."
    })
  }
  const plain = yield* Effect.mapError(
    Schema.decodeUnknownEffect(Schema.JsonObject)(jsonSchema),
    (error) => new OutputSchemaError({ message: sentence(error) })
  )
  const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(codec))
  const encode = Schema.encodeUnknownEffect(Schema.fromJsonString(Schema.toCodecJson(schema)))
  return {
    format: { type: "json_schema", schema: plain },
    read: (text) => Effect.mapError(Effect.flatMap(decode(text), encode), ({ message }) => shorten(message))
  }
})

const sentence = (cause: unknown): string => {
  const why = cause instanceof Error ? cause.message : String(cause)
  return /recursive/i.test(why)
    ? "The schema for outputs refers to itself, which Claude's structured output cannot express: give it a fixed depth."
    : `The schema for outputs is none that Claude's structured output can express: ${shorten(why)}`
}

const shorten = (text: string) => (text.length <= 500 ? text : `${text.slice(0, 500)}…`)
