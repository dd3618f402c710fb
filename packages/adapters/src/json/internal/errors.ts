import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { TaskStoreError } from "@baton/core/TaskStoreError"

export const unusable = (message: string, cause?: unknown) =>
  new TaskStoreError({ reason: "Unusable", message, ...(cause === undefined ? undefined : { cause }) })

/** What Node throws when a file operation fails. */
const isNodeError = Schema.is(Schema.Struct({ code: Schema.String, message: Schema.String }))

export const hasCode = (cause: unknown, ...codes: ReadonlyArray<string>): boolean =>
  isNodeError(cause) && codes.includes(cause.code)

/** Errors after which the same operation can succeed later. */
const transient = new Set(["ENOSPC", "EDQUOT", "EMFILE", "ENFILE"])

const messageOf = (
  filename: string,
  { code, message }: { readonly code: string; readonly message: string }
): string => {
  switch (code) {
    case "ENOSPC":
    case "EDQUOT":
      return `No space is left on the disk that holds ${filename}: free some.`
    case "EMFILE":
    case "ENFILE":
      return `${filename} cannot be written, because too many files are open: close some.`
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return `${filename} cannot be written: give this user write permission for the file and its folder.`
    case "ENOTDIR":
    case "EEXIST":
      return `The folder of ${filename} cannot be created, because a file is in its way: name another file.`
    case "EISDIR":
      return isDirectory(filename)
    case "EIO":
      return `The disk that holds ${filename} reports an error: check the disk.`
    case "ERR_ENCODING_INVALID_ENCODED_DATA":
      return `${filename} is not UTF-8 text: save it as UTF-8, or name another file.`
    case "ERR_STRING_TOO_LONG":
    case "ERR_FS_FILE_TOO_LARGE":
      return `${filename} is too large for one JSON file: keep its tasks in SQLite.`
    case "ENOENT":
      return `The folder of ${filename} is gone: was it moved or deleted?`
    default:
      return `${filename} cannot be used: ${message}.`
  }
}

/** A bug, which is anything that is not an error of the file, is a defect. */
const failOrDie = (filename: string, cause: unknown): Effect.Effect<never, TaskStoreError> => {
  if (cause instanceof TaskStoreError) return Effect.fail(cause)
  if (!isNodeError(cause)) return Effect.die(cause)
  const reason = transient.has(cause.code) ? "Unavailable" : "Unusable"
  return Effect.fail(new TaskStoreError({ reason, message: messageOf(filename, cause), cause }))
}

/** Runs a synchronous body and translates its errors. */
export const attempt = <A>(filename: string, body: () => A): Effect.Effect<A, TaskStoreError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(body())
    } catch (cause) {
      return failOrDie(filename, cause)
    }
  })

/** Runs an asynchronous body and translates its rejection. */
export const attemptPromise = <A>(filename: string, body: () => Promise<A>): Effect.Effect<A, TaskStoreError> =>
  Effect.catch(Effect.tryPromise({ try: body, catch: (cause) => ({ cause }) }), ({ cause }) =>
    failOrDie(filename, cause)
  )

export const isDirectory = (filename: string) => `${filename} is a folder: name a file for the tasks.`

export const notAFile = (filename: string) => `${filename} is not a file: name a file for the tasks.`

export const mistake = (filename: string, mistake: string) =>
  `${filename}:${mistake}. Correct the file, or name another one.`
