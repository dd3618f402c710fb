/** A JSON document: a list of objects or strings, or an object whose `tasks` is such a list. */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Entry from "../Entry.ts"
import * as jsonText from "../jsonText.ts"
import type { Source } from "../Source.ts"
import type { SourceError } from "../SourceError.ts"
import * as sourceText from "../sourceText.ts"

/** Reads a JSON document. The text is held in memory; the elements are parsed one by one. */
export const read = (source: Source): Stream.Stream<Entry.Entry, SourceError, FileSystem.FileSystem> =>
  Stream.unwrap(Effect.map(sourceText.whole(source), entries))

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
