/**
 * Where the response cache is.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { CommandFailed } from "../../system/CommandFailed.ts"
import { StoreUrl } from "../../settings/storeUrl.ts"
import { beside } from "../../settings/beside.ts"

/**
 * The file of the store of this command line.
 *
 * @category getters
 * @since 0.1.0
 */
export const cacheFile = Effect.flatMap(StoreUrl, (url) => {
  const filename = beside(url, "cache")
  return filename === undefined
    ? Effect.fail(new CommandFailed({ message: "A store in memory leaves nothing behind, and so it has no cache." }))
    : Effect.succeed(filename)
})

/**
 * The module, loaded when it is needed.
 *
 * @category getters
 * @since 0.1.0
 */
export const claudeModule = Effect.promise(() => import("@baton/adapters/claude"))
