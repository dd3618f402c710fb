/**
 * Sends requests to Claude in batches, at half the price: the answers come within a day, most of them within an hour.
 *
 * To an executor or a judge this is a client like any other. A request that is sent through it waits, and costs a fiber
 * and no timer meanwhile, so thousands can wait at once: as many as the orchestrator's `concurrency` says, and for as
 * long as its `executionTimeout` and `verificationTimeout` allow, which both have to be longer than a day. Requests that
 * arrive together become one batch; what follows from its answers, such as verdicts and further attempts, becomes the
 * next ones.
 *
 * What is in a batch is in a journal on disk before the batch is created, and answers are in it before they are handed
 * out. So the process can be stopped or killed at any time and started again days later: the same request of the same
 * task finds its batch, whatever the number of the attempt, and is not paid for twice. A batch whose creation was cut off
 * is looked for among those that the API lists, and nothing is sent again while one that may be it is under way.
 * Interrupting a request leaves it in its batch.
 *
 * A request that the API could not answer, because it failed or expired there, fails and costs nothing. One process at a
 * time uses a journal; another one that opens it is refused.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ClaudeClient, type ClaudeClientService } from "./ClaudeClient.ts"
import type { ClaudeError } from "./ClaudeError.ts"
import { fromSdk } from "./internal/batches/batchApi.ts"
import * as JournalFile from "./internal/batches/journalFile.ts"
import * as Send from "./internal/batches/send.ts"
import * as Sdk from "./internal/sdk.ts"

/**
 * How the API is reached, and where the journal is.
 *
 * @category configuration
 * @since 0.1.0
 */
export interface Options extends Sdk.Options, Send.Options {}

/**
 * A client that sends every request as part of a batch. Fails with one sentence when the journal cannot be used.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<ClaudeClient, ClaudeError, ClaudeClient> =>
  Layer.effect(ClaudeClient, make(options))

const make = Effect.fnUntraced(function* (options: Options) {
  const client = yield* ClaudeClient
  const send = yield* Send.make(fromSdk(yield* Sdk.make(options)), options)
  return { ...client, billing: "batch", send } satisfies ClaudeClientService
})

/**
 * A batch that has not ended.
 *
 * @category models
 * @since 0.1.0
 */
export interface UnderWay {
  /** Null while it is unknown whether it was created at all. */
  readonly id: string | null
  readonly requests: number
  /** When it was created, in epoch milliseconds. */
  readonly createdAt: number
}

/**
 * The batches of a journal that have not ended, as far as the journal knows; none where there is no journal. A run can
 * be under way meanwhile.
 *
 * @category getters
 * @since 0.1.0
 */
export const underWay = (options: { readonly filename: string }): Effect.Effect<ReadonlyArray<UnderWay>, ClaudeError> =>
  Effect.map(JournalFile.underWay(options.filename), (rows) =>
    rows.map(({ createdAt, id, requests }) => ({ id, requests, createdAt }))
  )
