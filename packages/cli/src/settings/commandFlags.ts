/** Flags and arguments of single commands. They apply to one command line only, so they have no variable and no key. */
import { TaskId, TaskStatus } from "@baton/core/Task"
import * as Argument from "effect/cli/Argument"
import * as CliError from "effect/cli/CliError"
import type * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Param from "effect/cli/Param"
import * as Primitive from "effect/cli/Primitive"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { type TaskField, taskFields } from "../sources/Entry.ts"
import { Format } from "../sources/Format.ts"
import * as Kind from "../system/Kind.ts"

/** A primitive that the shell completes, and that leaves the check of its text to the kind. */
const completed = ({ metavar, names }: Kind.Kind<unknown>): Primitive.Primitive<string> => {
  const primitive =
    names !== undefined
      ? Primitive.Choice(names.map((name) => [name, name]))
      : Primitive.Path(metavar === "DIR" ? "directory" : "file", false)
  return Object.assign(primitive, { parse: (text: string) => Effect.succeed(text) })
}

/** A flag with a text, whose values the shell completes if they are names or paths. */
export const text = (name: string, kind: Kind.Kind<unknown>): Flag.Flag<string> => {
  const isPath = kind.metavar === "FILE" || kind.metavar === "DIR"
  const flag =
    kind.names === undefined && !isPath
      ? Flag.String(name)
      : Param.makeSingle({ kind: Param.flagKind, name, primitiveType: completed(kind) })
  return Flag.withMetavar(flag, kind.metavar)
}

/** A flag with a value; undefined if it is left out. */
export const value = <A>(
  name: string,
  kind: Kind.Kind<A>,
  description: string,
  options?: { readonly alias?: string | undefined }
): Flag.Flag<A | undefined> =>
  text(name, kind).pipe(
    options?.alias === undefined ? identity : Flag.withAlias(options.alias),
    Flag.withDescription(description),
    Flag.optional,
    Flag.mapEffect((text) => (Option.isNone(text) ? Effect.succeed(undefined) : read(kind, `--${name}`, text.value)))
  )

/** A flag with a value that can be repeated. */
export const values = <A>(name: string, kind: Kind.Kind<A>, description: string): Flag.Flag<ReadonlyArray<A>> =>
  text(name, kind).pipe(
    Flag.withDescription(description),
    Flag.atLeast(0),
    Flag.mapEffect((texts) => Effect.forEach(texts, (text) => read(kind, `--${name}`, text)))
  )

/** A flag without a value. */
export const toggle = (name: string, description: string): Flag.Flag<boolean> =>
  Flag.Boolean(name).pipe(Flag.withoutNegation, Flag.withDescription(description), Flag.withDefault(false))

/** A required argument. */
export const argument = <A>(kind: Kind.Kind<A>, description: string): Argument.Argument<A> =>
  Argument.String(kind.metavar).pipe(
    Argument.withDescription(description),
    Argument.mapEffect((text) => read(kind, kind.metavar, text))
  )

/** Any number of arguments of one kind. */
const argumentsOf = <A>(
  kind: Kind.Kind<A>,
  options: { readonly min: number; readonly description: string }
): Argument.Argument<ReadonlyArray<A>> =>
  Argument.String(kind.metavar).pipe(
    Argument.withDescription(options.description),
    Argument.variadic({ min: options.min }),
    Argument.mapEffect((texts) => Effect.forEach(texts, (text) => read(kind, kind.metavar, text)))
  )

const read = <A>(kind: Kind.Kind<A>, by: string, text: string): Effect.Effect<A, CliError.ValidationError> => {
  const value = kind.read(text)
  return value === undefined
    ? Effect.fail(new CliError.ValidationError({ message: Kind.problem(kind, by, text) }))
    : Effect.succeed(value)
}

const decodeId = Schema.decodeUnknownOption(TaskId)

/** The id of a task. */
export const idKind: Kind.Kind<TaskId> = {
  metavar: "ID",
  expected: "the id of a task, as `baton list` shows it",
  read: (text) => Option.getOrUndefined(decodeId(text))
}

/** The argument `ID`. */
export const id: Argument.Argument<TaskId> = argument(idKind, "The task")

/** The arguments `ID...`. */
export const ids = (options: {
  readonly min: 0 | 1
  readonly description: string
}): Argument.Argument<ReadonlyArray<TaskId>> => argumentsOf(idKind, options)

/** `--json`, for commands that print one result. */
export const json = toggle("json", "Print JSON, for programs; its fields do not change")

/** `--json`, for commands that print their result at the end. */
export const jsonAtEnd = toggle("json", "Print one JSON object on stdout at the end")

/** `--yes` */
export const yes = toggle("yes", "Do not ask for confirmation")

/** `--status` */
export const status = value("status", Kind.oneOf(...TaskStatus.literals), "Only tasks with this status")

/** `--limit` */
export const limit = value("limit", Kind.count(1), "The maximum number of tasks (default on a terminal: 100)")

/** `--all`, for lists */
export const all = toggle("all", "List all tasks, also on a terminal")

const sourceHelp =
  "Files with tasks (.jsonl, .json, .csv, .tsv, .yaml, .md, .txt), or issues of a repository (github:OWNER/REPO?label=bug); - reads standard input"

