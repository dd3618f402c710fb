/**
 * The configuration file of the directory that a command runs in, as the rest of the command line sees it.
 *
 * @since 0.1.0
 */
import type { Hook } from "@baton/core/Hooks"
import * as Cause from "effect/Cause"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import { CommandFailed } from "../system/CommandFailed.ts"

/** The parts of a run that a configuration can bring as layers. */
export type PartName = "store" | "executor" | "verifier" | "safety"

/**
 * What the configuration says.
 *
 * @category services
 * @since 0.1.0
 */
export interface ProjectService {
  /** As messages name it: the file, and the profile where there is one. Null without a file. */
  readonly name: string | null
  /** The flags that chose it, as a hint repeats them. */
  readonly flags: ReadonlyArray<string>
  /** Settings as text, as a flag would have them, by their name in the file. */
  readonly settings: Readonly<Record<string, string>>
  /** What the layers provide and require shows when they are built. */
  readonly parts: { readonly [Name in PartName]?: Layer.Layer<unknown, unknown> }
  readonly hooks: ReadonlyArray<Hook>
}

/** A directory without a configuration. */
const none: ProjectService = { name: null, flags: [], settings: {}, parts: {}, hooks: [] }

/**
 * The configuration of this command line; an empty one unless a file was loaded.
 *
 * @category services
 * @since 0.1.0
 */
export const Project = Context.Reference<ProjectService>("@baton/cli/settings/Project", { defaultValue: () => none })

/**
 * The part of the configuration that flags look into, as a path that no environment variable can have.
 *
 * @category configuration
 * @since 0.1.0
 */
export const fileRoot = "baton.config"

/**
 * Stands in a setting for a layer: `--store config`, `--executor config`, `--verifier config`.
 *
 * @category configuration
 * @since 0.1.0
 */
export const fromConfig = "config"

/**
 * Makes a configuration known to the flags, behind the environment, and to the parts of a run.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (project: ProjectService): Layer.Layer<never> =>
  Layer.merge(
    Layer.succeed(Project, project),
    ConfigProvider.layerAdd(ConfigProvider.fromUnknown({ [fileRoot]: project.settings }))
  )

/**
 * A part that the configuration brings. Fails with one sentence when it brings none, or something else.
 *
 * @category layers
 * @since 0.1.0
 */
export const part = <Id, Service>(name: PartName, service: Context.Key<Id, Service>): Layer.Layer<Id, CommandFailed> =>
  Layer.effect(
    service,
    Effect.gen(function* () {
      const project = yield* Project
      const provided = project.parts[name]
      if (provided === undefined) {
        return yield* new CommandFailed({
          message: `--${name} config is for a layer in the configuration, and ${project.name ?? "this directory"} has none: give it \`${name}\` there.`
        })
      }
      const context = yield* Effect.catchCause(Layer.build(provided), (cause) => {
        const error = Cause.squash(cause)
        const why = Predicate.isError(error) ? error.message : String(error)
        return Effect.fail(new CommandFailed({ message: `\`${name}\` in ${project.name} cannot be made: ${why}` }))
      })
      const built = Context.getOption(context, service)
      if (Option.isSome(built)) return built.value
      return yield* new CommandFailed({
        message: `\`${name}\` in ${project.name} is a layer that provides something else: it has to provide ${service.key}.`
      })
    })
  )
