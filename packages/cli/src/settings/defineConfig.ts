/** The types of `baton.config.ts`. */
import type { Executions } from "@baton/adapters/workflow"
import type { Executor } from "@baton/core/Executor"
import type { Hook } from "@baton/core/Hooks"
import type { Safety } from "@baton/core/Safety"
import type { TaskStore } from "@baton/core/TaskStore"
import type { Verifier } from "@baton/core/Verifier"
import type { Duration } from "effect/Duration"
import type { Layer } from "effect/Layer"
import type { Address } from "../system/Kind.ts"
import type { SettingName, settings, ValueOf } from "./settings.ts"

/** A duration, as flags take it: `500ms`, `30s`, `10m`, `8h`. */
export type DurationText = `${number}${"ms" | "s" | "m" | "h" | "d"}`

/** A value as the file contains it. */
type Written<A> = A extends Duration ? DurationText : A extends Address | ReadonlyArray<number> ? number | string : A

/** The layers that the file can contain instead of the name of a part. */
interface Layers {
  readonly store: Layer<TaskStore, unknown>
  readonly executor: Layer<Executor, unknown>
  readonly verifier: Layer<Verifier, unknown>
}

/** A flag takes `config` for the layer of the file; the file contains the layer. */
type Configured<Name extends SettingName> =
  | Exclude<Written<ValueOf<Name>>, "config">
  | (Name extends keyof Layers ? Layers[Name] : never)

/**
 * The settings that every command in this directory uses. Each setting is a flag in camel case with the flag's default; see
 * `baton run --help`. `store`, `executor` and `verifier` also take a layer of your own. A flag overrides the environment, and
 * the environment overrides this file. Relative paths are relative to the working directory.
 */
export type Settings = {
  readonly [
    Name in SettingName as (typeof settings)[Name] extends { readonly inFile: false } ? never : Name
  ]?: Configured<Name>
} & {
  /** Limits of your own, in addition to those that are settings. */
  readonly safety?: Layer<Safety, unknown>
  /** Functions that receive every event of a run. */
  readonly hooks?: ReadonlyArray<Hook>
  /** Workflows, registered with `Executions.register` of `@baton/adapters/workflow`. */
  readonly workflows?: Executions.Registered
}

/** A configuration: settings, and profiles that `--profile NAME` applies over them. */
export type BatonConfig = Settings & {
  readonly profiles?: Readonly<Record<string, Settings>>
}

/** Returns its argument. It exists for its type: `export default defineConfig({ ... })`. */
export const defineConfig = (config: BatonConfig): BatonConfig => config
