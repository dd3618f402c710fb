/** The parts of a run that ask Claude: an executor and a judge over one client, so that they share its pace. */
import { Batches, ClaudeClient, ClaudeExecutor, ClaudeVerifier, Pricing, ResponseCache } from "@baton/adapters/claude"
import type { Executor } from "@baton/core/Executor"
import type { TaskId } from "@baton/core/Task"
import { layerMinConfidence, type Verifier } from "@baton/core/Verifier"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import { CommandFailed } from "../system/CommandFailed.ts"
import type { RunFlags } from "../settings/flags.ts"
import type { ModelUse } from "../view/models.ts"
import type { SourceError } from "../sources/SourceError.ts"
import * as account from "./account.ts"
import * as meter from "./meter.ts"
import * as preflight from "./preflight.ts"
import * as options from "./options.ts"

/** Which parts of a run ask Claude. */
export interface Wanted {
  readonly executor: boolean
  readonly verifier: boolean
  /** The longest that one request may take. */
  readonly timeout: Duration.Duration
  readonly verifyTimeout: Duration.Duration
  /** Where the journal of batches is; undefined where requests are sent one by one. */
  readonly journal: string | undefined
  /** Where answers are kept; undefined where they are not. */
  readonly cache: string | undefined
}

/** The parts. */
export interface Parts {
  readonly executor: Layer.Layer<Executor, CommandFailed>
  readonly verifier: Layer.Layer<Verifier, CommandFailed>
  /** What was asked of each model so far. */
  readonly modelUse: () => ReadonlyArray<ModelUse>
  /** Since when a request for this task waits for its turn, in milliseconds since the epoch; undefined if none does. */
  readonly rateLimitedSince: (id: TaskId) => number | undefined
}

/** Makes them, once all that can be checked before anything is spent is in order. */
export const make = Effect.fnUntraced(function* (
  flags: RunFlags,
  wanted: Wanted
): Effect.fn.Return<Parts, CommandFailed | SourceError, FileSystem.FileSystem> {
  const read = yield* options.read(flags)
  const { executor, prices, verifier } = read
  const asked = preflight.askedOf(read, wanted)
  yield* preflight.checkPrices(asked, prices, flags.maxCost ?? flags.maxCostPerTask)
  yield* preflight.checkTaskLimits(read, wanted, wanted.journal === undefined ? "standard" : "batch", flags)
  const from = yield* account.require
  const api = ClaudeClient.layer({
    ...from,
    timeout: Duration.min(wanted.timeout, mostUntilHeaders),
    idleTimeout: flags.idleTimeout === undefined ? undefined : Duration.min(flags.idleTimeout.value, mostUntilHeaders),
    requestTimeout: { execute: wanted.timeout, judge: wanted.verifyTimeout },
    pacing: {
      requestsPerMinute: flags.rpm?.value,
      inputTokensPerMinute: flags.inputTpm?.value,
      outputTokensPerMinute: flags.outputTpm?.value
    }
  })
  yield* Effect.provide(preflight.checkModels(asked, { offline: "refuse" }), api, { local: true })

  const counts: meter.Meter = new Map()
  const priced = Layer.succeed(Pricing.Prices, prices)
  const rateLimitedSince: meter.RateLimitedSince = new Map()
  const sending =
    wanted.journal === undefined
      ? Layer.provide(meter.layerRateLimited(rateLimitedSince), api)
      : Layer.provide(failing(Batches.layer({ ...from, filename: wanted.journal })), api)
  const kept =
    wanted.cache === undefined
      ? sending
      : Layer.provide(
          failing(
            ResponseCache.layer({ filename: wanted.cache, server: from.baseUrl }),
            " Or do without it: --no-cache."
          ),
          sending
        )
  const client = meter.layer(counts).pipe(Layer.provide(kept), Layer.provideMerge(priced))
  const executing = Layer.provide(ClaudeExecutor.layer(executor), client)
  const judging = Layer.provide(ClaudeVerifier.layer(verifier), client)
  return {
    executor: failing(executing),
    verifier: flags.minConfidence === undefined ? judging : layerMinConfidence(flags.minConfidence.value, judging),
    modelUse: () => [...counts.values()],
    rateLimitedSince: (id) => rateLimitedSince.get(id)
  }
})

const failing = <A, E extends { readonly message: string }, R>(
  layer: Layer.Layer<A, E, R>,
  wayOut = ""
): Layer.Layer<A, CommandFailed, R> =>
  Layer.catch(layer, ({ message }) => Layer.unwrap(Effect.fail(new CommandFailed({ message: `${message}${wayOut}` }))))

/** Node itself waits no longer for an answer to begin, nor for its next byte. */
const mostUntilHeaders = Duration.minutes(5)
