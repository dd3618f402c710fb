/** Flags for the settings. A value comes from the flag, the environment variable, the configuration file or the default. */
import * as CliError from "effect/cli/CliError"
import type * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import type * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Kind from "../system/Kind.ts"
import * as options from "./commandFlags.ts"
import { fileRoot, Project } from "./Project.ts"
import {
  flagName,
  type Group,
  groupTitles,
  type NamesFor,
  type SettingName,
  settingNames,
  settingOf,
  type settings,
  type TakenBy,
  type ValueOf,
  variableName
} from "./settings.ts"

/** The places that a user can set a value in, in the order of precedence. */
export const origins = ["flag", "environment", "file"] as const

/** A value and its origin. */
export interface Given<A> {
  readonly value: A
  /** The flag, the variable or the key, as a message names it. */
  readonly by: string
  readonly origin: (typeof origins)[number] | "default"
}

/** What a command receives for a setting: a boolean for one that is on or off, otherwise a value with its origin. */
export type FlagValue<Name extends SettingName> = [ValueOf<Name>] extends [boolean]
  ? boolean
  : (typeof settings)[Name] extends { readonly default: string }
    ? Given<ValueOf<Name>>
    : Given<ValueOf<Name>> | undefined

/** The value that the user set; undefined if the default applies. */
export const explicit = <A>(given: Given<A> | undefined): A | undefined =>
  given === undefined || given.origin === "default" ? undefined : given.value

/** The flag of a setting, which falls back to its variable, its key in the configuration file and its default. */
const flagOf = <Name extends SettingName>(name: Name): Flag.Flag<FlagValue<Name>> => {
  const { alias, default: fallback, help, kind, otherwise = fallback } = settingOf(name)
  const variable = variableName(name)
  const isToggle = kind === Kind.onOff
  const from = (origin: Given<string>["origin"], by: string) => (value: string) => ({ value, by, origin })
  const typed: Flag.Flag<string> = isToggle
    ? Flag.map(Flag.withoutNegation(Flag.Boolean(flagName(name))), String)
    : options.text(flagName(name), kind)
  return typed.pipe(
    alias === undefined ? identity : Flag.withAlias(alias),
    Flag.withDescription(otherwise === undefined ? help : `${help} (default ${otherwise})`),
    Flag.map(from("flag", `--${flagName(name)}`)),
    Flag.withFallbackConfig(Config.map(Config.NonEmptyString(variable), from("environment", variable))),
    Flag.withFallbackConfig(Config.map(Config.nested(Config.NonEmptyString(name), fileRoot), from("file", name))),
    Flag.withDefault(fallback === undefined ? undefined : from("default", "the default")(fallback)),
    Flag.mapEffect(
      Effect.fnUntraced(function* (given) {
        if (given === undefined) return isToggle ? false : undefined
        const value = kind.read(given.value)
        const by = given.origin === "file" ? `${given.by} in ${(yield* Project).name}` : given.by
        if (value !== undefined) return isToggle ? value : { ...given, by, value }
        return yield* new CliError.ValidationError({ message: Kind.problem(kind, by, given.value) })
      })
    )
    // The type that `kind` reads depends on the name, which the compiler cannot follow here.
  ) as Flag.Flag<FlagValue<Name>>
}

/** The flags of the settings that a command takes, by name. */
const flagsFor = <Command extends TakenBy>(command: Command) => {
  const names = settingNames.filter((name) => (settingOf(name).takenBy ?? ["run"]).includes(command))
  return Object.fromEntries(names.map((name) => [name, flagOf(name)])) as unknown as {
    readonly [Name in NamesFor<Command>]: Flag.Flag<FlagValue<Name>>
  }
}

/** The flags of `baton run`, `baton worker` and `baton plan`. */
export const runFlags = { ...flagsFor("run"), price: options.price, json: options.jsonAtEnd }

export type RunFlags = Command.Command.Config.Infer<typeof runFlags>

/** The flags of `baton worker`. */
export const workerFlags = { ...runFlags, ...flagsFor("worker") }

export type WorkerFlags = Command.Command.Config.Infer<typeof workerFlags>

/** The flags of `baton verify`. */
export const verifyFlags = { ...flagsFor("verify"), price: options.price }

export type VerifyFlags = Command.Command.Config.Infer<typeof verifyFlags>

/** The flags of a run that verifies stored outputs: these, and the defaults of all others. */
export const runFlagsOf = (flags: VerifyFlags): RunFlags => {
  const defaults = settingNames.map((name) => {
    const { default: fallback, kind } = settingOf(name)
    if (fallback === undefined) return [name, kind === Kind.onOff ? false : undefined] as const
    return [name, { value: kind.read(fallback), by: "the default", origin: "default" }] as const
  })
  // As in `flagsFor`: the type of each value follows from its name.
  return { ...Object.fromEntries(defaults), json: false, ...flags } as unknown as RunFlags
}

