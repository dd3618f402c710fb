/**
 * Sends requests to Claude in batches, at half the price. Answers arrive within a day, most of them within an hour.
 *
 * An executor or a judge uses it like any other client. A request waits for its batch and costs a fiber and no timer, so
 * thousands can wait at once: as many as the orchestrator's `concurrency`, for as long as its `executionTimeout` and
 * `verificationTimeout`, both of which have to exceed a day. Requests that arrive together become one batch; the requests
 * that follow from its answers, such as those of the judge and of further attempts, become the next ones.
 *
 * A request is in a journal on disk before its batch is created, and an answer is in it before it is delivered. The process
 * can be stopped or killed at any time and started again days later: the same request of the same task resumes its batch,
 * whatever the number of the attempt, and is not paid for twice. When the creation of a batch was cut off, the next run
 * looks for it among those that the API lists, and sends nothing again while a batch that may be the one is in progress.
 * Interrupting a request leaves it in its batch.
 *
 * A request that the API did not answer, because it failed or expired there, fails and costs nothing. One process at a time
 * uses a journal; a second one that opens it fails.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ClaudeClient, type ClaudeClientService } from "./ClaudeClient.ts"
import type { ClaudeError } from "./ClaudeError.ts"
import { fromSdk } from "./internal/batches/batchApi.ts"
import * as Journal from "./internal/batches/journal.ts"
import * as Send from "./internal/batches/send.ts"
import * as Sdk from "./internal/sdk.ts"

/**
 * The API's address and key, and the path of the journal.
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
export interface BatchInProgress {
  /** Null while it is unknown whether the batch exists. */
  readonly id: string | null
  readonly requests: number
  /** When it was created, in epoch milliseconds. */
  readonly createdAt: number
}

/**
 * The batches in a journal that have not ended; none without a journal. A run can be using the journal meanwhile.
 *
 * @category getters
 * @since 0.1.0
 */
export const inProgress = (options: {
  readonly filename: string
}): Effect.Effect<ReadonlyArray<BatchInProgress>, ClaudeError> =>
  Effect.map(Journal.inProgress(options.filename), (rows) =>
    rows.map(({ createdAt, id, requests }) => ({ id, requests, createdAt }))
  )
