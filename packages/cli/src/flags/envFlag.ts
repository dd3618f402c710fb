/**
 * Flags that the environment can stand in for: `--max-attempts 5` or `BATON_MAX_ATTEMPTS=5`. The flag wins.
 *
 * @since 0.1.0
 */
import * as CliError from "effect/cli/CliError"
import * as Flag from "effect/cli/Flag"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Kind } from "./Kind.ts"

/**
 * A value, and who gave it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Given<A> {
  readonly value: A
  /** The flag or the variable, as a message names it. */
  readonly by: string
  readonly origin: "flag" | "environment"
}

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
  const variable = variableOf(name)
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
    Flag.optional,
    Flag.mapEffect((given) => {
      if (Option.isNone(given)) return Effect.succeed(undefined)
      const value = kind.read(given.value.value)
      return value === undefined
        ? Effect.fail(
            new CliError.ValidationError({
              message: `${given.value.by} is "${given.value.value}": it takes ${kind.expected}.`
            })
          )
        : Effect.succeed({ ...given.value, value })
    })
  )
}

/**
 * A flag that is there or not.
 *
 * @category constructors
 * @since 0.1.0
 */
export const toggle = (name: string, options: Options): Flag.Flag<boolean> =>
  Flag.Boolean(name).pipe(
    Flag.withoutNegation,
    options.alias === undefined ? (flag) => flag : Flag.withAlias(options.alias),
    Flag.withDescription(describe(options)),
    Flag.withFallbackConfig(Config.Boolean(variableOf(name))),
    Flag.withDefault(false)
  )

const describe = (options: Options): string =>
  options.default === undefined ? options.description : `${options.description} (default ${options.default})`

const variableOf = (name: string): string => `BATON_${name.toUpperCase().replaceAll("-", "_")}`
