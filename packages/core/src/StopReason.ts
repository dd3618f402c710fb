/**
 * Why a run ended.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { SafetyStop } from "./SafetyStop.ts"

/**
 * - `Drained`: nothing is left that could run. `waiting` tasks wait for one that did not complete
 * - `Stopped`: someone asked for it, with `stop` or from another process
 * - `Interrupted`: the fiber was interrupted, by a signal for instance
 * - `LimitReached`: Safety stopped it
 * - `Failed`: an executor, a verifier or the store said that going on makes no sense
 *
 * @category models
 * @since 0.1.0
 */
export const StopReason = Schema.TaggedUnion({
  Drained: { waiting: Schema.Int },
  Stopped: {},
  Interrupted: {},
  LimitReached: { limit: SafetyStop.fields.limit, message: Schema.String },
  Failed: { message: Schema.String }
})

/** @since 0.1.0 */
export type StopReason = typeof StopReason.Type
