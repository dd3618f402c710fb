/** A place that tasks are read from: a file, or standard input. */
import * as NodeStream from "@effect/platform-node/NodeStream"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { type PlatformError, systemError } from "effect/PlatformError"
import type * as Scope from "effect/Scope"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { createReadStream } from "node:fs"
import { extensionOf, extensions, type Format, fromPath } from "./Format.ts"
import * as SourceError from "./SourceError.ts"

/** A source that is known to exist and can be read more than once. */
export interface Source {
  /** Its name in messages: the path as the user wrote it, or `<stdin>`. */
  readonly name: string
  /** The file with its content. */
  readonly path: string
  readonly format: Format
}

const stdinName = "<stdin>"

/**
 * Opens the source named by an argument; `-` is standard input, which is read as `jsonl` unless `format` is given.
 * Standard input and pipes can be read only once, so they are copied to a private temporary file, which is deleted with
 * the scope.
 */
export const open = Effect.fnUntraced(function* (
  argument: string,
  format: Format | undefined
): Effect.fn.Return<Source, SourceError.SourceError, FileSystem.FileSystem | Stdio.Stdio | Scope.Scope> {
  const fs = yield* FileSystem.FileSystem
  if (argument === "-") {
    const stdio = yield* Stdio.Stdio
    return { name: stdinName, path: yield* spool(stdinName, stdio.stdin), format: format ?? "jsonl" }
  }
  const info = yield* Effect.mapError(fs.stat(argument), readError(argument))
  if (info.type === "Directory") {
    return yield* SourceError.make(argument, null, "is a directory; name files instead, for example with a pattern")
  }
  const known = format ?? fromPath(argument)
  if (known === undefined) {
    const extension = extensionOf(argument)
    return yield* SourceError.make(
      argument,
      null,
      `${extension === "" ? "has no extension" : `has an unknown extension (${extension})`}; ` +
        `Baton reads ${extensions}; for another name, add --format`
    )
  }
  const path = info.type === "File" ? argument : yield* spool(argument, readOnce(argument))
  return { name: argument, path, format: known }
})

/** Reads a pipe: `FileSystem.stream` reads by position, which pipes do not support. */
const readOnce = (path: string) =>
  NodeStream.fromReadable<Uint8Array, PlatformError>({
    evaluate: () => createReadStream(path),
    onError: (cause) =>
      systemError({ _tag: "Unknown", module: "FileSystem", method: "stream", pathOrDescriptor: path, cause })
  })

const spool = Effect.fnUntraced(function* (name: string, bytes: Stream.Stream<Uint8Array, PlatformError>) {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* Effect.mapError(fs.makeTempDirectoryScoped({ prefix: "baton-" }), spoolError(name))
  const path = `${directory}/source`
  yield* bytes.pipe(
    Stream.mapError(readError(name)),
    Stream.run(fs.sink(path, { flag: "wx", mode: 0o600 })),
    Effect.catchTag("PlatformError", (error) => Effect.fail(spoolError(name)(error)))
  )
  return path
})

const spoolError = (name: string) => (error: PlatformError) =>
  SourceError.make(name, null, `cannot be copied to a temporary file: ${describe(error)}`)

/** Describes why a source cannot be read. */
export const readError =
  (name: string) =>
  (error: PlatformError): SourceError.SourceError =>
    SourceError.make(name, null, describe(error))

const describe = (error: PlatformError): string => {
  switch (error.reason._tag) {
    case "NotFound":
      return "file not found"
    case "PermissionDenied":
      return "cannot be read: permission denied"
    default:
      return `cannot be read: ${error.message}`
  }
}
