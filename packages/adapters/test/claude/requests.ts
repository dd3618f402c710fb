import { ClaudeClient, ClaudeError, type MessageRequest, Pricing, type Reply } from "@baton/adapters/claude"
import { Attempt, Task, Usage } from "@baton/core"
import { Effect } from "effect"

export const request = (
  text: string,
  more: Partial<MessageRequest.MessageRequest> = {}
): MessageRequest.MessageRequest => ({
  model: "claude-sonnet-5-5",
  max_tokens: 1000,
  messages: [{ role: "user", content: text }],
  ...more
})

export const about = (more: Partial<ClaudeClient.About> = {}): ClaudeClient.About => ({
  taskId: Task.TaskId.make("task"),
  queue: "default",
  leaseToken: Attempt.LeaseToken.make(1),
  requeues: 0,
  idempotencyKey: "task/1",
  purpose: "execute",
  rejected: null,
  ...more
})

/** The usage of a request, at list prices. */
export const used = (tokens: Partial<Pricing.Billed>, model = "claude-haiku-5-5"): Usage.Usage =>
  Pricing.usageOf(Pricing.listed, model, { ...Usage.zero, billing: "standard", ...tokens })

export const reply = (text: string, more: Partial<Reply.Reply> = {}): Reply.Reply => ({
  id: "msg_1",
  model: "claude-sonnet-5-5",
  text,
  content: [{ type: "text", text }],
  stopReason: "end_turn",
  refusal: null,
  usage: used({ inputTokens: 10, outputTokens: 5 }, "claude-sonnet-5-5"),
  billing: "standard",
  requestId: "req_1",
  cached: false,
  ...more
})

export const failure = (more: Partial<ConstructorParameters<typeof ClaudeError>[0]> = {}) =>
  new ClaudeError({ reason: "Transient", type: "network", message: "It broke off.", ...more })

/** A client that answers as `send` does, and keeps its requests. */
export const scripted = (
  send: (request: MessageRequest.MessageRequest, n: number) => Effect.Effect<Reply.Reply, ClaudeError>
) => {
  const sent: Array<MessageRequest.MessageRequest> = []
  const client = ClaudeClient.ClaudeClient.of({
    billing: "standard",
    send: (request) =>
      Effect.suspend(() => {
        sent.push(request)
        return send(request, sent.length)
      }),
    countTokens: () => Effect.die("not asked for"),
    model: () => Effect.die("not asked for")
  })
  return { client, sent }
}
