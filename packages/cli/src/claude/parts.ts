/** The executor and the judge for Claude's API. They use one client, so that they share its rate limits. */
import { Batches, ClaudeClient, ClaudeExecutor, ClaudeVerifier, Pricing, ResponseCache } from "@baton/adapters/claude"
import type { Executor } from "@baton/core/Executor"
import type { TaskId } from "@baton/core/Task"
import type { TaskStore } from "@baton/core/TaskStore"
import { layerMinConfidence, type Verifier } from "@baton/core/Verifier"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import { CommandFailed } from "../system/CommandFailed.ts"
import { costLimit, type RunFlags } from "../settings/flags.ts"
import type { ModelUse } from "../view/summary.ts"
import type { SourceError } from "../sources/SourceError.ts"
import * as account from "./account.ts"
import * as meter from "./meter.ts"
import * as preflight from "./preflight.ts"
import * as options from "./options.ts"

/** The parts to build, and their options. */
export interface ClaudeOptions {
  readonly executor: boolean
  readonly verifier: boolean
  /** The maximum duration of a request. */
  readonly timeout: Duration.Duration
  readonly verifyTimeout: Duration.Duration
  /** Whether requests are sent in batches. */
  readonly isInBatch: boolean
  /** The file of the response cache; undefined without a cache. */
  readonly cache: string | undefined
}

/** The executor and the judge. */
export interface Parts {
  readonly executor: Layer.Layer<Executor, CommandFailed, TaskStore>
  readonly verifier: Layer.Layer<Verifier, CommandFailed, TaskStore>
  /** The use of each model so far. */
  readonly modelUse: () => ReadonlyArray<ModelUse>
  /** The time since when a request of this task has been waiting for a rate limit, in milliseconds since the epoch. */
  readonly rateLimitedSince: (id: TaskId) => number | undefined
}

/** Builds the parts after checking everything that can be checked without cost. */
export const make = Effect.fnUntraced(function* (
  flags: RunFlags,
  wanted: ClaudeOptions
): Effect.fn.Return<Parts, CommandFailed | SourceError, FileSystem.FileSystem> {
  const read = yield* options.read(flags)
  const { executor, prices, verifier } = read
  const models = preflight.modelsOf(read, wanted)
  yield* preflight.checkPrices(models, prices, costLimit(flags))
  yield* preflight.checkTaskLimits(read, wanted, "claude", wanted.isInBatch ? "batch" : "standard", flags)
  const from = yield* account.require
  const api = ClaudeClient.layer({
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
  yield* ClaudeClient.ClaudeClient.use((client) =>
    preflight.checkModels(client, models, {
      offline: "refuse",
      address: "ANTHROPIC_BASE_URL",
      isInBatch: wanted.isInBatch
    })
  ).pipe(Effect.provide(api, { local: true }))

  const counts: meter.Meter = new Map()
  const priced = Layer.succeed(Pricing.Prices, prices)
  const rateLimitedSince: meter.RateLimitedSince = new Map()
  const sending = wanted.isInBatch
    ? Layer.provide(failing(Batches.layer(from)), api)
    : Layer.provide(meter.layerRateLimited(ClaudeClient.ClaudeClient, rateLimitedSince), api)
  const cached =
    wanted.cache === undefined
      ? sending
      : Layer.provide(
          failing(ResponseCache.layer({ filename: wanted.cache, server: from.baseUrl }), " Or add --no-cache."),
          sending
        )
  const client = meter.layer(ClaudeClient.ClaudeClient, counts).pipe(Layer.provide(cached), Layer.provideMerge(priced))
  const executing = Layer.provide(ClaudeExecutor.layer(executor), client)
  const judging = Layer.provide(ClaudeVerifier.layer(verifier), client)
  return {
    executor: failing(executing),
    verifier: flags.minConfidence === undefined ? judging : layerMinConfidence(flags.minConfidence.value, judging),
    modelUse: () => [...counts.values()],
    rateLimitedSince: (id) => rateLimitedSince.get(id)
  }
})

export const failing = <A, E extends { readonly message: string }, R>(
  layer: Layer.Layer<A, E, R>,
  hint = ""
): Layer.Layer<A, CommandFailed, R> =>
  Layer.catch(layer, ({ message }) => Layer.unwrap(Effect.fail(new CommandFailed({ message: `${message}${hint}` }))))

/** Node's limit for the time until the response starts and between its bytes. */
export const maxSilence = Duration.minutes(5)
