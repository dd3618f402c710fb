/**
 * What applies to every run here, and where it comes from.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Project } from "../../settings/Project.ts"
import { settings } from "../../settings/envFlag.ts"
import { firstLine } from "../../view/safeText.ts"
import { withoutPassword } from "../../view/commandLine.ts"

/** A setting as it applies. */
export interface Applied {
  readonly name: string
  readonly value: string
  /** The variable, the file, or that it is the default. */
  readonly from: string
  /** What is wrong with the value. */
  readonly problem: string | null
}

/**
 * All settings that say something, in the order in which the help has them: the environment before the configuration
 * before the default. A flag would win over all of them.
 *
 * @category running
 * @since 0.1.0
 */
export const applied = Effect.gen(function* () {
  const project = yield* Project
  const found: Array<Applied> = []
  for (const [name, { accepts, default: fallback, expected, variable }] of settings) {
    const fromEnvironment = Option.getOrUndefined(yield* Effect.option(Config.NonEmptyString(variable)))
    const value = fromEnvironment ?? project.settings[name] ?? fallback
    if (value === undefined) continue
    const from = fromEnvironment !== undefined ? variable : name in project.settings ? (project.name ?? "") : "default"
    const isGiven = from !== "default"
    found.push({
      name,
      value: firstLine(withoutPassword(value)),
      from,
      problem: isGiven && !accepts(value) ? `takes ${expected}` : null
    })
  }
  return found
})
