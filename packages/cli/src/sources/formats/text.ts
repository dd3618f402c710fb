/**
 * Plain text: a task a line.
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
 * Reads a task from each line that is not blank.
 *
 * @category streams
 * @since 0.1.0
 */
export const read = (source: Source): Stream.Stream<Entry.Entry, SourceError, FileSystem.FileSystem> =>
  sourceText.lines(source).pipe(
    Stream.filter(({ text }) => text.trim() !== ""),
    Stream.map(({ number, text }) => Entry.described(number, text.trim()))
  )
