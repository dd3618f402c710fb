/**
 * The `--store` flag.
 *
 * @since 0.1.0
 */
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import { value } from "./envFlag.ts"
import * as Kind from "./Kind.ts"

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
  flag: value("store", Kind.text("URL", "the URL of a store, such as sqlite:PATH"), {
    description:
      "Where the tasks are: sqlite:PATH, json:PATH, postgres://…, redis://…, or memory: for a run that leaves nothing behind",
    default: defaultStoreUrl
  }).pipe(Flag.map((url) => url ?? defaultStoreUrl))
})
