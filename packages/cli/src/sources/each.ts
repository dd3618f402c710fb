/** The files that match a pattern, as a source: one task per file, with its content or its path. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { globSync } from "node:fs"
import { join, relative } from "node:path"
import type * as Schema from "effect/Schema"
import * as SourceError from "./SourceError.ts"
import * as Template from "./template.ts"

/**
 * The records of the files that match, in the order of their paths: `path` and, if the template uses it, `content`. Without a
 * template, the content is the description. The path is the id.
 */
export const records = (
  pattern: string,
  template: string | undefined
): Stream.Stream<Schema.JsonObject, SourceError.SourceError, FileSystem.FileSystem> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const parsed = template === undefined ? undefined : Result.getOrUndefined(Template.parse(template))
      const needsContent = template === undefined || (parsed !== undefined && Template.uses(parsed, "content"))
      const read = Effect.fnUntraced(function* (path: string) {
        const content = needsContent ? yield* readText(fs, path) : ""
        if (template !== undefined) return { id: path, path, ...(needsContent ? { content } : {}) }
        if (content.trim() !== "") return { id: path, path, description: content }
        return yield* SourceError.make(path, null, "is empty, so its task would have no description; see --template")
      })
      return Stream.mapEffect(Stream.fromIterable(filesOf(pattern)), read, { concurrency: 8 })
    })
  )

/** Directories that a pattern does not descend into, unless it names them. */
const skipped = new Set(["node_modules", ".git"])

const filesOf = (pattern: string): ReadonlyArray<string> =>
  globSync(pattern, {
    withFileTypes: true,
    exclude: ({ name }) => skipped.has(name) && !pattern.includes(name)
  })
    .filter((entry) => entry.isFile() && (!entry.name.startsWith(".") || /(?:^|[/\\])\./.test(pattern)))
    .map(({ name, parentPath }) => pathOf(parentPath, name))
    .toSorted()

/** A path as the user would write it: relative to the working directory if the file is inside of it. */
const pathOf = (directory: string, name: string): string => {
  const path = relative(process.cwd(), join(directory, name))
  return path.startsWith("..") ? join(directory, name) : path
}

const readText = (fs: FileSystem.FileSystem, path: string): Effect.Effect<string, SourceError.SourceError> =>
  Effect.flatMap(
    Effect.mapError(fs.readFile(path), (error: PlatformError) =>
      SourceError.make(path, null, `cannot be read: ${error.message}`)
    ),
    (bytes) =>
      Effect.try({
        try: () => new TextDecoder("utf-8", { fatal: true }).decode(bytes),
        catch: () =>
          SourceError.make(
            path,
            null,
            "is not UTF-8 text; to give a program its path instead, add --template '{{path}}'"
          )
      })
  )
