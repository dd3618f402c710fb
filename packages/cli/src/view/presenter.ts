/**
 * What the command line says about itself: help, version, and what is wrong with a command line.
 *
 * @since 0.1.0
 */
import type * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import type { HelpDoc } from "effect/cli/HelpDoc"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Stdio from "effect/Stdio"
import type * as Terminal from "effect/Terminal"
import { canvas } from "./canvas.ts"
import { safeText } from "./safeText.ts"
import { helpText } from "./helpText.ts"
import { nearest } from "../settings/nearest.ts"

/**
 * A command line that cannot be understood gets the reason and the way to the help, on standard error, not the whole help.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, never, Stdio.Stdio | Terminal.Terminal> = Layer.unwrap(
  Effect.map(canvas, ({ columns, style }) =>
    CliOutput.layerPresenter({
      present: Effect.fnUntraced(function* (event) {
        switch (event._tag) {
          case "Version":
            return yield* Console.log(event.version)
          case "Help":
            return yield* Console.log(helpText(event.helpDoc, { columns, style }))
          case "InvalidInvocation": {
            for (const error of event.errors) yield* Console.error(`error: ${safeText(sentence(error, event.helpDoc))}`)
            return yield* Console.error(`Try \`${event.commandPath.join(" ")} --help\`.`)
          }
        }
      })
    })
  )
)

const sentence = (error: CliError.NonShowHelpErrors, help: HelpDoc): string => {
  switch (error._tag) {
    case "UnrecognizedOption":
      return unknown(`flag ${error.option}`, error.option.replace(/^-+/, ""), flagsOf(help), "--")
    case "UnknownSubcommand":
      return unknown(`command "${error.subcommand}"`, error.subcommand, commandsOf(help), "")
    case "MissingOption":
      return `--${error.option} is missing.`
    case "MissingArgument":
      return `${error.argument} is missing.`
    case "UnexpectedArgument":
      return `This command takes no ${error.arguments.map((argument) => `"${argument}"`).join(" and no ")}.`
    default:
      return error.message
  }
}

const unknown = (what: string, word: string, candidates: Iterable<string>, prefix: string): string => {
  const guesses = nearest(word, candidates).map((guess) => prefix + guess)
  return guesses.length === 0 ? `There is no ${what}.` : `There is no ${what}; did you mean ${guesses.join(" or ")}?`
}

const flagsOf = ({ flags, globalFlags = [], inheritedFlags = [] }: HelpDoc): ReadonlyArray<string> =>
  [...flags, ...inheritedFlags, ...globalFlags].map(({ name }) => name.replace(/^-+/, ""))

const commandsOf = ({ subcommands = [] }: HelpDoc): ReadonlyArray<string> =>
  subcommands.flatMap(({ commands }) => commands.map(({ name }) => name))
