/** A place that tasks are read from: a file, or standard input. */
import * as NodeStream from "@effect/platform-node/NodeStream"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { type PlatformError, systemError } from "effect/PlatformError"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { constants, createReadStream, openSync } from "node:fs"
import { Socket } from "node:net"
import type { Readable } from "node:stream"
import { nearest } from "../system/nearest.ts"
import { extensionOf, extensions, type Format, fromPath } from "./Format.ts"
import * as SourceError from "./SourceError.ts"

/** A source that is known to exist and can be read more than once. */
export interface Source {
  /** Its name in messages: the path as the user wrote it, or `<stdin>`. */
  readonly name: string
  /** The file with its content. */
  readonly path: string
  readonly format: Format
  /** Whether the format is the default for standard input. */
  readonly isDefaultFormat?: boolean
}

const stdinName = "<stdin>"

/**
 * Opens the source named by an argument; `-` is standard input, which is read as `jsonl` unless `format` is given.
 * Standard input and pipes can be read only once, so they are copied to a private temporary file, which is deleted with
 * the scope.
 */
export const open = Effect.fnUntraced(function* (
  argument: string,
  { format, template }: OpenOptions = {}
): Effect.fn.Return<Source, SourceError.SourceError, FileSystem.FileSystem | Stdio.Stdio | Scope.Scope> {
  const fs = yield* FileSystem.FileSystem
  const found = recordsOf(argument, template)
  if (found !== undefined) {
    if (format !== undefined) {
      return yield* SourceError.make(argument, null, "has a fixed format; remove --format")
    }
    return yield* spoolRecords(found)
  }
  if (argument === "-") {
    const stdio = yield* Stdio.Stdio
    const path = yield* spool(stdinName, stdio.stdin)
    return { name: stdinName, path, format: format ?? "jsonl", isDefaultFormat: format === undefined }
  }
  const info = yield* Effect.catch(fs.stat(argument), (error) =>
    error.reason._tag === "NotFound" ? notFound(argument) : Effect.fail(readError(argument)(error))
  )
  if (info.type === "Directory") {
    return yield* SourceError.make(
      argument,
      null,
      `is a directory; for a task per file, write --each '${argument.replace(/[/\\]$/, "")}/*'`
    )
  }
  const known = format ?? fromPath(argument)
  if (known === undefined) {
    const extension = extensionOf(argument)
    return yield* SourceError.make(
      argument,
      null,
      isWorkbook(extension)
        ? "is a workbook; export its sheet as CSV, and name that file"
        : `${extension === "" ? "has no extension" : `has an unknown extension (${extension})`}; ` +
            `Baton reads ${extensions}; for another name, add --format`
    )
  }
  const path = info.type === "File" ? argument : yield* spool(argument, readOnce(argument, info.type))
  return { name: argument, path, format: known }
})

/** How a source is opened. */
export interface OpenOptions {
  /** Overrides the format for the file's extension. */
  readonly format?: Format | undefined
  /** The template of the descriptions, which says what has to be read of each file. */
  readonly template?: string | undefined
}

interface Records {
  readonly name: string
  readonly records: Effect.Effect<Stream.Stream<Schema.JsonObject, SourceError.SourceError, FileSystem.FileSystem>>
}

/** The records of a source other than a file. */
const recordsOf = (argument: string, template: string | undefined): Records | undefined => {
  if (argument.startsWith("each:")) {
    const pattern = argument.slice("each:".length)
    const records = Effect.map(
      Effect.promise(() => import("./each.ts")),
      (each) => each.records(pattern, template)
    )
    return { name: pattern, records }
  }
  if (argument.startsWith("github:")) {
    const records = Effect.map(
      Effect.promise(() => import("./github.ts")),
      (github) => github.records(argument, template)
    )
    return { name: argument, records }
  }
  return undefined
}

