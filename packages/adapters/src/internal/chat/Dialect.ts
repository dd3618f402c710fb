import type * as JsonSchema from "effect/JsonSchema"
import type * as Schema from "effect/Schema"

/** An output schema: any schema that encodes to JSON without services. */
export type OutputSchema = Schema.ConstraintCodec<unknown, unknown>

/** What differs between the APIs for an executor and a judge. */
export interface Dialect {
  /** Who answers, as the subject of a sentence. */
  readonly who: string
  /** The name of the provider in spans. */
  readonly provider: string
  /** Whether a request marks the text that the API keeps in its prompt cache. */
  readonly marksCache: boolean
  /** The part of JSON Schema that the API supports. Throws where it cannot express a schema. */
  readonly toCodec: <T, E>(
    schema: Schema.ConstraintCodec<T, E>
  ) => {
    readonly codec: Schema.ConstraintCodec<T, unknown>
    readonly jsonSchema: JsonSchema.JsonSchema
  }
}