/** A limit in USD. */
export const costLimit = (
  flags: Pick<RunFlags, "maxCost" | "maxCostPerRun" | "maxCostPerTask">
): Given<number> | undefined => flags.maxCost ?? flags.maxCostPerRun ?? flags.maxCostPerTask

/** A limit in tokens. */
export const tokenLimit = (
  flags: Pick<RunFlags, "maxTokens" | "maxTokensPerRun" | "maxTokensPerTask">
): Given<number> | undefined => flags.maxTokens ?? flags.maxTokensPerRun ?? flags.maxTokensPerTask

/** The settings that `baton doctor` checks. */
export const doctorFlags = flagsFor("doctor")

export type DoctorFlags = Command.Command.Config.Infer<typeof doctorFlags>

export const statusFlags = flagsFor("status")

/** The settings of `baton serve`. */
export const serveFlags = flagsFor("serve")

export type ServeFlags = Command.Command.Config.Infer<typeof serveFlags>

/** The settings of `baton mcp`. */
export const mcpFlags = flagsFor("mcp")

/** `--store`, for every command. */
export const StoreUrl = GlobalFlag.Setting("store")({ flag: Flag.map(flagOf("store"), ({ value }) => value) })

/** `--queue`, for every command. */
export const QueueFlag = GlobalFlag.Setting("queue")({ flag: Flag.map(flagOf("queue"), (given) => given?.value) })

/** `--config-file`. The file is loaded before the flags are parsed: see `loadProject.selectionIn`. */
export const ConfigFile = GlobalFlag.Setting("config-file")({ flag: flagOf("configFile") })

/** `--profile`. */
export const Profile = GlobalFlag.Setting("profile")({ flag: flagOf("profile") })

const logLevels = {
  trace: "Trace",
  debug: "Debug",
  info: "Info",
  warn: "Warn",
  error: "Error",
  none: "None"
} as const satisfies Record<ValueOf<"logLevel">, LogLevel.LogLevel>

/** `--log-level`. */
export const LogLevelFlag = GlobalFlag.Setting("log-level")({
  flag: Flag.map(flagOf("logLevel"), ({ value }): LogLevel.LogLevel => logLevels[value])
})

/** `--log-format`. */
export const LogFormatFlag = GlobalFlag.Setting("log-format")({
  flag: Flag.map(flagOf("logFormat"), ({ value }) => value)
})

/** Flags that the help shows under a separate heading. */
export interface FlagGroup {
  readonly title: string
  /** The names of the flags, without dashes. */
  readonly flags: ReadonlySet<string>
}

/** The groups of a command, as an annotation. The help shows flags without a group first. */
export const FlagGroups = Context.Reference<ReadonlyArray<FlagGroup>>("@baton/cli/settings/FlagGroups", {
  defaultValue: () => []
})

const groups: ReadonlyArray<Group> = ["limits", "claude", "claudeCode", "hooks"]

/** The groups of the flags of `baton run`. */
export const runGroups: ReadonlyArray<FlagGroup> = groups.map((group) => ({
  title: groupTitles[group],
  flags: new Set([
    ...settingNames.filter((name) => settingOf(name).group === group).map(flagName),
    ...(group === "claude" ? ["price"] : [])
  ])
}))

/** A setting without its flag: the variable, the key in the file or the default. */
export interface Applied {
  readonly name: SettingName
  readonly value: string
  /** The variable, the name of the file, or `default`. */
  readonly from: string
  /** The reason a value is wrong. */
  readonly problem: string | null
}

/** The settings that have a value, in the order of the table. */
export const applied = Effect.gen(function* () {
  const project = yield* Project
  const found: Array<Applied> = []
  for (const name of settingNames) {
    const { default: fallback, inFile, kind } = settingOf(name)
    if (inFile === false) continue
    const variable = variableName(name)
    const fromEnvironment = Option.getOrUndefined(yield* Effect.option(Config.NonEmptyString(variable)))
    const fromFile = project.settings[name]
    const value = fromEnvironment ?? fromFile
    if (value !== undefined) {
      const problem = kind.read(value) === undefined ? `takes ${kind.expected}` : null
      found.push({ name, value, from: fromEnvironment === undefined ? (project.name ?? "") : variable, problem })
    } else if (fallback !== undefined) found.push({ name, value: fallback, from: "default", problem: null })
  }
  return found
})
