/**
 * The `--store` flag.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"

/**
 * Where tasks are when nothing else is said.
 *
 * @category configuration
 * @since 0.1.0
 */
export const defaultStoreUrl = "sqlite:.baton/baton.db"

/**
 * The URL of the store, for every command. `BATON_STORE` in the environment stands in for it.
 *
 * @category flags
 * @since 0.1.0
 */
export const StoreUrl = GlobalFlag.Setting("store")({
  flag: Flag.String("store").pipe(
    Flag.withMetavar("URL"),
    Flag.withDescription(`Where the tasks are: sqlite:PATH, memory: (default ${defaultStoreUrl}; or BATON_STORE)`),
    Flag.withFallbackConfig(Config.NonEmptyString("BATON_STORE")),
    Flag.withDefault(defaultStoreUrl)
  )
})
