/**
 * The result of an executor. A failure is an `ExecutionError`, never a flag in here.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { optionalNullOr } from "./OptionalKey.ts"
import { Metadata } from "./Task.ts"
import { Usage } from "./Usage.ts"

/**
 * A number from 0 (none) to 1 (certain).
 *
 * @category models
 * @since 0.1.0
 */
export const Confidence = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))

/**
 * The output of one attempt, not yet verified.
 *
 * @category models
 * @since 0.1.0
 */
export const Execution = Schema.Struct({
  output: Schema.String,
  /** The executor's own confidence in its output. */
  confidence: Confidence,
  /** Tokens and cost; absent when the executor does not meter them, as a local command does not. */
  usage: optionalNullOr(Usage),
  metadata: Metadata
})

/** @since 0.1.0 */
export interface Execution extends Schema.Schema.Type<typeof Execution> {}

/**
 * Makes an `Execution`. By default the confidence is 1, nothing was metered, and there is no metadata.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Partial<Execution> & { readonly output: string }): Execution => {
  const { confidence = 1, metadata = {}, output, usage } = options
  return usage === undefined ? { output, confidence, metadata } : { output, confidence, usage, metadata }
}
