/** The production layers: a SQLite file, Claude, a judge and a budget. `program.ts` is the same in tests. */
import { ClaudeClient, ClaudeExecutor, ClaudeVerifier } from "@baton/adapters/claude"
import { SqliteTaskStore } from "@baton/adapters/sqlite"
import { Orchestrator, Safety } from "@baton/core"
import { Config, Effect, Layer } from "effect"

const claude = Layer.unwrap(
  Effect.map(Config.Redacted("ANTHROPIC_API_KEY"), (apiKey) => ClaudeClient.layer({ apiKey }))
)

const parts = Layer.mergeAll(
  ClaudeExecutor.layer({ system: "You summarise books in one sentence." }),
  ClaudeVerifier.layer({ criteria: "One sentence, and about that book." }),
  Safety.layerBudget({ maxCostUsd: 5 })
).pipe(Layer.provide(claude))

export const live = Orchestrator.layer({ concurrency: 8 }).pipe(
  Layer.provide(parts),
  Layer.provideMerge(SqliteTaskStore.layer({ filename: ".baton/books.db" }))
)
