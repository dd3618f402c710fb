/**
 * Keeps the replies of a server in a file, so that the same request is paid for once. It works as the response cache of
 * `@baton/adapters/claude`, and can use the same file: replies are kept separately for each server.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ResponseCache from "../internal/chat/responseCache.ts"
import type { ResponseCacheError } from "../internal/chat/ModelError.ts"
import { defaultBaseUrl } from "./internal/sdk.ts"
import { OpenAiClient } from "./OpenAiClient.ts"

/**
 * @category configuration
 * @since 0.1.0
 */
export interface Options extends ResponseCache.Options {}

/**
 * A client that sends through another client only the requests that the cache has no reply for. Fails with one sentence,
 * and leaves the file unchanged, when the file is damaged or is not a response cache.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<OpenAiClient, ResponseCacheError, OpenAiClient> =>
  Layer.effect(
    OpenAiClient,
    Effect.flatMap(OpenAiClient, (client) =>
      ResponseCache.decorate(client, { ...options, server: options.server ?? defaultBaseUrl })
    )
  )
