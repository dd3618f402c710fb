/** Markdown: the unchecked checkboxes of lists. */
import type * as FileSystem from "effect/FileSystem"
import * as Stream from "effect/Stream"
import * as Entry from "../Entry.ts"
import * as Source from "../Source.ts"
import type { SourceError } from "../SourceError.ts"

/**
 * Reads a task from each unchecked checkbox (`- [ ] text`), with any list marker and at any depth. The lines below it that
 * are indented further than its marker belong to it, up to the next checkbox. A checked one is done. All other text is
 * ignored, including checkboxes in fenced code.
 */
export const read = (source: Source.Source): Stream.Stream<Entry.Entry, SourceError, FileSystem.FileSystem> =>
  Stream.mapAccum(
    Source.lines(source),
    (): ParserState => ({ item: undefined, fence: undefined }),
    (state, line) => [state, step(state, line)],
    { onHalt: (state) => finish(state) }
  )

interface ParserState {
  item: Item | undefined
  /** The marker that closes the current code block. */
  fence: string | undefined
}

interface Item {
  readonly line: number
  readonly done: boolean
  /** The columns of the list marker and of the text after it. */
  readonly indent: number
  readonly contentIndent: number
  readonly lines: Array<string>
}

const checkbox = /^(\s*)([-*+]|\d{1,9}[.)])(\s+)\[([ xX])\](?:\s+(.*))?$/

const step = (state: ParserState, { number, text }: Source.Line): ReadonlyArray<Entry.Entry> => {
  const { item } = state
  const belongs = item !== undefined && (text.trim() === "" || indentOf(text) > item.indent)
  // A code block that is never closed ends with its item, so that it does not hide the tasks after it.
  const fence = item === undefined || belongs ? state.fence : undefined
  state.fence = nextFence(fence, text)
  const box = fence === undefined && state.fence === undefined ? checkbox.exec(text) : null
  if (box === null) {
    if (!belongs) return finish(state)
    item.lines.push(dedent(text, item.contentIndent))
    return []
  }
  const finished = finish(state)
  const [, before = "", marker = "", space = "", tick, content = ""] = box
  const indent = indentOf(before)
  state.item = {
    line: number,
    done: tick !== " ",
    indent,
    contentIndent: indent + marker.length + space.length,
    lines: [content]
  }
  return finished
}

const finish = (state: ParserState): ReadonlyArray<Entry.Entry> => {
  const { item } = state
  state.item = undefined
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

/** A tab advances to the next multiple of four columns, as in Markdown. */
const expand = (space: string): string => {
  let expanded = ""
  for (const character of space) expanded += character === "\t" ? " ".repeat(4 - (expanded.length % 4)) : " "
  return expanded
}
