/**
 * The flags that choose a configuration.
 *
 * @since 0.1.0
 */
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Kind from "./Kind.ts"
import * as ownFlag from "./ownFlag.ts"

/**
 * The configuration of a command. It has been loaded by the time the flag is read: see `loadProject.askedBy`.
 *
 * @category flags
 * @since 0.1.0
 */
export const ConfigFile = GlobalFlag.Setting("config-file")({
  flag: ownFlag.value(
    "config-file",
    Kind.text("FILE", "the path of a configuration"),
    "The configuration (default baton.config.ts, where there is one)"
  )
})

/**
 * The profile of the configuration.
 *
 * @category flags
 * @since 0.1.0
 */
export const Profile = GlobalFlag.Setting("profile")({
  flag: ownFlag.value(
    "profile",
    Kind.text("NAME", "the name of a profile in the configuration"),
    "Lay this profile of the configuration over it"
  )
})
