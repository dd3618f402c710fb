/** The executor and the judge of a model's API, assembled in the same way for each API. */
import { type ClaudeClient, Pricing, type Reply } from "@baton/adapters/claude"
import type { Executor } from "@baton/core/Executor"
import type { TaskId } from "@baton/core/Task"
import type { TaskStore } from "@baton/core/TaskStore"
import { layerMinConfidence, type Verifier } from "@baton/core/Verifier"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as meter from "./claude/meter.ts"
import { read as readSettings, type Settings } from "./claude/options.ts"
import * as preflight from "./claude/preflight.ts"
import { costLimit, type RunFlags } from "../settings/flags.ts"
import type { SourceError } from "../sources/SourceError.ts"
import { CommandFailed } from "../system/CommandFailed.ts"
import type { ModelUse } from "../view/summary.ts"

/** The parts to build, and their options. */
export interface PartOptions {
  readonly executor: boolean
  readonly verifier: boolean
  /** Whether the fallback models are for the judge too. */
  readonly judgeHasFallbacks: boolean
  /** The maximum duration of a request. */
  readonly timeout: Duration.Duration
  readonly verifyTimeout: Duration.Duration
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

interface Failure {
  readonly message: string
}

/** What differs between the APIs. `Id` identifies the client. */
interface ModelApi<Id> {
  readonly name: preflight.Api
  readonly billing: Reply.Billing
  /** The setting that has the server's address. */
  readonly address: string
  readonly key: Context.Key<Id, ClaudeClient.ClaudeClientService>
  /** Fails without a key. */
  readonly connect: Effect.Effect<Connection<Id>, CommandFailed>
  readonly executor: (options: Settings["executor"]) => Layer.Layer<Executor, Failure, Id>
  readonly verifier: (options: Settings["verifier"]) => Layer.Layer<Verifier, never, Id>
}

interface Connection<Id> {
  /** The client alone, for checks before a run. */
  readonly client: Layer.Layer<Id>
  /** The client with a pace that all processes of the store share. */
  readonly shared: Layer.Layer<Id, never, TaskStore>
  /** Sends the requests in batches. */
  readonly batches?: Layer.Layer<Id, Failure, Id | TaskStore> | undefined
  readonly cache: (filename: string) => Layer.Layer<Id, Failure, Id>
}

/** Builds the parts after checking everything that can be checked without cost. */
export const make = Effect.fnUntraced(function* <Id>(
  flags: RunFlags,
  wanted: PartOptions,
  api: ModelApi<Id>
): Effect.fn.Return<Parts, CommandFailed | SourceError, FileSystem.FileSystem> {
  const { key } = api
  const read = yield* readSettings(flags, { ...wanted, runsTools: api.name === "claude" })
  const { executor, prices, verifier } = read
  const models = preflight.modelsOf(read, wanted)
  yield* preflight.checkPrices(models, prices, costLimit(flags))
  yield* preflight.checkTaskLimits(read, wanted, api.name, api.billing, flags)
  const { batches, cache, client: alone, shared } = yield* api.connect
  yield* Effect.flatMap(key, (client) =>
    preflight.checkModels(client, models, {
      offline: "refuse",
      address: api.address,
      isInBatch: batches !== undefined
    })
  ).pipe(Effect.provide(alone, { local: true }))

  const counts: meter.Meter = new Map()
  const priced = Layer.succeed(Pricing.Prices, prices)
  const rateLimitedSince: meter.RateLimitedSince = new Map()
  const sending =
    batches === undefined
      ? Layer.provide(meter.layerRateLimited(key, rateLimitedSince), shared)
      : Layer.provide(failing(batches), alone)
  const cached =
    wanted.cache === undefined ? sending : Layer.provide(failing(cache(wanted.cache), " Or add --no-cache."), sending)
  const client = meter.layer(key, counts).pipe(Layer.provide(cached), Layer.provideMerge(priced))
  const executing = Layer.provide(api.executor(executor), client)
  const judging = Layer.provide(api.verifier(verifier), client)
  return {
    executor: failing(executing),
    verifier: flags.minConfidence === undefined ? judging : layerMinConfidence(flags.minConfidence.value, judging),
    modelUse: () => [...counts.values()],
    rateLimitedSince: (id) => rateLimitedSince.get(id)
  }
})

/** The options of the client of any API. */
export const clientOptions = (flags: RunFlags, { timeout, verifyTimeout }: PartOptions) => ({
  timeout: Duration.min(timeout, maxSilence),
  idleTimeout: flags.idleTimeout === undefined ? undefined : Duration.min(flags.idleTimeout.value, maxSilence),
  requestTimeout: { execute: timeout, judge: verifyTimeout },
  pacing: {
    requestsPerMinute: flags.rpm?.value,
    inputTokensPerMinute: flags.inputTpm?.value,
    outputTokensPerMinute: flags.outputTpm?.value
  }
})

const failing = <A, E extends Failure, R>(layer: Layer.Layer<A, E, R>, hint = ""): Layer.Layer<A, CommandFailed, R> =>
  Layer.catch(layer, ({ message }) => Layer.unwrap(Effect.fail(new CommandFailed({ message: `${message}${hint}` }))))

/** Node's limit for the time until the response starts and between its bytes. */
const maxSilence = Duration.minutes(5)
