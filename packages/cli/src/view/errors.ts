/** Prints errors for people. */
import * as Cause from "effect/Cause"
import * as CliError from "effect/cli/CliError"
import * as Effect from "effect/Effect"
import { isPlatformError } from "effect/PlatformError"
import * as Predicate from "effect/Predicate"
import { SourceError } from "../sources/SourceError.ts"
import { EndedWith } from "../system/CommandFailed.ts"
import { printMessage } from "./stderr.ts"
import { safeText } from "./safeText.ts"

/** Writes the failures of a command to standard error: a message for expected errors, and all details for bugs. */
export const printErrors = (cause: Cause.Cause<unknown>): Effect.Effect<void> => {
  const text = safeText(describe(cause))
  return text === "" ? Effect.void : printMessage(text)
}

/** Whether a write failed because the pipe was closed, as in `baton list | head`. */
export const isBrokenPipe = (error: unknown): boolean => {
  const cause = isPlatformError(error) ? error.reason.cause : undefined
  return Predicate.hasProperty(cause, "code") && cause.code === "EPIPE"
}

const describe = (cause: Cause.Cause<unknown>): string => {
  const defect = cause.reasons.find(Cause.isDieReason)
  if (defect !== undefined) {
    return `error: an unexpected error occurred. This is a bug in baton; please report it with the following lines:\n${Cause.pretty(cause)}`
  }
  return cause.reasons
    .filter(Cause.isFailReason)
    .map(({ error }) => sentence(error))
    .filter((line) => line !== "")
    .join("\n")
}

const sentence = (error: unknown): string => {
  // Already shown.
  if (error instanceof EndedWith || isBrokenPipe(error)) return ""
  if (CliError.isCliError(error) && error._tag === "ShowHelp") return ""
  // Its lines start with file and line, so that editors can follow them.
  if (error instanceof SourceError) return error.message
  if (isPlatformError(error) && error.reason.module === "Stdio") {
    return `error: writing to standard output failed: ${text(error.reason.cause ?? error)}.`
  }
  return `error: ${text(error)}`
}

const text = (error: unknown): string => (Predicate.isError(error) ? error.message : String(error))
