/** JSON lines: one object or string per line. */
import * as Arr from "effect/Array"
import type * as FileSystem from "effect/FileSystem"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Entry from "../Entry.ts"
import * as jsonText from "../jsonText.ts"
import type { Source } from "../Source.ts"
import type { SourceError } from "../SourceError.ts"
import * as sourceText from "../sourceText.ts"

/** Reads JSON lines. Blank lines are skipped; each invalid line is a separate problem. */
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
