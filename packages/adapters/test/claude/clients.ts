import { ClaudeClient, type MessageRequest } from "@baton/adapters/claude"
import { Context, Effect, Layer, Redacted } from "effect"
import { about, request } from "./requests.ts"
import * as Server from "./server/server.ts"

export const key = "sk-ant-api03-secret-secret-secret"

type Options = Partial<Parameters<typeof ClaudeClient.layer>[0]>

export const layer = (url: string, options: Options = {}) =>
  ClaudeClient.layer({ apiKey: Redacted.make(key), baseUrl: url, ...options })

/** A server and a client of it, until the scope closes. */
export const setup = Effect.fnUntraced(function* (options: Options = {}, serverOptions: Server.Options = {}) {
  const server = yield* Server.make(serverOptions)
  const context = yield* Layer.build(layer(server.url, options))
  const client = Context.get(context, ClaudeClient.ClaudeClient)
  const send = (more: Partial<MessageRequest.MessageRequest> = {}, aboutIt: Parameters<typeof about>[0] = {}) =>
    // There is no budget.
    Effect.catchTag(client.send(request("Hello", more), about(aboutIt)), "SafetyStop", Effect.die)
  return { client, send, server }
})
