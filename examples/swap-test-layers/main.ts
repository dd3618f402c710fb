import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect } from "effect"
import { live } from "./live.ts"
import { summarise } from "./program.ts"

summarise(["Emma", "Dracula", "Middlemarch"]).pipe(
  Effect.flatMap(Console.log),
  Effect.provide(live),
  NodeRuntime.runMain
)
