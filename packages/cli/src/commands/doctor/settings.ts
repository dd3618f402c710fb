/** The settings in effect for every run in this directory. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Project } from "../../settings/Project.ts"
import { settings } from "../../settings/envFlag.ts"
import { firstLine } from "../../view/safeText.ts"
import { withoutPassword } from "../../view/commandLine.ts"

/** A setting in effect. */
export interface Applied {
  readonly name: string
  readonly value: string
  /** The variable, the file, or "default". */
  readonly from: string
  /** The problem with the value, if any. */
  readonly problem: string | null
}

/**
 * All settings that have a value, in the order of the help. The environment overrides the configuration, and the
 * configuration overrides the default. A flag overrides all of them.
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
