/**
 * The help of a command, as wide as the terminal and no wider.
 *
 * @since 0.1.0
 */
import type { FlagDoc, HelpDoc } from "effect/cli/HelpDoc"
import * as Context from "effect/Context"
import * as Option from "effect/Option"
import { FlagGroups } from "../settings/flagGroups.ts"
import type { Style } from "./style.ts"
import { displayWidth, pad, wrap } from "./width.ts"

/**
 * Where the help is shown.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly style: Style
  readonly columns: number
}

/** Longer lines are hard to read, however wide the terminal is. */
const widest = 100
const margin = "  "
/** A label that is longer has its explanation below it. */
const widestLabel = 30

type Entry = readonly [label: string, text: string]

/**
 * The help.
 *
 * @category converting
 * @since 0.1.0
 */
export const helpText = (help: HelpDoc, options: Options): string => {
  const { style } = options
  const columns = Math.min(options.columns, widest)
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
    ...section("Flags of every command", list((help.globalFlags ?? []).map(flagEntry))),
    ...section(
      "Examples",
      (help.examples ?? []).flatMap(({ command, description = "" }) => [
        margin + style.cyan(command),
        margin + margin + style.dim(description)
      ])
    )
  ].join("\n")
}

/**
 * The flags in the groups of their command, those in none first.
 *
 * @category getters
 * @since 0.1.0
 */
export const flagSections = (
  help: HelpDoc
): ReadonlyArray<{ readonly title: string; readonly flags: ReadonlyArray<FlagDoc> }> => {
  const flags = [...help.flags, ...(help.inheritedFlags ?? [])]
  const groups = Context.get(help.annotations, FlagGroups).map(({ keys, title }) => {
    const names = new Set(keys.map(kebabCase))
    return { title, flags: flags.filter(({ name }) => names.has(name.replace(/^-+/, ""))) }
  })
  const rest = flags.filter((flag) => !groups.some(({ flags }) => flags.includes(flag)))
  return [{ title: "Flags", flags: rest }, ...groups]
}

const kebabCase = (key: string): string => key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

/** The label has the choices already. */
const textOf = (description: Option.Option<string>): string =>
  Option.getOrElse(description, () => "").replace(/ \(choices: [^)]*\)$/, "")

const usage = (text: string): string => text.replace("<subcommand>", "COMMAND").replaceAll(/[<>]/g, "")

/** Short names first, as in `-j, --concurrency N`. */
const flagEntry = ({ aliases, description, name, type }: FlagDoc): Entry => {
  const names = [...aliases, name.startsWith("-") ? name : `--${name}`]
  return [`${names.join(", ")}${type === "boolean" || type === "" ? "" : ` ${type}`}`, textOf(description)]
}

const table = (entries: ReadonlyArray<Entry>, columns: number, style: Style): ReadonlyArray<string> => {
  const label = Math.min(widestLabel, Math.max(0, ...entries.map(([label]) => displayWidth(label))))
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
