/**
 * What an attempt under way has reported with `context.progress`.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * The latest report. Null: nothing of this kind was reported.
 *
 * @category models
 * @since 0.2.0
 */
export const AttemptProgress = Schema.Struct({
  text: Schema.NullOr(Schema.String),
  /** From 0 to 1. */
  fraction: Schema.NullOr(Schema.Finite),
  /** The end of the output so far, without secrets: at most 1000 characters. */
  output: Schema.NullOr(Schema.String).pipe(Schema.withDecodingDefaultKey(Effect.succeed(null))),
  at: Schema.DateTimeUtcFromString
})

/**
 * What `context.progress` accepts: a text, a fraction from 0 to 1, or the whole output so far, of which the end is kept.
 *
 * @category models
 * @since 0.2.0
 */
export type ProgressReport = string | number | { readonly output: string }

/** @since 0.2.0 */
export interface AttemptProgress extends Schema.Schema.Type<typeof AttemptProgress> {}
