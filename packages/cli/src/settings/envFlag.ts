/**
 * Flags that the environment and the configuration can stand in for: `--max-attempts 5`, `BATON_MAX_ATTEMPTS=5`, or
 * `maxAttempts: 5` in `baton.config.ts`. The first of them that is there counts.
 *
 * @since 0.1.0
 */
import * as CliError from "effect/cli/CliError"
import * as Flag from "effect/cli/Flag"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Project, root } from "./Project.ts"
import type { Kind } from "./Kind.ts"

/**
 * A value, and who gave it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Given<A> {
  readonly value: A
  /** The flag, the variable or the setting, as a message names it. */
  readonly by: string
  readonly origin: Origin
}

/**
 * Where a value can come from; the first wins.
 *
 * @category models
 * @since 0.1.0
 */
export const origins = ["flag", "environment", "configuration"] as const

/** @since 0.1.0 */
export type Origin = (typeof origins)[number]

/**
 * A flag that can be set from elsewhere.
 *
 * @category models
 * @since 0.1.0
 */
export interface Setting {
  readonly flag: string
  readonly variable: string
  /** Completes the sentence "it takes ...". */
  readonly expected: string
  /** Whether a text stands for a value. */
  readonly accepts: (text: string) => boolean
  readonly default: string | undefined
}

const all = new Map<string, Setting>()

/**
 * The flags that can be set from elsewhere, by their name in a configuration; complete once the commands are loaded.
 *
 * @category models
 * @since 0.1.0
 */
export const settings: ReadonlyMap<string, Setting> = all

interface Options {
  readonly description: string
  /** What applies when nothing is given, for the help. */
  readonly default?: string | undefined
  readonly alias?: string | undefined
}

/**
 * A flag with a value; undefined when neither the flag nor its variable is there.
 *
 * @category constructors
 * @since 0.1.0
 */
export const value = <A>(name: string, kind: Kind<A>, options: Options): Flag.Flag<A | undefined> =>
  Flag.map(given(name, kind, options), (given) => given?.value)

/**
 * As `value`, and says who gave it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const given = <A>(name: string, kind: Kind<A>, options: Options): Flag.Flag<Given<A> | undefined> => {
  const { key, variable } = register(name, kind, options)
  return Flag.String(name).pipe(
    options.alias === undefined ? (flag) => flag : Flag.withAlias(options.alias),
    Flag.withMetavar(kind.metavar),
    Flag.withDescription(describe(options)),
    Flag.map((value): Given<string> => ({ value, by: `--${name}`, origin: "flag" })),
    Flag.withFallbackConfig(
      Config.map(Config.NonEmptyString(variable), (value): Given<string> => ({
        value,
        by: variable,
        origin: "environment"
      }))
    ),
    Flag.withFallbackConfig(
      Config.map(configured(key), (value): Given<string> => ({ value, by: key, origin: "configuration" }))
    ),
    Flag.optional,
    Flag.mapEffect(
      Effect.fnUntraced(function* (option) {
        if (Option.isNone(option)) return undefined
        const given = option.value
        const by = given.origin === "configuration" ? `${given.by} in ${(yield* Project).name}` : given.by
        const value = kind.read(given.value)
        if (value !== undefined) return { ...given, by, value }
        return yield* new CliError.ValidationError({
          message: `${by} is "${given.value}": it takes ${kind.expected}.`
        })
      })
    )
  )
}

/**
 * A flag that is there or not.
 *
 * @category constructors
 * @since 0.1.0
 */
export const toggle = (name: string, options: Options): Flag.Flag<boolean> => {
  const { key, variable } = register(name, onOff, options)
  return Flag.Boolean(name).pipe(
    Flag.withoutNegation,
    options.alias === undefined ? (flag) => flag : Flag.withAlias(options.alias),
    Flag.withDescription(describe(options)),
    Flag.withFallbackConfig(Config.Boolean(variable)),
    Flag.withFallbackConfig(Config.Boolean(key).pipe(Config.nested(root))),
    Flag.withDefault(false)
  )
}

const describe = (options: Options): string =>
  options.default === undefined ? options.description : `${options.description} (default ${options.default})`

const register = (name: string, kind: Pick<Kind<unknown>, "expected" | "read">, options: Options) => {
  const variable = `BATON_${name.toUpperCase().replaceAll("-", "_")}`
  const key = name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
  all.set(key, {
    flag: `--${name}`,
    variable,
    expected: kind.expected,
    accepts: (text) => kind.read(text) !== undefined,
    default: options.default
  })
  return { key, variable }
}

const configured = (key: string) => Config.NonEmptyString(key).pipe(Config.nested(root))

const onOff = {
  expected: "true or false",
  read: (text: string) => (/^(?:true|false|yes|no|on|off|y|n|1|0)$/.test(text) ? true : undefined)
}
