/**
 * `baton demo`
 *
 * @since 0.1.0
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"

/**
 * Shows a run from start to end, with nothing to set up.
 *
 * @category commands
 * @since 0.1.0
 */
export const demo = Command.make("demo", {}, () =>
  Effect.flatMap(
    Effect.promise(() => import("../run/demo.ts")),
    ({ demo }) => demo
  )
).pipe(
  Command.withDescription(
    "Show a run from start to end: a retry, a dead letter, results. Nothing to set up, no key, no cost."
  ),
  Command.withShortDescription("Show a run from start to end")
)
