/** Plain text: one task per line. */
import type * as FileSystem from "effect/FileSystem"
import * as Stream from "effect/Stream"
import * as Entry from "../Entry.ts"
import type { Source } from "../Source.ts"
import type { SourceError } from "../SourceError.ts"
import * as sourceText from "../sourceText.ts"

/** Reads a task from each nonblank line. */
export const read = (source: Source): Stream.Stream<Entry.Entry, SourceError, FileSystem.FileSystem> =>
  sourceText.lines(source).pipe(
    Stream.filter(({ text }) => text.trim() !== ""),
    Stream.map(({ number, text }) => Entry.described(number, text.trim()))
  )
