/**
 * Why a run ended.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { SafetyStop } from "./SafetyStop.ts"

/**
 * - `Drained`: no task is left that could run. `waiting` tasks wait for one that did not complete
 * - `Stopped`: a stop was requested with `stop` or through the store, or the orchestrator's layer was closed
 * - `Interrupted`: the fiber was interrupted, by a signal for instance
 * - `LimitReached`: a limit of Safety was reached
 * - `Failed`: an executor, a verifier or the store reported an error that makes continuing pointless
 *
 * @category models
 * @since 0.1.0
 */
export const StopReason = Schema.TaggedUnion({
  Drained: { waiting: Schema.Int },
  Stopped: {},
  Interrupted: {},
  LimitReached: { limit: SafetyStop.fields.limit, queue: SafetyStop.fields.queue, message: Schema.String },
  Failed: { message: Schema.String }
})

/** @since 0.1.0 */
export type StopReason = typeof StopReason.Type