/** Reads the records once, so that both passes of an import see the same ones. */
const spoolRecords = Effect.fnUntraced(function* ({ name, records }: Records) {
  const fs = yield* FileSystem.FileSystem
  const path = `${yield* temporaryDirectory(name)}/source`
  const lines = Stream.map(yield* records, (record) => new TextEncoder().encode(`${JSON.stringify(record)}\n`))
  yield* lines.pipe(
    Stream.run(fs.sink(path, { flag: "wx", mode: 0o600 })),
    Effect.catchTag("PlatformError", (error) => Effect.fail(spoolError(name)(error)))
  )
  return { name, path, format: "jsonl" } satisfies Source
})

/**
 * Reads a pipe or a device: `FileSystem.stream` reads by position, which these do not support. A pipe is read without a thread
 * that waits for its writer: such a thread would keep the process from exiting.
 */
const readOnce = (path: string, type: FileSystem.File.Type): Stream.Stream<Uint8Array, PlatformError> => {
  const failed = (cause: unknown) =>
    systemError({ _tag: "Unknown", module: "FileSystem", method: "stream", pathOrDescriptor: path, cause })
  const read = (evaluate: () => Readable) =>
    NodeStream.fromReadable<Uint8Array, PlatformError>({ evaluate, onError: failed })
  if (type !== "FIFO") return read(() => createReadStream(path))
  return Stream.unwrap(
    Effect.map(
      Effect.try({ try: () => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK), catch: failed }),
      (fd) => read(() => new Socket({ fd, readable: true, writable: false }))
    )
  )
}

const spool = Effect.fnUntraced(function* (name: string, bytes: Stream.Stream<Uint8Array, PlatformError>) {
  const fs = yield* FileSystem.FileSystem
  const path = `${yield* temporaryDirectory(name)}/source`
  yield* bytes.pipe(
    Stream.mapError(readError(name)),
    Stream.run(fs.sink(path, { flag: "wx", mode: 0o600 })),
    Effect.catchTag("PlatformError", (error) => Effect.fail(spoolError(name)(error)))
  )
  return path
})

const temporaryDirectory = (name: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fs) =>
    Effect.mapError(fs.makeTempDirectoryScoped({ prefix: "baton-" }), spoolError(name))
  )

const spoolError = (name: string) => (error: PlatformError) =>
  SourceError.make(name, null, `cannot be copied to a temporary file: ${describe(error)}`)

/** Describes why a source cannot be read. */
const isWorkbook = (extension: string) => /^\.(?:xlsx?|xlsm|xlsb|ods|numbers)$/i.test(extension)

const notFound = Effect.fnUntraced(function* (argument: string) {
  if (argument.trim() === "") {
    return yield* SourceError.make('""', null, "is not the name of a file; is a variable of the shell empty?")
  }
  const fs = yield* FileSystem.FileSystem
  const [, directory = "", name = ""] = /^(.*[/\\])?(.*)$/s.exec(argument) ?? []
  const others = yield* Effect.orElseSucceed(fs.readDirectory(directory || "."), () => [])
  const close = nearest(
    name,
    others.filter((other) => fromPath(other) !== undefined)
  )
  const hint = close.length === 0 ? "" : `; did you mean ${close.map((name) => directory + name).join(" or ")}?`
  return yield* SourceError.make(argument, null, `file not found${hint}`)
})

const readError =
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

/** A line of a source, without its line break. */
export interface Line {
  /** Counted from 1. */
  readonly number: number
  readonly text: string
}

const LF = 10

/** Close to the maximum length of a string; longer lines and documents must be split by the user. */
const maxText = 256 * 1024 * 1024

/** Marks the end of the stream, so that the last line is decoded like all others. */
const endOfBytes = new Uint8Array(0)

interface Pending {
  /** The bytes of an incomplete line. */
  bytes: Array<Uint8Array>
  size: number
  line: number
}

/**
 * The text without its byte order mark, in blocks that end with a line break (the last block may end without one). Fails
 * with the line of the first byte that is not UTF-8.
 */
