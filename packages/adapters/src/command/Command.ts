/**
 * The command to run: a program with its arguments, or a script for the shell.
 *
 * A task never becomes part of either. The program gets its description on standard input and everything else in the
 * environment, so a shell never parses the text of a task.
 *
 * @since 0.1.0
 */
import * as CommandLine from "effect/process/CommandLine"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/**
 * A command.
 *
 * - `Program`: started directly, with its arguments unchanged. The program is looked up in `PATH` unless its name contains a
 *   slash
 * - `Shell`: `/bin/sh -c script` (`cmd.exe` on Windows), for pipes, redirections and expansions
 *
 * @category models
 * @since 0.1.0
 */
export const Command = Schema.TaggedUnion({
  Program: { program: Schema.NonEmptyString, args: Schema.Array(Schema.String) },
  Shell: { script: Schema.String }
})

/** @since 0.1.0 */
export type Command = typeof Command.Type

/**
 * A command line that is incomplete or cannot be run without a shell.
 *
 * @category errors
 * @since 0.1.0
 */
export class CommandSyntaxError extends Schema.TaggedError<CommandSyntaxError>()("CommandSyntaxError", {
  /** The problem. It does not quote the rest of the text, which may contain a secret. */
  detail: Schema.String,
  /** How to fix the command. */
  remedy: Schema.String
}) {
  override get message() {
    return `${this.detail}: ${this.remedy}.`
  }
}

/**
 * A program and its arguments, unchanged.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (program: string, args: ReadonlyArray<string> = []): Command =>
  Command.make({ _tag: "Program", program, args })

/**
 * A script for the shell.
 *
 * @category constructors
 * @since 0.1.0
 */
export const shell = (script: string): Command => Command.make({ _tag: "Shell", script })

/**
 * Splits a command line into a program and its arguments, with the quotes and backslashes of a POSIX shell and without
 * starting one.
 *
 * **Details**
 *
 * - Blanks and line breaks separate words; single quotes, double quotes and backslashes work as in `sh`.
 * - Features that only a shell has are refused with a `CommandSyntaxError`: operators such as `|`, `>` and `&&`, `$NAME`,
 *   command substitution, `~`, `{a,b}`, comments, and assignments before the program. In quotes (single quotes for `$`) they
 *   are ordinary text.
 * - `*`, `?` and `[` are ordinary characters, as in a shell that finds no matching file: `grep -q [0-9]` needs no quotes.
 *
 * **Example**
 *
 * ```ts
 * import { Command } from "@baton/adapters/command"
 *
 * Command.parse(`claude -p --model 'claude-opus-5'`) // succeeds with claude and three arguments
 * Command.parse(`sort | uniq`) // fails: The operator "|" needs a shell: ...
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const parse = (text: string): Result.Result<Command, CommandSyntaxError> => {
  const { globs, texts } = splitGlobs(text)
  const words = CommandLine.template(Object.assign(texts, { raw: texts }), ...globs)
  if (Result.isFailure(words)) return Result.fail(syntaxError(words.failure))
  // The only interpolated values are single characters: no word can be `Redacted`.
  const [program, ...args] = words.success.filter(Predicate.isString)
  return program === undefined || program === ""
    ? Result.fail(new CommandSyntaxError({ detail: "The command is empty", remedy: "name a program to run" }))
    : Result.succeed(make(program, args))
}

/**
 * The command as a person would type it, for logs and messages. It contains any secrets that are part of the command.
 *
 * @category converting
 * @since 0.1.0
 */
export const display = (command: Command): string =>
  command._tag === "Shell" ? command.script : CommandLine.display([command.program, ...command.args])

// `CommandLine.template` refuses unquoted globs and inserts interpolated values unchanged. So each glob character without a
// backslash before it is passed as a value, which keeps it a plain character, quoted or not.
const splitGlobs = (text: string) => {
  const texts: Array<string> = []
  const globs: Array<string> = []
  let start = 0
  for (const { 0: match, index } of text.matchAll(/\\[^]|[*?[]/g)) {
    if (match.length > 1) continue
    texts.push(text.slice(start, index))
    globs.push(match)
    start = index + 1
  }
  texts.push(text.slice(start))
  return { texts, globs }
}

const syntaxError = (error: CommandLine.CommandLineError) =>
  new CommandSyntaxError({
    // It refers to the parts of a template, which the command line does not have.
    detail: error.message.replace(/ in template part \d+$/, ""),
    remedy:
      error.reason === "UnsupportedSyntax"
        ? "quote it to pass it on as plain text, or have a shell run the command (--shell)"
        : "complete the command"
  })
