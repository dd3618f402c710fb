/** `baton mcp` */
import { inQueues, TaskStore } from "@baton/core/TaskStore"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as store from "../run/stores.ts"
import { mcpFlags, QueueFlag } from "../settings/flags.ts"

/** The store of this command line, or the part of it in the queue of `--queue`, which need not exist. */
const layerOfQueue = Layer.effect(
  TaskStore,
  Effect.gen(function* () {
    const queue = yield* QueueFlag
    const store = yield* TaskStore
    return queue === undefined ? store : inQueues(store, [queue])
  })
)

/** Agents that add tasks can be the first to use a store. */
const layerForAgents = Layer.provide(layerOfQueue, store.layer)

const layerForReaders = Layer.provide(layerOfQueue, store.layerAllQueues)

/** Serves the store to an agent on standard input and output. */
export const mcp = Command.make(
  "mcp",
  mcpFlags,
  Effect.fnUntraced(function* ({ allow, readOnly }) {
    const { BatonMcp } = yield* Effect.promise(() => import("@baton/adapters/http"))
    const server = BatonMcp.layerStdio({ allow: allow?.value, readOnly })
    // The server interrupts the fiber that has started it when the client closes standard input.
    const running = yield* Effect.forkChild(Layer.launch(server))
    yield* Fiber.await(running)
  })
).pipe(
  Command.withDescription(
    "Serve the store to an agent as an MCP server on standard input and output. Its tools add tasks, list them, wait, read results, show the progress and requeue failures. Agents start this command themselves: add it to their configuration.\n\n" +
      "Agents cannot decide about outputs or set budgets, unless --allow names that. No tool runs a command: start workers yourself, with `baton worker`."
  ),
  Command.withShortDescription("Serve the store to an agent (MCP)"),
  Command.withExamples([
    { command: "claude mcp add baton -- baton mcp", description: "Add the server to Claude Code" },
    { command: "baton mcp --queue books --read-only", description: "Let an agent look at one queue" },
    { command: "baton mcp --allow review", description: "Let an agent decide about outputs in review" }
  ]),
  Command.provide(({ readOnly }) => (readOnly ? layerForReaders : layerForAgents))
)
