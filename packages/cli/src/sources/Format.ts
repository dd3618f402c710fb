/** The file formats that Baton reads tasks from. */
import * as Schema from "effect/Schema"

/**
 * The format of a source.
 *
 * - `jsonl`: one JSON object or string per line
 * - `json`: an array of objects or strings, or an object with such an array as `tasks`
 * - `csv`, `tsv`: a header row, then one row per task
 * - `yaml`: a list of mappings or strings, or a mapping with such a list as `tasks`
 * - `md`: unchecked checkboxes
 * - `txt`: one task per line
 */
export const Format = Schema.Literals(["jsonl", "json", "csv", "tsv", "yaml", "md", "txt"])

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

/** The extensions that need no `--format`, for messages. */
export const extensions: string = [...byExtension.keys()].map((extension) => `.${extension}`).join(", ")

/** The extension of a path with its dot, or an empty string. */
export const extensionOf = (path: string): string => /[^/\\](\.[^./\\]+)$/.exec(path)?.[1] ?? ""

/** The format for a path's extension. */
export const fromPath = (path: string): Format | undefined => byExtension.get(extensionOf(path).slice(1).toLowerCase())
