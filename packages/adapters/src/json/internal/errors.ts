import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { TaskStoreError } from "@baton/core/TaskStoreError"

export const unusable = (message: string, cause?: unknown) =>
  new TaskStoreError({ reason: "Unusable", message, ...(cause === undefined ? undefined : { cause }) })

const unavailable = (message: string, cause: unknown) => new TaskStoreError({ reason: "Unavailable", message, cause })

/** What Node throws when a file operation fails. */
const isNodeError = Schema.is(Schema.Struct({ code: Schema.String, message: Schema.String }))

export const hasCode = (cause: unknown, ...codes: ReadonlyArray<string>): boolean =>
  isNodeError(cause) && codes.includes(cause.code)

/** The error for a person, or `undefined` when this is no error of the file but a bug of ours. */
const fromCause = (filename: string, cause: unknown): TaskStoreError | undefined => {
  if (cause instanceof TaskStoreError) return cause
  if (!isNodeError(cause)) return undefined
  switch (cause.code) {
    case "ENOSPC":
    case "EDQUOT":
      return unavailable(`No space is left on the disk that holds ${filename}: free some.`, cause)
    case "EMFILE":
    case "ENFILE":
      return unavailable(`${filename} cannot be written, because too many files are open: close some.`, cause)
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return unusable(readOnly(filename), cause)
    case "ENOTDIR":
    case "EEXIST":
      return unusable(`The folder of ${filename} cannot be made, because a file is in its way.`, cause)
    case "EISDIR":
      return unusable(isDirectory(filename), cause)
    case "EIO":
      return unusable(`The disk that holds ${filename} reports an error: check the disk.`, cause)
    case "ERR_ENCODING_INVALID_ENCODED_DATA":
      return unusable(`${filename} is not UTF-8 text: save it as such, or name another file.`, cause)
    case "ERR_STRING_TOO_LONG":
    case "ERR_FS_FILE_TOO_LARGE":
      return unusable(`${filename} is too large for one JSON file: keep its tasks in SQLite.`, cause)
    case "ENOENT":
      return unusable(`The folder of ${filename} is gone: was it moved or deleted?`, cause)
    default:
      return unusable(`${filename} cannot be used: ${cause.message}.`, cause)
  }
}

const orDie = (filename: string, cause: unknown): Effect.Effect<never, TaskStoreError> => {
  const error = fromCause(filename, cause)
  return error === undefined ? Effect.die(cause) : Effect.fail(error)
}

/** Does what blocks the thread for a moment. */
export const attempt = <A>(filename: string, body: () => A): Effect.Effect<A, TaskStoreError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(body())
    } catch (cause) {
      return orDie(filename, cause)
    }
  })

/** Does what takes a while. */
export const attemptPromise = <A>(filename: string, body: () => Promise<A>): Effect.Effect<A, TaskStoreError> =>
  Effect.catch(Effect.tryPromise({ try: body, catch: (cause) => ({ cause }) }), ({ cause }) => orDie(filename, cause))

export const readOnly = (filename: string) =>
  `${filename} cannot be written: give this user write permission for the file and its folder.`

export const isDirectory = (filename: string) => `${filename} is a folder: name a file for the tasks.`

export const notAFile = (filename: string) => `${filename} is not a file: name one for the tasks.`

export const mistake = (filename: string, mistake: string) =>
  `${filename}:${mistake}. Correct the file, or name another one.`
