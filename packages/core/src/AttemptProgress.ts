/**
 * What an attempt under way has reported with `context.progress`.
 *
 * @since 0.2.0
 */
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
  at: Schema.DateTimeUtcFromString
})

/** @since 0.2.0 */
export interface AttemptProgress extends Schema.Schema.Type<typeof AttemptProgress> {}
