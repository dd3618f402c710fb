/**
 * A server of the Model Context Protocol (MCP) over a store: agents add tasks, wait for them, read results and requeue
 * failures. It reads and writes through `TaskStore` alone and executes nothing: workers execute the tasks.
 *
 * Without `allow`, agents cannot decide about outputs in review or change budgets. No tool runs a command.
 *
 * @since 0.2.0
 */
import type { TaskStore } from "@baton/core/TaskStore"
import * as McpServer from "effect/ai/McpServer"
import * as Effect from "effect/Effect"
import type * as Cause from "effect/Cause"
import * as Layer from "effect/Layer"
import type { Stdio } from "effect/Stdio"
import * as Access from "./internal/access.ts"
import { registrations, server } from "./internal/mcp/server.ts"
import type { Allowance } from "./internal/mcp/tools.ts"
import { Caller } from "./internal/middleware.ts"

/**
 * @category configuration
 * @since 0.2.0
 */
export interface Options {
  /** What agents may do besides adding and requeuing tasks: decide about outputs in review, set budgets. Default: neither. */
  readonly allow?: ReadonlyArray<Allowance> | undefined
  /** Refuse every change. Default: false. */
  readonly readOnly?: boolean | undefined
}

/**
 * Serves one client on standard input and output. Nothing else may write to standard output.
 *
 * **Example**
 *
 * ```ts
 * import { BatonMcp } from "@baton/adapters/http"
 * import { SqliteTaskStore } from "@baton/adapters/sqlite"
 * import { NodeStdio } from "@effect/platform-node"
 * import { Layer } from "effect"
 *
 * const server = BatonMcp.layerStdio().pipe(
 *   Layer.provide([SqliteTaskStore.layer({ filename: ".baton/baton.db" }), NodeStdio.layer])
 * )
 * ```
 *
 * @category layers
 * @since 0.2.0
 */
export const layerStdio = ({ allow = [], readOnly = false }: Options = {}): Layer.Layer<
  never,
  Cause.IllegalArgumentError,
  TaskStore | Stdio
> => {
  const caller = { role: readOnly ? "view" : "operate", name: undefined } as const
  const asCaller = McpServer.middleware<{ provides: Caller }>()((effect) =>
    Effect.provideService(effect, Caller, caller)
  )
  const authority = Access.make({ readOnly, tokens: [] })
  return McpServer.layerStdio({
    ...server,
    registrations: registrations({ allow, authority }).pipe(Layer.provide(asCaller.layer))
  })
}
