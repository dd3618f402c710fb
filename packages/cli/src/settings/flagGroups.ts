/**
 * Flags that belong together, for the help of commands that have many.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"

/**
 * A part of a command's flags.
 *
 * @category models
 * @since 0.1.0
 */
export interface FlagGroup {
  readonly title: string
  /** The flags' names in camel case, as a command defines them. */
  readonly keys: ReadonlyArray<string>
}

/**
 * The groups of a command, as an annotation. A flag in none of them is shown before all of them.
 *
 * @category references
 * @since 0.1.0
 */
export const FlagGroups = Context.Reference<ReadonlyArray<FlagGroup>>("@baton/cli/flags/FlagGroups", {
  defaultValue: () => []
})
