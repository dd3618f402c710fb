/** Counts what a run asks of each model. */
import { ClaudeClient, Pricing } from "@baton/adapters/claude"
import * as Usage from "@baton/core/Usage"
import type { TaskId } from "@baton/core/Task"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Clock from "effect/Clock"
import type { ModelUse } from "../view/models.ts"

/** The counts, by model. */
export type Meter = Map<string, ModelUse>

/** A client that counts what goes through another one. */
export const layer = (meter: Meter): Layer.Layer<ClaudeClient.ClaudeClient, never, ClaudeClient.ClaudeClient> =>
  Layer.effect(
    ClaudeClient.ClaudeClient,
    Effect.gen(function* () {
      const client = yield* ClaudeClient.ClaudeClient
      const prices = yield* Pricing.Prices
      const send: ClaudeClient.ClaudeClientService["send"] = (request, about) => {
        let hasLeft = false
        const onSend = () => {
          hasLeft = true
          about.onSend?.()
        }
        return Effect.onExit(client.send(request, { ...about, onSend }), (exit) =>
          Effect.sync(() => {
            // Cut off while it waited for its turn: it was never asked.
            if (!hasLeft && Exit.hasInterrupts(exit)) return
            const { model } = request
            const isInBatch = client.billing === "batch" && Exit.hasInterrupts(exit)
            // Interrupted, a request stays in its batch, and the run that gets its reply pays for it.
            const known = isInBatch ? Usage.zero : ClaudeClient.usageOf(exit)
            const before = meter.get(model)
            meter.set(model, {
              model,
              requests: (before?.requests ?? 0) + 1,
              cached: (before?.cached ?? 0) + (Exit.isSuccess(exit) && exit.value.cached ? 1 : 0),
              usage:
                Usage.add(before?.usage, known ?? Usage.atMost(Pricing.worstCase(prices, request, client.billing))) ??
                Usage.zero
            })
          })
        )
      }
      return { ...client, send }
    })
  )

/** The tasks that wait, and since when, in milliseconds since the epoch. */
export type RateLimitedSince = Map<TaskId, number>

/** A client that notes what waits in another one. */
export const layerRateLimited = (
  rateLimitedSince: RateLimitedSince
): Layer.Layer<ClaudeClient.ClaudeClient, never, ClaudeClient.ClaudeClient> =>
  Layer.effect(
    ClaudeClient.ClaudeClient,
    Effect.gen(function* () {
      const client = yield* ClaudeClient.ClaudeClient
      const clock = yield* Clock.Clock
      const send: ClaudeClient.ClaudeClientService["send"] = (request, about) =>
        Effect.suspend(() => {
          const over = () => {
            rateLimitedSince.delete(about.taskId)
            about.onSend?.()
          }
          rateLimitedSince.set(about.taskId, clock.currentTimeMillisUnsafe())
          return Effect.ensuring(
            client.send(request, { ...about, onSend: over }),
            Effect.sync(() => rateLimitedSince.delete(about.taskId))
          )
        })
      return { ...client, send }
    })
  )
