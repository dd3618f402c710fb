/** JSON documents and JSON lines. */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Arr from "effect/Array"

import * as Entry from "../Entry.ts"
import * as jsonText from "../jsonText.ts"
import * as Source from "../Source.ts"
import type { SourceError } from "../SourceError.ts"

/**
 * Reads a JSON document: a list of objects or strings, or an object whose `tasks` is such a list. The text is held in
 * memory; the elements are parsed one by one.
 */
export const readDocument = (source: Source.Source): Stream.Stream<Entry.Entry, SourceError, FileSystem.FileSystem> =>
  Stream.unwrap(Effect.map(Source.whole(source), entries))

const entries = (text: string): Stream.Stream<Entry.Entry> => {
  if (text.trim() === "") return Stream.empty
  const elements = jsonText.elements(text)
  if (Result.isFailure(elements)) return Stream.succeed(Entry.problem(elements.failure.line, elements.failure.message))
  return elements.success === undefined
    ? Stream.succeed(Entry.problem(1, 'expected a list of tasks, or an object with such a list as its "tasks"'))
    : Stream.map(Stream.fromIterable(elements.success), element)
}

const element = ({ line, text }: jsonText.JsonElement): Entry.Entry =>
  Result.match(jsonText.parse(text), {
    onFailure: (fault) => Entry.problem(line, fault.message),
    onSuccess: (value) => Entry.fromJson(line, value)
  })

/** Reads JSON lines. Blank lines are skipped; each invalid line is a separate problem. */
export const readLines = (source: Source.Source): Stream.Stream<Entry.Entry, SourceError, FileSystem.FileSystem> =>
  Stream.mapAccumArray(
    Source.lines(source),
    (): string => (source.isDefaultFormat === true ? stdinHint : ""),
    (hint, lines) => {
      let rest = hint
      const entries = Arr.flatMap(lines, ({ number, text }): ReadonlyArray<Entry.Entry> => {
        if (text.trim() === "") return []
        const parsed = jsonText.parse(text)
        if (Result.isSuccess(parsed)) return [Entry.fromJson(number, parsed.success)]
        const message = parsed.failure.message + rest
        rest = ""
        return [Entry.problem(number, message)]
      })
      return [rest, entries]
    }
  )

/** Added to the first problem only. */
const stdinHint = ". Standard input is read as JSONL; use --format txt for one task per line"
