/** The loaded configuration file. */
import type { Executions } from "@baton/adapters/workflow"
import type { Hook } from "@baton/core/Hooks"
import * as Cause from "effect/Cause"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import { CommandFailed } from "../system/CommandFailed.ts"

/** The parts of a run that a configuration can provide as layers. */
export type PartName = "store" | "executor" | "verifier" | "safety"

/** The contents of the configuration. */
export interface ProjectService {
  /** Its name in messages: the file, and the profile if one is selected. Null without a file. */
  readonly name: string | null
  /** The flags that selected it, for suggested commands. */
  readonly flags: ReadonlyArray<string>
  /** The settings by name, as text that the flags accept. */
  readonly settings: Readonly<Record<string, string>>
  /** The layers. Their services and requirements are only known when they are built. */
  readonly parts: { readonly [Name in PartName]?: Layer.Layer<unknown, unknown> }
  readonly hooks: ReadonlyArray<Hook>
  readonly workflows: Executions.Registered | null
}

/** A directory without a configuration. */
const none: ProjectService = { name: null, flags: [], settings: {}, parts: {}, hooks: [], workflows: null }

/** The configuration of this command line; empty unless a file was loaded. */
export const Project = Context.Reference<ProjectService>("@baton/cli/settings/Project", { defaultValue: () => none })

/** The path under which flags find the settings of the file; no environment variable can have this path. */
export const fileRoot = "baton.config"

/** The value that selects a layer of the configuration: `--store config`, `--executor config`, `--verifier config`. */
export const fromConfig = "config"

/** Provides a configuration to the flags, with a lower precedence than the environment, and to the parts of a run. */
export const layer = (project: ProjectService): Layer.Layer<never> =>
  Layer.merge(
    Layer.succeed(Project, project),
    ConfigProvider.layerAdd(ConfigProvider.fromUnknown({ [fileRoot]: project.settings }))
  )

/** A layer of the configuration. Fails with a message for the user if it is missing or provides another service. */
export const part = <Id, Service>(name: PartName, service: Context.Key<Id, Service>): Layer.Layer<Id, CommandFailed> =>
  Layer.effect(
    service,
    Effect.gen(function* () {
      const project = yield* Project
      const provided = project.parts[name]
      if (provided === undefined) {
        return yield* new CommandFailed({
          message: `--${name} config needs a layer, but ${project.name ?? "this directory"} has none. Set \`${name}\` in ${project.name ?? "baton.config.ts"}.`
        })
      }
      const context = yield* Effect.catchCause(Layer.build(provided), (cause) => {
        const error = Cause.squash(cause)
        const reason = Predicate.isError(error) ? error.message : String(error)
        return Effect.fail(new CommandFailed({ message: `\`${name}\` in ${project.name} cannot be built: ${reason}` }))
      })
      const built = Context.getOption(context, service)
      if (Option.isSome(built)) return built.value
      return yield* new CommandFailed({
        message: `\`${name}\` in ${project.name} does not provide ${service.key}. Use a layer that provides it.`
      })
    })
  )
