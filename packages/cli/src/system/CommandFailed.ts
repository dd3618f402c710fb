/** Errors of commands, and exit codes. */
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"

/** The exit codes of `baton`. After a signal, the exit code is 128 plus its number. */
export const exitCodes = {
  /** Success. */
  ok: 0,
  /** Wrong usage or configuration, or an unexpected error. */
  error: 1,
  /** At least one task is in the dead-letter queue, or depends on one that will never complete. */
  deadLetters: 2,
  /** A safety limit stopped the run. */
  limitReached: 3,
  /** No task failed, and at least one waits for a person. */
  inReview: 4,
  /** Ctrl-C at a question; the code of SIGINT. */
  interrupted: 130,
  /** The pipe on standard output was closed; the code of SIGPIPE. */
  brokenPipe: 141,
  /** `baton stop`; the code of SIGTERM. */
  stopped: 143
} as const

/** A command failed. The message says what happened, what was expected, and what to type. */
export class CommandFailed extends Schema.TaggedError<CommandFailed>()("CommandFailed", {
  message: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = exitCodes.error
}

/** A command has printed its result and ends with this exit code. Nothing else is printed. */
export class EndedWith extends Schema.TaggedError<EndedWith>()("EndedWith", { exitCode: Schema.Int }) {
  override readonly [Runtime.errorExitCode] = this.exitCode
}
