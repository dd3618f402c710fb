/** Writes files atomically. */
import * as CliError from "effect/cli/CliError"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { extensionOf } from "../sources/Format.ts"
import { CommandFailed } from "../system/CommandFailed.ts"

/**
 * Writes text to a temporary file in the same directory, syncs it to disk, and renames it to the target. A failure or an
 * interruption leaves the old file unchanged. Pipes and devices are written to directly.
 */
export const writeFile = Effect.fnUntraced(function* <E, R>(
  file: string,
  text: Stream.Stream<string | Uint8Array, E, R>
): Effect.fn.Return<void, E | CommandFailed, R | FileSystem.FileSystem | Path.Path> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  // The target of a link is replaced, not the link.
  const target = yield* Effect.orElseSucceed(fs.realPath(file), () => file)
  const existing = yield* Effect.option(fs.stat(target))
  const failed = (error: PlatformError) =>
    new CommandFailed({ message: `${file} cannot be written: ${reason(error)}.` })
  if (existing._tag === "Some" && existing.value.type === "Directory") yield* check(file)
  if (existing._tag === "Some" && existing.value.type !== "File") {
    return yield* writeTo(target, "w", text, failed)
  }
  yield* Effect.acquireUseRelease(
    Effect.mapError(fs.makeTempDirectory({ directory: path.dirname(target), prefix: ".baton-" }), failed),
    (directory) => {
      const temporary = path.join(directory, path.basename(target))
      return Effect.andThen(
        writeTo(temporary, "wx", text, failed),
        Effect.mapError(fs.rename(temporary, target), failed)
      )
    },
    (directory) => Effect.ignore(fs.remove(directory, { recursive: true }), { log: true })
  )
})

/** Fails if a file cannot be written: it is a directory, or its directory does not exist or denies it. */
export const check = Effect.fnUntraced(function* (
  file: string
): Effect.fn.Return<void, CommandFailed, FileSystem.FileSystem | Path.Path> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const isDirectory = (name: string) =>
    Effect.match(fs.stat(name), { onFailure: () => false, onSuccess: ({ type }) => type === "Directory" })
  const directory = path.dirname(file)
  const isWritable = Effect.match(fs.access(directory, { writable: true }), {
    onFailure: () => false,
    onSuccess: () => true
  })
  const obstacle = (yield* isDirectory(file))
    ? `it is a directory. Name a file in it, such as ${path.join(file, "results.csv")}`
    : !(yield* isDirectory(directory))
      ? `there is no directory ${directory}. Create it first: mkdir -p ${directory}`
      : (yield* isWritable)
        ? undefined
        : permissionDenied
  if (obstacle !== undefined) return yield* new CommandFailed({ message: `${file} cannot be written: ${obstacle}.` })
})

/** The error for a file whose extension names no format, if it has one. */
export const unknownExtension = (file: string, known: ReadonlyArray<string>): CliError.ValidationError | undefined => {
  const extension = extensionOf(file)
  return extension === "" || known.includes(extension.toLowerCase())
    ? undefined
    : new CliError.ValidationError({
        message: `--output ${file} has an unknown extension (${extension}): it takes ${known.join(", ")}. For another name, add --format.`
      })
}

const writeTo = <E, R>(
  file: string,
  flag: "w" | "wx",
  text: Stream.Stream<string | Uint8Array, E, R>,
  failed: (error: PlatformError) => CommandFailed
): Effect.Effect<void, E | CommandFailed, R | FileSystem.FileSystem> =>
  Effect.scoped(
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const opened = yield* Effect.mapError(fs.open(file, { flag }), failed)
      const encoder = new TextEncoder()
      yield* Stream.runForEachArray(text, (parts) =>
        Effect.forEach(
          parts,
          (part) => Effect.mapError(opened.writeAll(typeof part === "string" ? encoder.encode(part) : part), failed),
          { discard: true }
        )
      )
      // A device or a pipe has nothing to sync.
      if (flag === "wx") yield* Effect.mapError(opened.sync, failed)
    })
  )

const permissionDenied = "permission denied"

const isFull = Schema.is(Schema.Struct({ code: Schema.Literals(["ENOSPC", "EDQUOT"]) }))

const reason = (error: PlatformError): string => {
  if (isFull(error.reason.cause)) return "the disk is full. Free some space, or name a file on another disk"
  switch (error.reason._tag) {
    case "NotFound":
      return "its directory does not exist"
    case "PermissionDenied":
      return permissionDenied
    default:
      return error.message
  }
}
