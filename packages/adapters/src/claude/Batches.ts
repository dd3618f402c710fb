/**
 * Sends requests to Claude in batches, at half the price. Answers arrive within a day, most of them within an hour.
 *
 * An executor or a judge uses it like any other client. A request waits for its batch and costs a fiber and no timer, so
 * thousands can wait at once: as many as the orchestrator's `concurrency`, for as long as its `executionTimeout` and
 * `verificationTimeout`, both of which have to exceed a day. Requests that arrive together become one batch; the requests
 * that follow from its answers, such as those of the judge and of further attempts, become the next ones.
 *
 * A request is in the store's journal before its batch is created, and an answer is in it before it is delivered. The process
 * can be stopped or killed at any time, and any process on the same store continues its batches, days later: the same request
 * of the same task resumes its batch, whatever the number of the attempt, and is not paid for twice. When the creation of a
 * batch was cut off, the next process that has the lease of one of its tasks looks for it among those that the API lists, and sends
 * nothing again while a batch that may be the one is in progress. Interrupting a request leaves it in its batch.
 *
 * What a request has reserved of the budget of its queue stays reserved until its answer is in the store, and is then replaced
 * by what the answer cost, whichever process collects it.
 *
 * A request that the API did not answer, because it failed or expired there, fails and costs nothing.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { BatchJournal } from "@baton/core/BatchJournal"
import { TaskStore } from "@baton/core/TaskStore"
import * as Usage from "@baton/core/Usage"
import * as Layer from "effect/Layer"
import { ClaudeClient, type ClaudeClientService } from "./ClaudeClient.ts"
import { ClaudeError } from "./ClaudeError.ts"
import { fromSdk } from "./internal/batches/batchApi.ts"
import * as Journal from "./internal/batches/journal.ts"
import * as Send from "./internal/batches/send.ts"
import * as Sdk from "./internal/sdk.ts"

/**
 * The API's address and key, and how requests become batches.
 *
 * @category configuration
 * @since 0.1.0
 */
export interface Options extends Sdk.Options, Send.Options {}

/**
 * A client that sends every request as part of a batch. Fails with one sentence if the store keeps no journal of batches.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<ClaudeClient, ClaudeError, ClaudeClient | TaskStore> =>
  Layer.effect(ClaudeClient, make(options))

const make = Effect.fnUntraced(function* (options: Options) {
  const client = yield* ClaudeClient
  const { attempts, batches } = yield* TaskStore
  if (batches === undefined) {
    return yield* new ClaudeError({
      reason: "Fatal",
      type: "journal",
      message: "This store keeps no journal of batches: use another store, or send requests without batches.",
      usage: Usage.zero
    })
  }
  const sending = yield* Send.make(fromSdk(yield* Sdk.make(options)), { attempts, batches }, options)
  return { ...client, billing: "batch", ...sending } satisfies ClaudeClientService
})

/**
 * Cancels a batch: the API answers no more of its requests, and the worker that collects the batch receives the answers that exist.
 *
 * @category running
 * @since 0.2.0
 */
export const cancel = (options: Sdk.Options, id: string): Effect.Effect<void, ClaudeError> =>
  Effect.flatMap(Sdk.make(options), (sdk) => Effect.asVoid(fromSdk(sdk).cancel(id)))

/**
 * Removes a batch from the journal of a store, so that its requests are sent again. Their reservations count as spent.
 *
 * @category running
 * @since 0.2.0
 */
export const forget = (batches: BatchJournal, run: string): Effect.Effect<void, ClaudeError> =>
  Journal.forget(Journal.make(batches), run, "The batch was removed from the journal.")
