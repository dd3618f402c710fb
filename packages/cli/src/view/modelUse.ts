/**
 * What a run asked of one model.
 *
 * @since 0.1.0
 */
import * as Usage from "@baton/core/Usage"
import * as Schema from "effect/Schema"

/**
 * Requests to a model, and what they used.
 *
 * @category models
 * @since 0.1.0
 */
export const ModelUse = Schema.Struct({
  model: Schema.String,
  requests: Schema.Int,
  /** Those of `requests` that the response cache answered. */
  cached: Schema.Int,
  usage: Usage.Usage
})

/** @since 0.1.0 */
export interface ModelUse extends Schema.Schema.Type<typeof ModelUse> {}
