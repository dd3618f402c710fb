/**
 * Why a program could not be run.
 *
 * @since 0.1.0
 */
import * as PlatformError from "effect/PlatformError"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type { Command } from "./Command.ts"

/**
 * The program did not start, or its output could not be read. The way in which a started program ends is not such an error.
 *
 * - `NotFound`, `NotExecutable`, `BadDirectory` (the working directory): a retry fails as well
 * - `Busy`: the system has no process, memory or file handle left at the moment
 * - `Unknown`: anything else, such as an environment that is too large for the system
 *
 * @category errors
 * @since 0.1.0
 */
export class ProgramError extends Schema.TaggedError<ProgramError>()("ProgramError", {
  reason: Schema.Literals(["NotFound", "NotExecutable", "BadDirectory", "Busy", "Unknown"]),
  message: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {
  /** Translates the error of a spawner. */
  static readonly from =
    (command: Command, cwd: string | undefined) =>
    (cause: unknown): ProgramError => {
      const reason = reasonOf(cause)
      return new ProgramError({ reason, message: sentence(reason, command, cwd, cause), cause })
    }
}

const busy = new Set(["EAGAIN", "EMFILE", "ENFILE", "ENOMEM", "ETXTBSY"])

const reasonOf = (cause: unknown): ProgramError["reason"] => {
  const reason = PlatformError.isPlatformError(cause) ? cause.reason : undefined
  const error = PlatformError.isPlatformError(cause) ? cause.cause : cause
  const code = Predicate.hasProperty(error, "code") ? error.code : undefined
  if (Predicate.isString(code) && busy.has(code)) return "Busy"
  if (reason?.module === "FileSystem") return "BadDirectory"
  if (reason?._tag === "NotFound") return "NotFound"
  if (reason?._tag === "PermissionDenied") return "NotExecutable"
  return "Unknown"
}

const sentence = (
  reason: ProgramError["reason"],
  command: Command,
  cwd: string | undefined,
  cause: unknown
): string => {
  const program = command._tag === "Shell" ? "the shell" : `the program "${command.program}"`
  switch (reason) {
    case "NotFound":
      return program.includes("/")
        ? `Not found: ${program}, or the interpreter that its first line names.`
        : `Not found: ${program}. Check its name, or put its directory into PATH.`
    case "NotExecutable":
      return `Not executable: ${program}. Give it the permission (chmod +x), or name its interpreter in front of it.`
    case "BadDirectory":
      return `The working directory "${cwd}" does not exist or cannot be entered.`
    case "Busy":
      return `The system could not start ${program} just now: ${reasonText(cause)}.`
    case "Unknown":
      return `Could not start ${program}: ${reasonText(cause)}.`
  }
}

const reasonText = (cause: unknown): string => {
  if (PlatformError.isPlatformError(cause) && cause.cause !== undefined) return reasonText(cause.cause)
  return Predicate.isError(cause) ? cause.message : String(cause)
}
