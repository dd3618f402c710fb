/**
 * What is run: a program with its arguments, or a script for the shell.
 *
 * A task never becomes part of either. Its description reaches the program on standard input, everything else in the
 * environment, so there is nothing in a task that a shell could take for a command.
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
 * - `Program`: started directly, each argument passed on as it is. The program is looked for in `PATH` unless its name
 *   contains a slash
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
 * A command line that cannot be run without a shell, or is not complete.
 *
 * @category errors
 * @since 0.1.0
 */
export class CommandSyntaxError extends Schema.TaggedError<CommandSyntaxError>()("CommandSyntaxError", {
  /** Names what is wrong; says nothing else of the text, which may hold a secret. */
  detail: Schema.String,
  /** What the writer of the command can do. */
  remedy: Schema.String
}) {
  override get message() {
    return `${this.detail}: ${this.remedy}.`
  }
}

/**
 * A program and its arguments, neither split nor changed.
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
 * - What only a shell can do is refused with a `CommandSyntaxError` rather than passed on in silence: operators such as
 *   `|`, `>` and `&&`, `$NAME`, command substitution, `~`, `{a,b}`, comments, and assignments in front of the program.
 *   In quotes (single quotes for `$`) they are ordinary text.
 * - `*`, `?` and `[` stay what they are, as in a shell that finds no file of such a name: `grep -q [0-9]` needs no quotes.
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
 * The command as a person would type it, for logs and messages. It may contain what the writer of the command put there,
 * secrets included.
 *
 * @category converting
 * @since 0.1.0
 */
export const display = (command: Command): string =>
  command._tag === "Shell" ? command.script : CommandLine.display([command.program, ...command.args])

// `CommandLine.template` refuses unquoted globs, and inserts interpolated values as they are. So each glob character
// that no backslash precedes is handed to it as a value: quoted or not, it then stays a plain character.
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
    // It counts the parts of a template, of which the writer of the text knows nothing.
    detail: error.message.replace(/ in template part \d+$/, ""),
    remedy:
      error.reason === "UnsupportedSyntax"
        ? "quote it to pass it on as plain text, or have a shell run the command (--shell)"
        : "complete the command"
  })
