/**
 * Markdown: the open checkboxes of its lists.
 *
 * @since 0.1.0
 */
import type * as FileSystem from "effect/FileSystem"
import * as Stream from "effect/Stream"
import * as Entry from "../Entry.ts"
import type { Source } from "../Source.ts"
import type { SourceError } from "../SourceError.ts"
import * as sourceText from "../sourceText.ts"

/**
 * Reads a task from each open checkbox (`- [ ] text`, with any list marker, however deep). The lines below that are
 * indented further than its marker belong to it, up to the next checkbox. A ticked one is done. Whatever else the document
 * says, and what it shows in fenced code, is no task.
 *
 * @category streams
 * @since 0.1.0
 */
export const read = (source: Source): Stream.Stream<Entry.Entry, SourceError, FileSystem.FileSystem> =>
  Stream.mapAccum(
    sourceText.lines(source),
    (): Reading => ({ item: undefined, fence: undefined }),
    (reading, line) => [reading, step(reading, line)],
    { onHalt: (reading) => finish(reading) }
  )

interface Reading {
  item: Item | undefined
  /** The marker that closes the code block that the reading is in. */
  fence: string | undefined
}

interface Item {
  readonly line: number
  readonly done: boolean
  /** The columns of the list marker and of what follows it. */
  readonly indent: number
  readonly contentIndent: number
  readonly lines: Array<string>
}

const checkbox = /^(\s*)([-*+]|\d{1,9}[.)])(\s+)\[([ xX])\](?:\s+(.*))?$/

const step = (reading: Reading, { number, text }: sourceText.Line): ReadonlyArray<Entry.Entry> => {
  const { item } = reading
  const belongs = item !== undefined && (text.trim() === "" || indentOf(text) > item.indent)
  // What is open in an item ends with the item: a code block that is never closed takes no further tasks with it.
  const fence = item === undefined || belongs ? reading.fence : undefined
  reading.fence = nextFence(fence, text)
  const box = fence === undefined && reading.fence === undefined ? checkbox.exec(text) : null
  if (box === null) {
    if (!belongs) return finish(reading)
    item.lines.push(dedent(text, item.contentIndent))
    return []
  }
  const finished = finish(reading)
  const [, before = "", marker = "", space = "", tick, content = ""] = box
  const indent = indentOf(before)
  reading.item = {
    line: number,
    done: tick !== " ",
    indent,
    contentIndent: indent + marker.length + space.length,
    lines: [content]
  }
  return finished
}

const finish = (reading: Reading): ReadonlyArray<Entry.Entry> => {
  const { item } = reading
  reading.item = undefined
  if (item === undefined) return []
  return [item.done ? { _tag: "Done", line: item.line } : Entry.described(item.line, item.lines.join("\n").trim())]
}

const nextFence = (fence: string | undefined, text: string): string | undefined => {
  const marker = /^\s*(`{3,}|~{3,})(.*)$/.exec(text)
  if (marker === null) return fence
  const [, ticks = "", rest = ""] = marker
  if (fence === undefined) return ticks
  return ticks.startsWith(fence) && rest.trim() === "" ? undefined : fence
}

const indentOf = (text: string): number => expand(/^\s*/.exec(text)?.[0] ?? "").length

const dedent = (text: string, columns: number): string => {
  const indent = indentOf(text)
  return " ".repeat(Math.max(0, indent - columns)) + text.trimStart()
}

/** Tabs reach to the next multiple of four, as Markdown has it. */
const expand = (space: string): string => {
  let expanded = ""
  for (const character of space) expanded += character === "\t" ? " ".repeat(4 - (expanded.length % 4)) : " "
  return expanded
}
