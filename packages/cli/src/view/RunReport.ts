/**
 * What a run did, for programs and for people.
 *
 * @since 0.1.0
 */
import { Stats } from "@baton/core/Stats"
import { StopReason } from "@baton/core/StopReason"
import { Counts } from "@baton/core/TaskStore"
import * as Schema from "effect/Schema"
import { exitCodes } from "../system/CommandFailed.ts"
import { ModelUse } from "./modelUse.ts"

/**
 * The object that `--json` prints.
 *
 * @category models
 * @since 0.1.0
 */
export const RunReport = Schema.Struct({
  reason: StopReason,
  /** The exit code of the command. */
  exitCode: Schema.Int,
  /** What was imported from the sources; null without sources. */
  imported: Schema.NullOr(Schema.Struct({ added: Schema.Int, existing: Schema.Int, skipped: Schema.Int })),
  /** This run. */
  stats: Stats,
  /** What it asked of each model, as far as it is metered: judging included, and so are calls that failed. */
  models: Schema.Array(ModelUse),
  /** All tasks of the store. */
  counts: Counts
})

/** @since 0.1.0 */
export interface RunReport extends Schema.Schema.Type<typeof RunReport> {}

/**
 * The exit code that a run which ended for this reason, with the store in this state, deserves. Null when a signal or an
 * error decides.
 *
 * A task that waits for one that will never complete cannot be run any more than a dead letter can, so it counts as one. A
 * run that `baton stop` ended before its work was done ends as by a signal; a worker has no end of its own, so being
 * stopped is how it succeeds.
 *
 * @category getters
 * @since 0.1.0
 */
export const exitCode = (
  { counts, reason }: Pick<RunReport, "counts" | "reason">,
  options: { readonly endless: boolean }
): number | null => {
  switch (reason._tag) {
    case "LimitReached":
      return exitCodes.limitReached
    case "Drained":
      return counts.failed > 0 || counts.waiting > 0 ? exitCodes.deadLetters : exitCodes.ok
    case "Stopped": {
      if (options.endless) return exitCodes.ok
      const isDone = counts.pending === 0 && counts.in_progress === 0
      if (!isDone) return exitCodes.stopped
      return counts.failed > 0 ? exitCodes.deadLetters : exitCodes.ok
    }
    case "Interrupted":
    case "Failed":
      return null
  }
}
