/**
 * Keeps Claude's replies in a file, so that the same request is paid for once: after a crash, in a second run over the
 * same list, or for two tasks with the same prompt. The judge's requests are kept like any other.
 *
 * Two requests are the same when the model and the whole request agree, to the last character. A reply is in the file
 * before the caller receives it. Only replies that ended by themselves are kept: no failure, no refusal, nothing that was
 * cut off. A requeued task gets a new reply, and so does a task whose earlier reply was rejected.
 *
 * A file that reaches a gigabyte drops its oldest replies as new ones arrive.
 *
 * A reply from the cache has used no tokens. A request for a reply that is already under way waits for it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ResponseCache from "../internal/chat/responseCache.ts"
import { ClaudeClient } from "./ClaudeClient.ts"
import type { ResponseCacheError } from "./ClaudeError.ts"

/**
 * @category configuration
 * @since 0.1.0
 */
export interface Options extends ResponseCache.Options {}

/**
 * A client that sends through another client only the requests that the cache has no reply for. Fails with one sentence,
 * and leaves the file unchanged, when the file is damaged or is not a response cache. Once it is open, an error of the
 * file causes a warning and never costs a reply.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<ClaudeClient, ResponseCacheError, ClaudeClient> =>
  Layer.effect(
    ClaudeClient,
    Effect.flatMap(ClaudeClient, (client) => ResponseCache.decorate(client, options))
  )

export { clear, type Info, info } from "../internal/chat/responseCache.ts"
