/** How commands fail, and the exit codes that tell it to other programs. */
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"

/** The exit codes of `baton`; a signal ends it with 128 and its number. */
export const exitCodes = {
  /** Everything was done. */
  ok: 0,
  /** Bad usage or configuration, or an unexpected error. */
  error: 1,
  /** At least one task is in the dead-letter queue, or waits for one that will never complete. */
  deadLetters: 2,
  /** A safety limit stopped the run. */
  limitReached: 3,
  /** Nobody reads the output any more: what a program gets that writes into a closed pipe. */
  brokenPipe: 141,
  /** `baton stop`, from elsewhere: as SIGTERM does. */
  stopped: 143
} as const

/** A command could not do what it was asked. Its message is one sentence for a person, with the way out. */
export class CommandFailed extends Schema.TaggedError<CommandFailed>()("CommandFailed", {
  message: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = exitCodes.error
}

/** A command did its work and has told its result; the exit code tells it to programs. Nothing more is printed. */
export class EndedWith extends Schema.TaggedError<EndedWith>()("EndedWith", { exitCode: Schema.Int }) {
  override readonly [Runtime.errorExitCode] = this.exitCode
}
