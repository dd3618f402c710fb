import { ClaudeClient, type ClaudeError, type MessageRequest, type Reply } from "@baton/adapters/claude"
import { Effect, Layer } from "effect"
import { used } from "./requests.ts"

export interface Sent {
  readonly request: MessageRequest.MessageRequest
  readonly about: Parameters<ClaudeClient.ClaudeClient["Service"]["send"]>[1]
}

export type Answer = ClaudeError | Partial<Reply.Reply>

/** A complete answer. */
export const reply = (options: Partial<Reply.Reply>): Reply.Reply => ({
  id: "msg_1",
  model: "claude-haiku-5-5",
  text: "",
  content: [],
  stopReason: "end_turn",
  refusal: null,
  usage: used({ inputTokens: 1000, outputTokens: 200 }),
  billing: "standard",
  requestId: "req_1",
  cached: false,
  ...options
})

/** A client that gives these answers in turn, and then repeats the last one. `sent` has its requests. */
export const make = (...answers: ReadonlyArray<Answer>) => {
  const sent: Array<Sent> = []
  const layer = Layer.succeed(ClaudeClient.ClaudeClient, {
    billing: "standard",
    send: (request, { onSend, spend = ClaudeClient.withoutBudget, ...about }) =>
      spend((grant) =>
        Effect.suspend(() => {
          onSend?.()
          sent.push({ request: ClaudeClient.granted(request, grant), about })
          const answer = answers[Math.min(sent.length, answers.length) - 1] ?? {}
          return "_tag" in answer
            ? Effect.fail(answer)
            : Effect.succeed(reply({ usage: used({ inputTokens: 1000, outputTokens: 200 }, request.model), ...answer }))
        })
      ),
    countTokens: () => Effect.succeed(0),
    model: (id) =>
      Effect.succeed({ id, lifecycle: "active", retiresAt: null, maxInputTokens: null, maxOutputTokens: null })
  })
  return { layer, sent }
}
