import type { AttemptContext } from "@baton/core/AttemptContext"
import type { SafetyStop } from "@baton/core/SafetyStop"
import type { Usage } from "@baton/core/Usage"
import type * as Effect from "effect/Effect"
import type { About, ClaudeClientService } from "../ClaudeClient.ts"
import type { ClaudeError } from "../ClaudeError.ts"
import type { MessageRequest } from "../MessageRequest.ts"
import * as Pricing from "../Pricing.ts"
import type { Reply } from "../Reply.ts"
import { traced } from "./traced.ts"

/**
 * Sends a request under the run's budget. What it used is known of a reply, unless the server does not count, and of
 * an error, unless it broke off: `usageOf` says.
 */
export const paid = (client: ClaudeClientService, prices: Pricing.PriceTable) => {
  const usageOf = (answer: Reply | ClaudeError, request: MessageRequest): Usage | null =>
    Pricing.usedBy(prices, request, answer, client.billing)

  const send = (
    request: MessageRequest,
    about: About,
    context: AttemptContext
  ): Effect.Effect<Reply, ClaudeError | SafetyStop> =>
    context.spend({
      worstCase: Pricing.worstCase(prices, request, client.billing),
      call: traced(request, about.purpose, client.send(request, about)),
      spent: (exit) => Pricing.usedIn(prices, request, exit, client.billing)
    })

  return { send, usageOf }
}
