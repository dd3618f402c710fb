/**
 * What the commands that change dead letters work on.
 *
 * @since 0.1.0
 */
import * as CliError from "effect/cli/CliError"
import * as Effect from "effect/Effect"

/**
 * Either ids or `--all`: nothing is changed because an id was forgotten.
 *
 * @category guards
 * @since 0.1.0
 */
export const idsOrAll = (
  verb: string,
  input: { readonly ids: ReadonlyArray<string>; readonly all: boolean }
): Effect.Effect<void, CliError.ValidationError> => {
  const named = input.ids.length > 0
  if (named !== input.all) return Effect.void
  const message = named
    ? "Ids and --all do not go together: leave one of them out."
    : `Nothing was named: say which tasks to ${verb} by their ids, or --all.`
  return Effect.fail(new CliError.ValidationError({ message }))
}
