/** Meters the requests of a run by model. */
import { ClaudeClient, Pricing } from "@baton/adapters/claude"
import * as Usage from "@baton/core/Usage"
import type { TaskId } from "@baton/core/Task"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Clock from "effect/Clock"
import type { ModelUse } from "../../view/summary.ts"

/** The counts, by model. */
export type Meter = Map<string, ModelUse>

/** The client of an API. */
type ClientKey<Id> = Context.Key<Id, ClaudeClient.ClaudeClientService>

/** A client that meters the requests of another client. */
export const layer = <Id>(key: ClientKey<Id>, meter: Meter): Layer.Layer<Id, never, Id> =>
  Layer.effect(
    key,
    Effect.gen(function* () {
      const client = yield* key
      const prices = yield* Pricing.Prices
      const send: ClaudeClient.ClaudeClientService["send"] = (request, about) => {
        let isSent = false
        const onSend = () => {
          isSent = true
          about.onSend?.()
        }
        return Effect.onExit(client.send(request, { ...about, onSend }), (exit) =>
          Effect.sync(() => {
            // Interrupted before it was sent, for example while it waited for the rate limit, or refused by a budget.
            if (!isSent && (Exit.hasInterrupts(exit) || isRefused(exit))) return
            const { model } = request
            const isInBatch = client.billing === "batch" && Exit.hasInterrupts(exit)
            // An interrupted request stays in its batch; the run that receives the reply counts its cost.
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

const isRefused = (exit: Exit.Exit<unknown, { readonly _tag: string }>): boolean =>
  Option.getOrUndefined(Exit.findErrorOption(exit))?._tag === "SafetyStop"

/** The tasks that wait for a rate limit, with the start of the wait in milliseconds since the epoch. */
export type RateLimitedSince = Map<TaskId, number>

/** A client that records which requests wait in another client. */
export const layerRateLimited = <Id>(
  key: ClientKey<Id>,
  rateLimitedSince: RateLimitedSince
): Layer.Layer<Id, never, Id> =>
  Layer.effect(
    key,
    Effect.gen(function* () {
      const client = yield* key
      const clock = yield* Clock.Clock
      const send: ClaudeClient.ClaudeClientService["send"] = (request, about) =>
        Effect.suspend(() => {
          const since = clock.currentTimeMillisUnsafe()
          const begin = Effect.sync(() => void rateLimitedSince.set(about.taskId, since))
          const end = Effect.sync(() => void rateLimitedSince.delete(about.taskId))
          // While it waits for its budget, it does not wait for a rate limit.
          const spend: ClaudeClient.Spend = (send) =>
            Effect.andThen(
              end,
              Effect.tap((about.spend ?? ClaudeClient.withoutBudget)(send), (reply) => (reply === null ? begin : end))
            )
          return Effect.ensuring(Effect.andThen(begin, client.send(request, { ...about, spend })), end)
        })
      return { ...client, send }
    })
  )