export const blocks = (source: Source): Stream.Stream<string, SourceError.SourceError, FileSystem.FileSystem> =>
  Stream.unwrap(
    Effect.map(FileSystem.FileSystem, (fs) => {
      const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
      return fs.stream(source.path).pipe(
        Stream.mapError(readError(source.name)),
        Stream.concat(Stream.succeed(endOfBytes)),
        Stream.mapAccumEffect(
          (): Pending => ({ bytes: [], size: 0, line: 1 }),
          Effect.fnUntraced(function* (pending, chunk) {
            const end = chunk === endOfBytes ? pending.size : chunk.lastIndexOf(LF) + 1
            if (end === 0) {
              pending.bytes.push(chunk)
              pending.size += chunk.length
              if (pending.size > maxText) {
                return yield* SourceError.make(source.name, pending.line, "this line is longer than 256 MiB")
              }
              return [pending, []]
            }
            const block = join([...pending.bytes, chunk.subarray(0, end)])
            const rest = chunk.subarray(end)
            const text = yield* decode(decoder, source, block, pending.line)
            pending.bytes = rest.length === 0 ? [] : [rest]
            pending.size = rest.length
            const first = pending.line === 1
            pending.line += countLines(block)
            return [pending, [first && text.startsWith("\uFEFF") ? text.slice(1) : text]]
          })
        )
      )
    })
  )

/** The lines, without their line breaks (LF or CRLF). */
export const lines = (source: Source): Stream.Stream<Line, SourceError.SourceError, FileSystem.FileSystem> =>
  Stream.mapAccum(
    blocks(source),
    () => 1,
    (first, block) => {
      const texts = block.split("\n")
      if (block.endsWith("\n")) texts.pop()
      return [
        first + texts.length,
        texts.map((text, index): Line => ({
          number: first + index,
          text: text.endsWith("\r") ? text.slice(0, -1) : text
        }))
      ]
    }
  )

/** The whole text of a source. */
export const whole = (source: Source): Effect.Effect<string, SourceError.SourceError, FileSystem.FileSystem> =>
  blocks(source).pipe(
    Stream.runFoldEffect(
      () => "",
      (text, block) =>
        text.length + block.length > maxText
          ? Effect.fail(
              SourceError.make(
                source.name,
                null,
                "is larger than 256 MiB, the limit for one document; convert it to .jsonl with one task per line"
              )
            )
          : Effect.succeed(text + block)
    )
  )

const join = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  if (parts.length === 1 && parts[0] !== undefined) return parts[0]
  const joined = new Uint8Array(parts.reduce((size, part) => size + part.length, 0))
  let offset = 0
  for (const part of parts) {
    joined.set(part, offset)
    offset += part.length
  }
  return joined
}

const countLines = (bytes: Uint8Array): number => {
  let count = 0
  for (let at = bytes.indexOf(LF); at !== -1; at = bytes.indexOf(LF, at + 1)) count++
  return count
}

const decode = (decoder: TextDecoder, source: Source, bytes: Uint8Array, firstLine: number) =>
  Effect.try({
    try: () => decoder.decode(bytes),
    catch: () => {
      const utf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)
      return firstLine === 1 && utf16
        ? SourceError.make(source.name, 1, "is encoded as UTF-16; save the file as UTF-8")
        : SourceError.make(
            source.name,
            firstLine + linesBeforeFault(bytes),
            "is not UTF-8 text; save the file as UTF-8 (binary files are not supported)"
          )
    }
  })

/** A character never spans a line break, so each line can be decoded separately. */
const linesBeforeFault = (bytes: Uint8Array): number => {
  const decoder = new TextDecoder("utf-8", { fatal: true })
  let count = 0
  for (let start = 0; start < bytes.length; count++) {
    const end = bytes.indexOf(LF, start) + 1 || bytes.length
    try {
      decoder.decode(bytes.subarray(start, end))
    } catch {
      break
    }
    start = end
  }
  return count
}
