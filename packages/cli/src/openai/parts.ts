/** The executor and the judge for OpenAI-compatible servers. They use one client, so that they share its rate limits. */
import { OpenAiClient, OpenAiExecutor, OpenAiVerifier, Pricing, ResponseCache } from "@baton/adapters/openai"
import { layerMinConfidence } from "@baton/core/Verifier"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as meter from "../claude/meter.ts"
import * as options from "../claude/options.ts"
import { type ClaudeOptions, failing, maxSilence, type Parts } from "../claude/parts.ts"
import * as preflight from "../claude/preflight.ts"
import { costLimit, type RunFlags } from "../settings/flags.ts"
import type { SourceError } from "../sources/SourceError.ts"
import type { CommandFailed } from "../system/CommandFailed.ts"
import * as account from "./account.ts"
import { checkNames } from "./names.ts"

/** Builds the parts after checking everything that can be checked without cost. */
export const make = Effect.fnUntraced(function* (
  flags: RunFlags,
  wanted: Omit<ClaudeOptions, "isInBatch">
): Effect.fn.Return<Parts, CommandFailed | SourceError, FileSystem.FileSystem> {
  yield* checkNames(flags, {
    executor: wanted.executor ? "openai" : undefined,
    verifier: wanted.verifier ? "openai" : undefined
  })
  const read = yield* options.read(flags)
  const { executor, prices, verifier } = read
  const models = preflight.modelsOf(read, wanted)
  yield* preflight.checkPrices(models, prices, costLimit(flags))
  yield* preflight.checkTaskLimits(read, wanted, "openai", "standard", flags)
  const from = yield* account.require(flags.baseUrl)
  const api = OpenAiClient.layer({
    ...from,
    timeout: Duration.min(wanted.timeout, maxSilence),
    idleTimeout: flags.idleTimeout === undefined ? undefined : Duration.min(flags.idleTimeout.value, maxSilence),
    requestTimeout: { execute: wanted.timeout, judge: wanted.verifyTimeout },
    pacing: {
      requestsPerMinute: flags.rpm?.value,
      inputTokensPerMinute: flags.inputTpm?.value,
      outputTokensPerMinute: flags.outputTpm?.value
    }
  })
  yield* OpenAiClient.OpenAiClient.use((client) =>
    preflight.checkModels(client, models, { offline: "refuse", address: flags.baseUrl?.by ?? "OPENAI_BASE_URL" })
  ).pipe(Effect.provide(api, { local: true }))

  const counts: meter.Meter = new Map()
  const priced = Layer.succeed(Pricing.Prices, prices)
  const rateLimitedSince: meter.RateLimitedSince = new Map()
  const sending = Layer.provide(meter.layerRateLimited(OpenAiClient.OpenAiClient, rateLimitedSince), api)
  const cached =
    wanted.cache === undefined
      ? sending
      : Layer.provide(
          failing(ResponseCache.layer({ filename: wanted.cache, server: from.baseUrl }), " Or add --no-cache."),
          sending
        )
  const client = meter.layer(OpenAiClient.OpenAiClient, counts).pipe(Layer.provide(cached), Layer.provideMerge(priced))
  const executing = Layer.provide(OpenAiExecutor.layer(executor), client)
  const judging = Layer.provide(OpenAiVerifier.layer(verifier), client)
  return {
    executor: failing(executing),
    verifier: flags.minConfidence === undefined ? judging : layerMinConfidence(flags.minConfidence.value, judging),
    modelUse: () => [...counts.values()],
    rateLimitedSince: (id) => rateLimitedSince.get(id)
  }
})
