/**
 * Flags of one command, which the environment cannot stand in for: what they ask for is meant once.
 *
 * @since 0.1.0
 */
import * as Argument from "effect/cli/Argument"
import * as CliError from "effect/cli/CliError"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import type { Kind } from "./Kind.ts"

/**
 * A flag with a value; undefined when it is not there.
 *
 * @category constructors
 * @since 0.1.0
 */
export const value = <A>(
  name: string,
  kind: Kind<A>,
  description: string,
  options?: { readonly alias?: string | undefined }
): Flag.Flag<A | undefined> =>
  Flag.String(name).pipe(
    options?.alias === undefined ? identity : Flag.withAlias(options.alias),
    Flag.withMetavar(kind.metavar),
    Flag.withDescription(description),
    Flag.optional,
    Flag.mapEffect((text) => (Option.isNone(text) ? Effect.succeed(undefined) : read(kind, `--${name}`, text.value)))
  )

/**
 * A flag with a value that can be given several times.
 *
 * @category constructors
 * @since 0.1.0
 */
export const values = <A>(name: string, kind: Kind<A>, description: string): Flag.Flag<ReadonlyArray<A>> =>
  Flag.String(name).pipe(
    Flag.withMetavar(kind.metavar),
    Flag.withDescription(description),
    Flag.atLeast(0),
    Flag.mapEffect((texts) => Effect.forEach(texts, (text) => read(kind, `--${name}`, text)))
  )

/**
 * A flag that is there or not.
 *
 * @category constructors
 * @since 0.1.0
 */
export const toggle = (name: string, description: string): Flag.Flag<boolean> =>
  Flag.Boolean(name).pipe(Flag.withoutNegation, Flag.withDescription(description), Flag.withDefault(false))

/**
 * An argument that has to be there.
 *
 * @category constructors
 * @since 0.1.0
 */
export const argument = <A>(kind: Kind<A>, description: string): Argument.Argument<A> =>
  Argument.String(kind.metavar).pipe(
    Argument.withDescription(description),
    Argument.mapEffect((text) => read(kind, kind.metavar, text))
  )

/**
 * Arguments of one kind, as many as there are.
 *
 * @category constructors
 * @since 0.1.0
 */
export const argumentsOf = <A>(
  kind: Kind<A>,
  options: { readonly min: number; readonly description: string }
): Argument.Argument<ReadonlyArray<A>> =>
  Argument.String(kind.metavar).pipe(
    Argument.withDescription(options.description),
    Argument.variadic({ min: options.min }),
    Argument.mapEffect((texts) => Effect.forEach(texts, (text) => read(kind, kind.metavar, text)))
  )

const read = <A>(kind: Kind<A>, by: string, text: string): Effect.Effect<A, CliError.ValidationError> => {
  const value = kind.read(text)
  return value === undefined
    ? Effect.fail(new CliError.ValidationError({ message: `${by} is "${text}": it takes ${kind.expected}.` }))
    : Effect.succeed(value)
}
