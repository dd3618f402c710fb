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
      return entries(yaml, text)
    })
  )

const entries = (yaml: typeof Yaml, text: string): Stream.Stream<Entry.Entry> => {
  const lineCounter = new yaml.LineCounter()
  const document = yaml.parseDocument(text, { lineCounter, prettyErrors: false, merge: true, logLevel: "error" })
  const lineOf = (offset: number | undefined) => Math.max(1, lineCounter.linePos(offset ?? 0).line)
  // Later errors are mostly consequences of the first one.
  const [error] = document.errors
  if (error !== undefined) return Stream.succeed(Entry.problem(lineOf(error.pos[0]), describe(error)))
  const root = document.contents
  if (root === null || (yaml.isScalar(root) && root.value === null)) return Stream.empty
  const list = yaml.isMap(root) ? root.get("tasks", true) : root
  if (!yaml.isSeq(list)) {
    return Stream.succeed(
      Entry.problem(
        lineOf(root.range?.[0]),
        yaml.isMap(root) && root.has("stages")
          ? "this is a pipeline, which only `baton run` reads, as its only source"
          : 'expected a list of tasks, or a mapping with such a list as its "tasks"'
      )
    )
  }
  // Taken before an alias is replaced by a node of another line.
  const lines = list.items.map((item) => lineOf(yaml.isNode(item) ? item.range?.[0] : undefined))
  const problems = replaceAliases(yaml, root, list)
  return Stream.map(Stream.fromIterable(list.items.entries()), ([index, item]) => {
    const line = lines[index] ?? 1
    if (!yaml.isNode(item)) return Entry.fromJson(line, null)
    const found = problems.get(index)
    return found === undefined ? entry(item, document, line) : Entry.problem(line, `not valid YAML: ${found}`)
  })
}

/** The number of values that aliases may add to one task and to a document. */
const maxAdded = { task: 100_000, document: 10_000_000 }

/**
 * Replaces each alias by the node that it refers to, and returns the problems of the list by the index of the item. The library searches
 * the document again for each alias, so its time grows with the square of their number. Aliases of aliases can stand for
 * more values than fit into memory, so the values are counted before they are copied.
 */
const replaceAliases = (yaml: typeof Yaml, root: Yaml.Node, list: Yaml.YAMLSeq): ReadonlyMap<number, string> => {
  /** The last node with each name; its size is undefined until its end has been reached. */
  const anchors = new Map<string, { readonly node: Yaml.Node; size: number | undefined }>()
  const problems = new Map<number, string>()
  let added = 0
  let problem: string | undefined

  const refer = (alias: Yaml.Alias): readonly [node: Yaml.Node, size: number] => {
    const anchor = anchors.get(alias.source)
    if (anchor?.size === undefined) {
      problem ??=
        anchor === undefined
          ? `the alias *${alias.source} has no anchor &${alias.source} before it`
          : `the anchor &${alias.source} contains itself`
      return [alias, 1]
    }
    return [anchor.node, anchor.size]
  }

  const resolve = (node: unknown): readonly [node: unknown, size: number] => {
    if (yaml.isAlias(node)) {
      const [target, size] = refer(node)
      added += size
      return [target, size]
    }
    if (!yaml.isScalar(node) && !yaml.isCollection(node)) return [node, 1]
    const anchor = node.anchor === undefined ? undefined : { node, size: undefined as number | undefined }
    if (node.anchor !== undefined && anchor !== undefined) anchors.set(node.anchor, anchor)
    const size = yaml.isCollection(node) ? 1 + resolveItems(node) : 1
    if (anchor !== undefined) anchor.size = size
    return [node, size]
  }

  const resolveItems = (collection: Yaml.YAMLMap | Yaml.YAMLSeq): number => {
    let size = 0
    const inside = (node: unknown): unknown => {
      const [resolved, count] = resolve(node)
      size += count
      return resolved
    }
    const { items } = collection
    for (let index = 0; index < items.length; index++) {
      const item: unknown = items[index]
      const before = size
      if (yaml.isPair(item)) {
        item.key = inside(item.key)
        item.value = inside(item.value)
      } else items[index] = inside(item)
      if (collection !== list) continue
      if (size - before > maxAdded.task || added > maxAdded.document) {
        problem ??= "its aliases stand for too many values; write the values out, or use fewer aliases"
      }
      if (problem !== undefined) problems.set(index, problem)
      problem = undefined
    }
    return size
  }

  resolve(root)
  return problems
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
