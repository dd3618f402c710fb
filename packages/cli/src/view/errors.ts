/** Tells a person what went wrong. */
import * as Cause from "effect/Cause"
import * as CliError from "effect/cli/CliError"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { isPlatformError } from "effect/PlatformError"
import * as Predicate from "effect/Predicate"
import { SourceError } from "../sources/SourceError.ts"
import { EndedWith } from "../system/CommandFailed.ts"

/**
 * Writes the failures of a command to standard error: one sentence for what can be expected to go wrong, everything
 * there is to know for what cannot.
 */
export const report = (cause: Cause.Cause<unknown>): Effect.Effect<void> => {
  const text = describe(cause)
  return text === "" ? Effect.void : Console.error(text)
}

/** Whether a write failed because nobody reads what is written any more, as in `baton list | head`. */
export const isBrokenPipe = (error: unknown): boolean => {
  const cause = isPlatformError(error) ? error.reason.cause : undefined
  return Predicate.hasProperty(cause, "code") && cause.code === "EPIPE"
}

const describe = (cause: Cause.Cause<unknown>): string => {
  const defect = cause.reasons.find(Cause.isDieReason)
  if (defect !== undefined) {
    return `error: something unexpected happened. This is a bug in baton; please report it with these lines:\n${Cause.pretty(cause)}`
  }
  return cause.reasons
    .filter(Cause.isFailReason)
    .map(({ error }) => sentence(error))
    .filter((line) => line !== "")
    .join("\n")
}

const sentence = (error: unknown): string => {
  // Shown where it was raised.
  if (error instanceof EndedWith || isBrokenPipe(error)) return ""
  if (CliError.isCliError(error) && error._tag === "ShowHelp") return ""
  // Its lines start with the file and the line, as an editor wants them.
  if (error instanceof SourceError) return error.message
  if (isPlatformError(error) && error.reason.module === "Stdio") {
    return `error: standard output cannot be written: ${text(error.reason.cause ?? error)}.`
  }
  return `error: ${text(error)}`
}

const text = (error: unknown): string => (Predicate.isError(error) ? error.message : String(error))
