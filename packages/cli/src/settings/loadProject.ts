/**
 * Finds and loads `baton.config.ts`.
 *
 * Node runs it as it is, types stripped, so it can do whatever a program can: it is trusted as the rest of the directory is.
 *
 * @since 0.1.0
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
import type { Hook } from "@baton/core/Hooks"
import { fromConfig, type PartName, type ProjectService } from "./Project.ts"

/**
 * The names a configuration goes by, the first that is there is taken.
 *
 * @category configuration
 * @since 0.1.0
 */
export const fileNames = ["baton.config.ts", "baton.config.mts", "baton.config.js", "baton.config.mjs"] as const

/** Which configuration is asked for. */
export interface Asked {
  /** A file; by default the one in the working directory, if there is one. */
  readonly file: string | undefined
  readonly profile: string | undefined
}

/**
 * The configuration that a command line asks for. It is needed before the flags can be read, because it stands in for
 * those that are left out; so these two are looked up by themselves.
 *
 * @category getters
 * @since 0.1.0
 */
export const askedBy = (args: ReadonlyArray<string>): Asked => {
  const own = args.includes("--") ? args.slice(0, args.indexOf("--")) : args
  const valueOf = (flag: string) => {
    const index = own.findLastIndex((arg) => arg === flag || arg.startsWith(`${flag}=`))
    const found = own[index]
    return found === undefined ? undefined : found === flag ? own[index + 1] : found.slice(flag.length + 1)
  }
  return {
    file: valueOf("--config-file"),
    profile: valueOf("--profile")
  }
}

/**
 * Loads a configuration; null when none is there and none was asked for. What is wrong with it is told with file and line.
 *
 * @category constructors
 * @since 0.1.0
 */
export const load = Effect.fnUntraced(function* (onCommandLine: Asked) {
  const asked = {
    file: onCommandLine.file ?? (yield* variable(variableName("configFile"))),
    profile: onCommandLine.profile ?? (yield* variable(variableName("profile")))
  }
  const file = yield* find(asked)
  if (file === null) return null
  const path = yield* Path.Path
  const fs = yield* FileSystem.FileSystem
  const exported = yield* evaluate(file, path.resolve(file))
  const text = yield* Effect.orElseSucceed(fs.readFileString(file), () => "")
  const flags = [
    ...(onCommandLine.file === undefined ? [] : ["--config-file", onCommandLine.file]),
    ...(onCommandLine.profile === undefined ? [] : ["--profile", onCommandLine.profile])
  ]
  return { ...(yield* Effect.fromResult(read({ file, text }, exported, asked.profile))), flags }
})

const variable = (name: string) => Config.NonEmptyString(name).pipe(Effect.option, Effect.map(Option.getOrUndefined))

const find = Effect.fnUntraced(function* ({ file, profile }: Asked) {
  const fs = yield* FileSystem.FileSystem
  const exists = (name: string) => Effect.orElseSucceed(fs.exists(name), () => false)
  if (file !== undefined) {
    if (yield* exists(file)) return file
    return yield* new CommandFailed({ message: `There is no configuration at ${file}.` })
  }
  for (const name of fileNames) {
    if (yield* exists(name)) return name
  }
  if (profile === undefined) return null
  return yield* new CommandFailed({
    message: `--profile ${profile} needs a ${fileNames[0]} in this directory; \`baton init\` writes one.`
  })
})

const evaluate = (file: string, absolute: string) =>
  Effect.tryPromise({
    try: () => {
      offerTypes()
      return import(pathToFileURL(absolute).href).then((module: unknown) =>
        Predicate.hasProperty(module, "default") ? module.default : undefined
      )
    },
    catch: (error) => {
      const [where, what] = describe(error, absolute)
      return sources.make(file, where, what)
    }
  })

/** So that a configuration can import `@baton/cli/config` where baton is installed for the whole machine. */
const offerTypes = () => {
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

/** Node tells the place of a syntax error in the first line of its stack, and that of any other in one of the next. */
const describe = (error: unknown, absolute: string): readonly [line: number | null, message: string] => {
  if (!Predicate.isError(error)) return [null, `it cannot be loaded: ${String(error)}`]
  const escaped = absolute.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
  const line = new RegExp(`${escaped}:(\\d+)`).exec(error.stack ?? "")?.[1]
  const missing = /Cannot find package '([^']+)'/.exec(error.message)?.[1]
  return [
    line === undefined ? null : Number(line),
    missing === undefined
      ? `it cannot be loaded: ${error.message}`
      : `it imports "${missing}", which is not installed here: npm install --save-dev ${missing}`
  ]
}

interface Source {
  readonly file: string
  readonly text: string
}

const isPartName = (key: string): key is PartName =>
  key === "store" || key === "executor" || key === "verifier" || key === "safety"

// Types do not survive to run time: what a layer lacks, or a hook returns, shows when it is used, and is told then.
const isLayer = (value: unknown): value is Layer.Layer<unknown, unknown> => Layer.isLayer(value)

const isHooks = (value: unknown): value is ReadonlyArray<Hook> =>
  Array.isArray(value) && value.every(Predicate.isFunction)

const read = (
  source: Source,
  exported: unknown,
  profile: string | undefined
): Result.Result<Omit<ProjectService, "flags">, sources.SourceError> => {
  const wrong = (key: string | null, message: string) =>
    Result.fail(sources.make(source.file, key === null ? null : lineOf(source.text, key), message))

  if (!Predicate.isObject(exported)) {
    return wrong(null, "it has no default export: write `export default defineConfig({ ... })`.")
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
      `there is no profile "${profile}"${names.length === 0 ? "" : `: there are ${names.join(", ")}`}.`
    )
  }

  const settings: Record<string, string> = {}
  const parts: { [Name in PartName]?: Layer.Layer<unknown, unknown> } = {}
  let hooks: ReadonlyArray<Hook> = []
  for (const [key, value] of Object.entries({ ...withoutRivals(base, chosen), ...chosen })) {
    if (value === undefined) continue
    if (key === "hooks") {
      if (!isHooks(value)) return wrong(key, "`hooks` takes an array of functions from an event to an Effect.")
      hooks = value
    } else if (isPartName(key) && isLayer(value)) {
      parts[key] = value
      if (key !== "safety") settings[key] = fromConfig
    } else if (key === "safety") {
      return wrong(key, "`safety` takes a layer; limits such as `maxCost` are settings of their own.")
    } else if (settingInFile(key) === undefined) {
      const guesses = nearest(key, [...settingNames.filter(settingInFile), "safety", "hooks", "profiles"])
      const meant = guesses.length === 0 ? "" : `; did you mean \`${guesses.join("` or `")}\`?`
      return wrong(key, `there is no setting \`${key}\`${meant === "" ? "." : meant}`)
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
    hooks
  })
}

/** Settings of which one is enough: a profile that names another way replaces the way of the base. */
const rivals = [
  ["exec", "shell", "executor"],
  ["verify", "verifier", "noVerify"]
]

const withoutRivals = (base: object, chosen: object): object =>
  Object.fromEntries(
    Object.entries(base).filter(
      ([key]) => !rivals.some((names) => names.includes(key) && names.some((name) => Object.hasOwn(chosen, name)))
    )
  )

const lineOf = (text: string, key: string): number | null => {
  const index = text.search(new RegExp(`(?<![\\w$.])["']?${key.replaceAll(/\W/g, "")}["']?\\s*[:,}(]`))
  return index < 0 ? null : text.slice(0, index).split("\n").length
}
