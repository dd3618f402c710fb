/**
 * The kinds of file that Baton reads tasks from.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * How a source is written down.
 *
 * - `jsonl`: a JSON object or string a line
 * - `json`: an array of them, or an object whose `tasks` is one
 * - `csv`, `tsv`: a row a task, under a row of column names
 * - `yaml`: a list of mappings or strings, or a mapping whose `tasks` is one
 * - `md`: open checkboxes
 * - `txt`: a line a task
 *
 * @category models
 * @since 0.1.0
 */
export const Format = Schema.Literals(["jsonl", "json", "csv", "tsv", "yaml", "md", "txt"])

/** @since 0.1.0 */
export type Format = typeof Format.Type

const byExtension: ReadonlyMap<string, Format> = new Map([
  ["jsonl", "jsonl"],
  ["ndjson", "jsonl"],
  ["json", "json"],
  ["csv", "csv"],
  ["tsv", "tsv"],
  ["yaml", "yaml"],
  ["yml", "yaml"],
  ["md", "md"],
  ["markdown", "md"],
  ["txt", "txt"]
])

/**
 * The file names that need no `--format`, for messages.
 *
 * @category models
 * @since 0.1.0
 */
export const extensions: string = [...byExtension.keys()].map((extension) => `.${extension}`).join(", ")

/**
 * The extension of a path with its dot, or an empty string.
 *
 * @category getters
 * @since 0.1.0
 */
export const extensionOf = (path: string): string => /[^/\\](\.[^./\\]+)$/.exec(path)?.[1] ?? ""

/**
 * The format that a path's extension stands for.
 *
 * @category getters
 * @since 0.1.0
 */
export const fromPath = (path: string): Format | undefined => byExtension.get(extensionOf(path).slice(1).toLowerCase())
