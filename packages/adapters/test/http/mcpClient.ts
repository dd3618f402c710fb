/** The client of the official MCP SDK. */
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import type { ProgressCallback } from "@modelcontextprotocol/sdk/shared/protocol.js"
import { Effect, Schema } from "effect"
import { Served } from "./server.ts"

/** The parts of a result of a tool that the tests read. */
const Result = Schema.Struct({
  isError: Schema.optionalKey(Schema.Boolean),
  structuredContent: Schema.optionalKey(Schema.JsonObject),
  content: Schema.Array(Schema.Struct({ type: Schema.Literal("text"), text: Schema.String }))
})

/** What the client receives; fails with its message if the server refuses. */
export const answered = <A>(request: () => Promise<A>): Effect.Effect<A, string> =>
  Effect.mapError(Effect.tryPromise(request), ({ cause }) => String(cause))

/** A client that is connected to `/mcp` with a token. */
export const connect = Effect.fnUntraced(function* (token?: string) {
  const { url } = yield* Served
  const client = new Client({ name: "sdk", version: "1.0.0" })
  const transport = new StreamableHTTPClientTransport(new URL(`${url}/mcp`), {
    requestInit: { headers: token === undefined ? {} : { authorization: `Bearer ${token}` } }
  })
  // `Transport` has optional fields that are not `undefined`, unlike the class of the same package.
  yield* Effect.acquireRelease(
    Effect.tryPromise(() => client.connect(transport as Parameters<Client["connect"]>[0])),
    () => Effect.promise(() => client.close())
  )
  const call = (name: string, args: Record<string, unknown> = {}, onprogress?: ProgressCallback) =>
    answered(() =>
      client.callTool({ name, arguments: args }, undefined, onprogress === undefined ? {} : { onprogress })
    ).pipe(Effect.flatMap((result) => Effect.orDie(Schema.decodeUnknownEffect(Result)(result))))
  return { client, call }
})
