/**
 * Finds and loads `baton.config.ts`.
 *
 * Node runs the file and strips its types. The file can do everything that a program can, so it is as trusted as any other
 * code in the directory.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import { registerHooks } from "node:module"
import { pathToFileURL } from "node:url"
import { CommandFailed } from "../system/CommandFailed.ts"
import { settingInFile, settingNames, variableName } from "./settings.ts"
import { nearest } from "../system/nearest.ts"
import * as sources from "../sources/SourceError.ts"
import type { Executions } from "@baton/adapters/workflow"
import type { Hook } from "@baton/core/Hooks"
import { fromConfig, type PartName, type ProjectService } from "./Project.ts"

/** The names of the configuration file. The first one that exists is used. */
export const fileNames = ["baton.config.ts", "baton.config.mts", "baton.config.js", "baton.config.mjs"] as const

/** The selected configuration. */
export interface Selection {
  /** The file; by default the one in the working directory, if it exists. */
  readonly file: string | undefined
  readonly profile: string | undefined
}

/**
 * The configuration that a command line selects. These two flags are parsed separately, because the configuration is
 * needed to parse the others.
 */
export const selectionIn = (args: ReadonlyArray<string>): Selection => {
  const ownArgs = args.includes("--") ? args.slice(0, args.indexOf("--")) : args
  const valueOf = (flag: string) => {
    const index = ownArgs.findLastIndex((arg) => arg === flag || arg.startsWith(`${flag}=`))
    const found = ownArgs[index]
    return found === undefined ? undefined : found === flag ? ownArgs[index + 1] : found.slice(flag.length + 1)
  }
  return {
    file: valueOf("--config-file"),
    profile: valueOf("--profile")
  }
}

/**
 * Loads the configuration; null if no file exists and none is selected. Problems are reported with file and line.
 */
export const load = Effect.fnUntraced(function* (onCommandLine: Selection) {
  const selection = {
    file: onCommandLine.file ?? (yield* variable(variableName("configFile"))),
    profile: onCommandLine.profile ?? (yield* variable(variableName("profile")))
  }
  const file = yield* find(selection)
  if (file === null) return null
  const path = yield* Path.Path
  const fs = yield* FileSystem.FileSystem
  const exported = yield* evaluate(file, path.resolve(file))
  const text = yield* Effect.orElseSucceed(fs.readFileString(file), () => "")
  const flags = [
    ...(onCommandLine.file === undefined ? [] : ["--config-file", onCommandLine.file]),
    ...(onCommandLine.profile === undefined ? [] : ["--profile", onCommandLine.profile])
  ]
  return { ...(yield* Effect.fromResult(read({ file, text }, exported, selection.profile))), flags }
})

const variable = (name: string) => Config.NonEmptyString(name).pipe(Effect.option, Effect.map(Option.getOrUndefined))

const find = Effect.fnUntraced(function* ({ file, profile }: Selection) {
  const fs = yield* FileSystem.FileSystem
  const exists = (name: string) => Effect.orElseSucceed(fs.exists(name), () => false)
  if (file !== undefined) {
    if (yield* exists(file)) return file
    return yield* new CommandFailed({ message: `The configuration ${file} does not exist.` })
  }
  for (const name of fileNames) {
    if (yield* exists(name)) return name
  }
  if (profile === undefined) return null
  return yield* new CommandFailed({
    message: `--profile ${profile} needs a ${fileNames[0]} in this directory. Create one with \`baton init\`.`
  })
})

const evaluate = (file: string, absolute: string) =>
  Effect.tryPromise({
    try: () => {
      provideConfigModule()
      return import(pathToFileURL(absolute).href).then((module: unknown) =>
        Predicate.hasProperty(module, "default") ? module.default : undefined
      )
    },
    catch: (error) => {
      const [line, message] = describe(error, absolute)
      return sources.make(file, line, message)
    }
  })

/** Lets a configuration import `@baton/cli/config` if baton is installed globally. */
const provideConfigModule = () => {
  registerHooks({
    resolve: (specifier, context, next) => {
      if (specifier !== "@baton/cli/config") return next(specifier, context)
      try {
        return next(specifier, context)
      } catch {
        return { url: import.meta.resolve(specifier), shortCircuit: true }
      }
    }
  })
}

/** Node reports the line of a syntax error in the first line of the stack, and of other errors in a later line. */
const describe = (error: unknown, absolute: string): readonly [line: number | null, message: string] => {
  if (!Predicate.isError(error)) return [null, `cannot be loaded: ${String(error)}`]
  const escaped = absolute.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
  const line = new RegExp(`${escaped}:(\\d+)`).exec(error.stack ?? "")?.[1]
  const missing = /Cannot find package '([^']+)'/.exec(error.message)?.[1]
  return [
    line === undefined ? null : Number(line),
    missing === undefined
      ? `cannot be loaded: ${error.message}`
      : `imports "${missing}", which is not installed; run npm install --save-dev ${missing}`
  ]
}

