/**
 * JSON lines: an object or a string a line.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import type * as FileSystem from "effect/FileSystem"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Entry from "../Entry.ts"
import * as jsonText from "../jsonText.ts"
import type { Source } from "../Source.ts"
import type { SourceError } from "../SourceError.ts"
import * as sourceText from "../sourceText.ts"

/**
 * Reads a source of JSON lines. Blank lines are skipped; a broken one is a problem of its own.
 *
 * @category streams
 * @since 0.1.0
 */
export const read = (source: Source): Stream.Stream<Entry.Entry, SourceError, FileSystem.FileSystem> =>
  Stream.mapAccumArray(
    sourceText.lines(source),
    () => undefined,
    (state, lines) => [state, Arr.flatMap(lines, entries)]
  )

const entries = ({ number, text }: sourceText.Line): ReadonlyArray<Entry.Entry> => {
  if (text.trim() === "") return []
  const parsed = jsonText.parse(text)
  return [
    Result.isSuccess(parsed) ? Entry.fromJson(number, parsed.success) : Entry.problem(number, parsed.failure.message)
  ]
}
