/**
 * What an attempt under way has reported with `context.progress`.
 *
 * @since 0.2.0
 */
import * as Schema from "effect/Schema"
import { optionalNullOr } from "./OptionalKey.ts"

/**
 * The latest report, with the kinds of progress that were reported.
 *
 * @category models
 * @since 0.2.0
 */
export const AttemptProgress = Schema.Struct({
  text: optionalNullOr(Schema.String),
  /** From 0 to 1. */
  fraction: optionalNullOr(Schema.Finite),
  /** The end of the output so far, without secrets: at most 1000 characters. */
  output: optionalNullOr(Schema.String),
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