interface Source {
  readonly file: string
  readonly text: string
}

const isPartName = (key: string): key is PartName =>
  key === "store" || key === "executor" || key === "verifier" || key === "safety"

// Types are erased at run time, so a wrong layer or hook is only detected when it is used.
const isLayer = (value: unknown): value is Layer.Layer<unknown, unknown> => Layer.isLayer(value)

const isHooks = (value: unknown): value is ReadonlyArray<Hook> =>
  Array.isArray(value) && value.every(Predicate.isFunction)

// As above: what its functions do is only known when they are used.
const isWorkflows = (value: unknown): value is Executions.Registered =>
  Predicate.hasProperty(value, "names") &&
  Array.isArray(value.names) &&
  Predicate.hasProperty(value, "start") &&
  Predicate.isFunction(value.start) &&
  Predicate.hasProperty(value, "layerSingle") &&
  Predicate.isFunction(value.layerSingle)

const read = (
  source: Source,
  exported: unknown,
  profile: string | undefined
): Result.Result<Omit<ProjectService, "flags">, sources.SourceError> => {
  const wrong = (key: string | null, message: string) =>
    Result.fail(sources.make(source.file, key === null ? null : lineOf(source.text, key), message))

  if (!Predicate.isObject(exported)) {
    return wrong(null, "there is no default export; write `export default defineConfig({ ... })`.")
  }
  const { profiles = {}, ...base } = exported as Readonly<Record<string, unknown>>
  if (!Predicate.isObject(profiles))
    return wrong("profiles", "`profiles` takes an object with a name for each profile.")
  const named = profiles as Readonly<Record<string, unknown>>
  const chosen = profile === undefined ? {} : Object.hasOwn(named, profile) ? named[profile] : undefined
  if (!Predicate.isObject(chosen)) {
    const names = Object.keys(named)
    return wrong(
      "profiles",
      `unknown profile "${profile}"${names.length === 0 ? "" : `; the profiles are ${names.join(", ")}`}.`
    )
  }

  const settings: Record<string, string> = {}
  const parts: { [Name in PartName]?: Layer.Layer<unknown, unknown> } = {}
  let hooks: ReadonlyArray<Hook> = []
  let workflows: Executions.Registered | null = null
  for (const [key, value] of Object.entries({ ...withoutAlternatives(base, chosen), ...chosen })) {
    if (value === undefined) continue
    if (key === "hooks") {
      if (!isHooks(value)) return wrong(key, "`hooks` takes an array of functions from an event to an Effect.")
      hooks = value
    } else if (key === "workflows") {
      if (!isWorkflows(value)) {
        return wrong(
          key,
          "`workflows` takes what `Executions.register({ definitions, layer })` of `@baton/adapters/workflow` returns."
        )
      }
      workflows = value
    } else if (isPartName(key) && isLayer(value)) {
      parts[key] = value
      if (key !== "safety") settings[key] = fromConfig
    } else if (key === "safety") {
      return wrong(key, "`safety` takes a layer; limits such as `maxCost` are separate settings.")
    } else if (settingInFile(key) === undefined) {
      const guesses = nearest(key, [...settingNames.filter(settingInFile), "safety", "hooks", "workflows", "profiles"])
      const meant = guesses.length === 0 ? "" : `; did you mean \`${guesses.join("` or `")}\`?`
      return wrong(key, `unknown setting \`${key}\`${meant === "" ? "." : meant}`)
    } else if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
      settings[key] = String(value)
    } else {
      return wrong(key, `\`${key}\` takes ${settingInFile(key)?.kind.expected ?? "a text or a number"}.`)
    }
  }
  return Result.succeed({
    name: profile === undefined ? source.file : `${source.file} (profile ${profile})`,
    settings,
    parts,
    hooks,
    workflows
  })
}

/** Settings that exclude each other. A setting of the profile replaces its alternatives in the base. */
const alternatives = [
  ["exec", "shell", "executor"],
  ["verify", "verifier", "noVerify"]
]

const withoutAlternatives = (base: object, chosen: object): object =>
  Object.fromEntries(
    Object.entries(base).filter(
      ([key]) => !alternatives.some((names) => names.includes(key) && names.some((name) => Object.hasOwn(chosen, name)))
    )
  )

const lineOf = (text: string, key: string): number | null => {
  const index = text.search(new RegExp(`(?<![\\w$.])["']?${key.replaceAll(/\W/g, "")}["']?\\s*[:,}(]`))
  return index < 0 ? null : text.slice(0, index).split("\n").length
}
