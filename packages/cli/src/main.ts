/** Runs the command line of this process and exits with its exit code. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as Stdio from "effect/Stdio"
import { run } from "./cli.ts"
import { runMain } from "./system/process.ts"

runMain(
  Stdio.Stdio.use(({ args }) => Effect.flatMap(args, run)).pipe(
    // The only place where the platform is chosen.
    Effect.provide(NodeServices.layer)
  )
)
