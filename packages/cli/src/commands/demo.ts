/** `baton demo` */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"

/** Shows a complete run without any setup. */
export const demo = Command.make("demo", {}, () =>
  Effect.flatMap(
    Effect.promise(() => import("../run/demo.ts")),
    ({ demo }) => demo
  )
).pipe(
  Command.withDescription(
    "Show a complete run with a retry, a dead letter and results. The demo needs no setup and no API key, and costs nothing."
  ),
  Command.withShortDescription("Show a complete run")
)
