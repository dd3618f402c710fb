/** A YAML document: a list of mappings or strings, or a mapping whose `tasks` is such a list. */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type * as Yaml from "yaml"
import * as Entry from "../Entry.ts"
import * as Source from "../Source.ts"
import type { SourceError } from "../SourceError.ts"

/** Reads a YAML document. It is held in memory. */
export const read = (source: Source.Source): Stream.Stream<Entry.Entry, SourceError, FileSystem.FileSystem> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const text = yield* Source.whole(source)
      // Loaded on demand: most runs read no YAML, and the library takes as long to load as the rest of the program.
      const yaml = yield* Effect.promise(() => import("yaml"))
      return Stream.fromIterable(entries(yaml, text))
    })
  )

const entries = (yaml: typeof Yaml, text: string): ReadonlyArray<Entry.Entry> => {
  const lineCounter = new yaml.LineCounter()
  const document = yaml.parseDocument(text, { lineCounter, prettyErrors: false, merge: true, logLevel: "error" })
  const lineOf = (offset: number | undefined) => Math.max(1, lineCounter.linePos(offset ?? 0).line)
  // Later errors are mostly consequences of the first one.
  const [error] = document.errors
  if (error !== undefined) return [Entry.problem(lineOf(error.pos[0]), describe(error))]
  const root = document.contents
  if (root === null || (yaml.isScalar(root) && root.value === null)) return []
  const list = yaml.isMap(root) ? root.get("tasks", true) : root
  if (!yaml.isSeq(list)) {
    return [
      Entry.problem(lineOf(root.range?.[0]), 'expected a list of tasks, or a mapping with such a list as its "tasks"')
    ]
  }
  return list.items.map((item) =>
    yaml.isNode(item) ? entry(item, document, lineOf(item.range?.[0])) : Entry.fromJson(lineOf(undefined), null)
  )
}

const entry = (node: Yaml.Node, document: Yaml.Document.Parsed, line: number): Entry.Entry => {
  try {
    return Option.match(decodeJson(node.toJS(document)), {
      onNone: () =>
        Entry.problem(
          line,
          "this task has a value that JSON cannot represent, such as .nan or !!binary; put it in double quotes"
        ),
      onSome: (value) => Entry.fromJson(line, value)
    })
  } catch (error) {
    return Entry.problem(line, `not valid YAML: ${error instanceof Error ? error.message : String(error)}`)
  }
}

const decodeJson = Schema.decodeUnknownOption(Schema.Json)

const describe = (error: Yaml.YAMLError): string =>
  error.code === "MULTIPLE_DOCS"
    ? "a second document starts here; put all tasks into one list of one document"
    : `not valid YAML: ${error.message}`