const delimiter: Kind.Kind<string> = {
  metavar: "CHARACTER",
  expected: "one character such as ';', or the word tab",
  read: (text) => (text === "tab" || text === String.raw`\t` ? "\t" : /^[^"\r\n]$/.test(text) ? text : undefined)
}

const column: Kind.Kind<readonly [TaskField, string]> = {
  metavar: "FIELD=COLUMN",
  expected: `a field (${taskFields.join(", ")}) and the name of a column, such as priority=Importance`,
  read: (text) => {
    const [, name = "", column = ""] = /^(\w+)=(.+)$/s.exec(text) ?? []
    const field = taskFields.find((field) => field === name)
    return field === undefined ? undefined : [field, column]
  }
}

const source = Param.makeSingle({
  kind: Param.argumentKind,
  name: "SOURCE",
  primitiveType: completed(Kind.text("FILE", "the path of a file"))
})

/** The flags and arguments for the sources of tasks. */
export const sourceOptions = {
  sources: source.pipe(Argument.withDescription(sourceHelp), Argument.variadic({ min: 0 })),
  each: values(
    "each",
    Kind.text("PATTERN", "a pattern of paths, such as 'docs/*.md'"),
    "Add a task for each file that matches, such as 'docs/*.md': its content, or what --template makes of {{path}} and {{content}}; can be repeated"
  ),
  template: value(
    "template",
    Kind.text("TEXT", "a text with the names of columns, such as 'Summarise {{title}}'"),
    "Render each description from the fields of its record, such as 'Summarise {{title}}'"
  ),
  format: value(
    "format",
    Kind.oneOf(...Format.literals),
    "Read all sources in this format instead of that of their extension"
  ),
  delimiter: value(
    "delimiter",
    delimiter,
    "The character between the columns of a table (default: found in the header row of .csv; a tab in .tsv)"
  ),
  onChanged: value(
    "on-changed",
    Kind.oneOf("update", "keep", "rerun"),
    "What to do with tasks whose text changed since they were added: update the pending ones, keep all, or also rerun finished ones (default: ask on a terminal, refuse otherwise)"
  ),
  idFrom: value(
    "id-from",
    Kind.text("COLUMNS", "names of columns, separated by commas, such as isbn,language"),
    "The columns that identify a row, such as isbn,language; their values are its id. Without it and without a column id, the id is made from the content"
  ),
  columns: Flag.map(
    values(
      "column",
      column,
      "Read a field of the task from this column, such as priority=Importance; can be repeated. Without it, names match in any case"
    ),
    (pairs): ReadonlyMap<TaskField, string> => new Map(pairs)
  )
}

export type SourceOptions = Command.Command.Config.Infer<typeof sourceOptions>

/** All sources: the arguments, and the patterns of `--each`. */
export const allSources = ({
  each,
  sources
}: Pick<SourceOptions, "each" | "sources">): Effect.Effect<ReadonlyArray<string>, CliError.ValidationError> => {
  // Without quotes, the shell replaces the pattern with paths, of which --each takes only the first.
  const path = each.find((pattern) => !/[*?[{]/.test(pattern))
  if (path === undefined || sources.length === 0) {
    return Effect.succeed([...sources, ...each.map((pattern) => `each:${pattern}`)])
  }
  return Effect.fail(
    new CliError.ValidationError({
      message: `--each is "${path}", which is not a pattern: put the pattern in quotes, as in --each 'docs/*.md', so that the shell does not replace it.`
    })
  )
}

/**
 * The price of a model in USD per million tokens, as `--price` accepts it: `claude-x=2,10` or, with the prices of the
 * prompt cache, `claude-x=2,10,0.2,2.5,4`.
 */
export interface ModelPrice {
  readonly model: string
  readonly input: number
  readonly output: number
  readonly cacheRead?: number
  readonly cacheWrite5m?: number
  readonly cacheWrite1h?: number
}

const priceKind: Kind.Kind<ModelPrice> = {
  metavar: "MODEL=IN,OUT",
  expected:
    "a model and its prices in USD per million tokens, such as claude-x=2,10 (input, output) or, " +
    "with prices for the prompt cache, claude-x=2,10,0.2,2.5,4 (read, write for 5 minutes, write for an hour)",
  read: (text) => {
    const [, model, list] = /^([^=\s]+)=([\d.,]+)$/.exec(text) ?? []
    if (model === undefined || list === undefined) return undefined
    const prices = list.split(",").map((part) => (/^(?:\d+\.?\d*|\.\d+)$/.test(part) ? Number(part) : NaN))
    const [input, output, cacheRead, cacheWrite5m, cacheWrite1h] = prices
    if (input === undefined || output === undefined || prices.some(Number.isNaN)) return undefined
    if (prices.length === 2) return { model, input, output }
    if (cacheRead === undefined || cacheWrite5m === undefined || cacheWrite1h === undefined) return undefined
    return prices.length === 5 ? { model, input, output, cacheRead, cacheWrite5m, cacheWrite1h } : undefined
  }
}

/** `--price` */
export const price = values(
  "price",
  priceKind,
  "The price of a model in USD per million tokens, if the price list does not have it or is outdated"
)
