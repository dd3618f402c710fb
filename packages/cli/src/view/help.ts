/** Prints the help, the version, and errors in the command line. */
import type * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import type { HelpDoc, FlagDoc } from "effect/cli/HelpDoc"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Stdio from "effect/Stdio"
import type * as Terminal from "effect/Terminal"
import * as Context from "effect/Context"
import * as Option from "effect/Option"
import { nearest } from "../system/nearest.ts"
import { FlagGroups } from "../settings/flags.ts"
import { canvas } from "./stdout.ts"
import { safeText } from "./safeText.ts"
import type { Style } from "./style.ts"
import { displayWidth, pad, wrap } from "./width.ts"

/**
 * For an invalid command line, prints the error and the command for help to standard error instead of the whole help.
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
      return `Unexpected argument ${error.arguments.map((argument) => `"${argument}"`).join(" ")}.`
    default:
      return error.message
  }
}

const unknown = (what: string, word: string, candidates: Iterable<string>, prefix: string): string => {
  const guesses = nearest(word, candidates).map((guess) => prefix + guess)
  return guesses.length === 0 ? `Unknown ${what}.` : `Unknown ${what}. Did you mean ${guesses.join(" or ")}?`
}

const flagsOf = ({ flags, globalFlags = [], inheritedFlags = [] }: HelpDoc): ReadonlyArray<string> =>
  [...flags, ...inheritedFlags, ...globalFlags].map(({ name }) => name.replace(/^-+/, ""))

const commandsOf = ({ subcommands = [] }: HelpDoc): ReadonlyArray<string> =>
  subcommands.flatMap(({ commands }) => commands.map(({ name }) => name))

/** Options for rendering the help. */
export interface Options {
  readonly style: Style
  readonly columns: number
}

/** Longer lines are hard to read. */
const maxWidth = 100
const margin = "  "
/** The text for a longer label starts on the next line. */
const maxLabelWidth = 30

type Entry = readonly [label: string, text: string]

/** The help. */
const helpText = (help: HelpDoc, options: Options): string => {
  const { style } = options
  const columns = Math.min(options.columns, maxWidth)
  const section = (title: string, lines: ReadonlyArray<string>) =>
    lines.length === 0 ? [] : ["", style.bold(title), ...lines]
  const list = (entries: ReadonlyArray<Entry>) => table(entries, columns, style)
  return [
    ...help.description.split("\n").flatMap((paragraph) => wrap(paragraph, columns)),
    ...section("Usage", [margin + usage(help.usage)]),
    ...section("Arguments", list((help.args ?? []).map(({ description, name }) => [name, textOf(description)]))),
    ...(help.subcommands ?? []).flatMap(({ commands, group }) =>
      section(
        group ?? "Commands",
        list(commands.map(({ description, name, shortDescription }) => [name, shortDescription ?? description]))
      )
    ),
    ...flagSections(help).flatMap(({ flags, title }) => section(title, list(flags.map(flagEntry)))),
    ...section("Global flags", list((help.globalFlags ?? []).map(flagEntry))),
    ...section(
      "Examples",
      (help.examples ?? []).flatMap(({ command, description = "" }) => [
        margin + style.cyan(command),
        margin + margin + style.dim(description)
      ])
    )
  ].join("\n")
}

/** The flags by group; flags without a group come first. */
export const flagSections = (
  help: HelpDoc
): ReadonlyArray<{ readonly title: string; readonly flags: ReadonlyArray<FlagDoc> }> => {
  const flags = [...help.flags, ...(help.inheritedFlags ?? [])]
  const groups = Context.get(help.annotations, FlagGroups).map((group) => ({
    title: group.title,
    flags: flags.filter(({ name }) => group.flags.has(name.replace(/^-+/, "")))
  }))
  const rest = flags.filter((flag) => !groups.some(({ flags }) => flags.includes(flag)))
  return [{ title: "Flags", flags: rest }, ...groups]
}

/** Removes the list of choices, which the label already contains. */
const textOf = (description: Option.Option<string>): string =>
  Option.getOrElse(description, () => "").replace(/ \(choices: [^)]*\)$/, "")

const usage = (text: string): string => text.replace("<subcommand>", "COMMAND").replaceAll(/[<>]/g, "")

/** Short names come first, as in `-j, --concurrency N`. */
const flagEntry = ({ aliases, description, name, type }: FlagDoc): Entry => {
  const names = [...aliases, name.startsWith("-") ? name : `--${name}`]
  return [`${names.join(", ")}${type === "boolean" || type === "" ? "" : ` ${type}`}`, textOf(description)]
}

const table = (entries: ReadonlyArray<Entry>, columns: number, style: Style): ReadonlyArray<string> => {
  const label = Math.min(maxLabelWidth, Math.max(0, ...entries.map(([label]) => displayWidth(label))))
  const indent = " ".repeat(margin.length + label + 2)
  return entries.flatMap(([name, text]) => {
    const [first = "", ...rest] = wrap(text, columns - indent.length)
    const shown = margin + style.green(name)
    return displayWidth(name) > label
      ? [shown, ...[first, ...rest].map((line) => indent + line)]
      : [
          `${margin}${style.green(name)}${pad("", label - displayWidth(name))}  ${first}`.trimEnd(),
          ...rest.map((line) => indent + line)
        ]
  })
}
