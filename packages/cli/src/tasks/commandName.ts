/**
 * How to call `baton` again for the same store, in hints.
 *
 * @since 0.1.0
 */
import type * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import { defaultStoreUrl, StoreUrl } from "../flags/storeUrl.ts"

/**
 * `baton`, with the `--store` that was given if it is needed again. A password is never repeated.
 *
 * @category getters
 * @since 0.1.0
 */
export const commandName: Effect.Effect<string, never, GlobalFlag.Setting.Identifier<"store">> = Effect.gen(
  function* () {
    const url = yield* StoreUrl
    const fromEnvironment = yield* Effect.orElseSucceed(Config.String("BATON_STORE"), () => undefined)
    if (url === defaultStoreUrl || url === fromEnvironment) return "baton"
    return `baton --store ${quoted(withoutPassword(url))}`
  }
)

const withoutPassword = (url: string): string =>
  url.replace(/^(\w+:\/\/[^:/@]*):.*@/, "$1:…@").replace(/(\bpassword=)[^&]*/gi, "$1…")

/** As a shell reads it back. */
const quoted = (word: string): string =>
  /^[\w./:@=+-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`
