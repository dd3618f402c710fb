import type { AttemptContext } from "@baton/core/AttemptContext"
import type { SafetyStop } from "@baton/core/SafetyStop"
import * as Usage from "@baton/core/Usage"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
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
  const usageOf = (answer: Reply | ClaudeError, request: MessageRequest): Usage.Usage | null =>
    Pricing.usedBy(prices, request, answer, client.billing)

  const send = (
    request: MessageRequest,
    about: About,
    context: AttemptContext
  ): Effect.Effect<Reply, ClaudeError | SafetyStop> =>
    Effect.suspend(() => {
      let hasLeft = false
      const told: About = {
        ...about,
        onSend: () => {
          hasLeft = true
          about.onSend?.()
        }
      }
      return context.spend({
        worstCase: Pricing.worstCase(prices, request, client.billing),
        call: traced(request, about.purpose, client.send(request, told)),
        spent: (exit) => {
          if (Exit.isSuccess(exit) || !Cause.hasInterruptsOnly(exit.cause)) {
            return Pricing.usedIn(prices, request, exit, client.billing)
          }
          // Cut off while it waited for its turn, it cost nothing.
          return hasLeft ? null : Usage.zero
        },
        // It stays in its batch for whoever asks again.
        isResumable: client.billing === "batch"
      })
    })

  return { send, usageOf }
}
