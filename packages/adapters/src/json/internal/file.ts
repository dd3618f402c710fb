import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import {
  accessSync,
  type BigIntStats,
  constants,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync
} from "node:fs"
import { copyFile, type FileHandle, open as openFile, rename, rm } from "node:fs/promises"
import { dirname, resolve } from "node:path"
import process from "node:process"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Errors from "./errors.ts"
import * as Lock from "./lock.ts"

/** A file that this process has locked. */
export interface TaskFile {
  /** The contents when it was opened; empty if it did not exist. */
  readonly text: string
  readonly writtenAt: DateTime.Utc
  /** Replaces the whole file. Readers, also after a crash, find the old contents or the new ones. */
  readonly replace: (contents: Iterable<Uint8Array>) => Effect.Effect<void, TaskStoreError>
}

export const open = Effect.fnUntraced(function* (
  filename: string
): Effect.fn.Return<TaskFile, TaskStoreError, Scope.Scope> {
  const path = yield* Errors.attempt(filename, () => locate(filename))
  const lock = yield* Lock.acquire(filename, path)
  const temporary = `${path}.baton-tmp`
  const found = yield* Errors.attempt(filename, () => {
    // A process that died during a write leaves it.
    rmSync(temporary, { force: true })
    return load(path)
  })
  let known = found.version

  const io = <A>(body: () => Promise<A>) => Errors.attemptPromise(filename, body)

  const writeTemporary = (contents: Iterable<Uint8Array>) =>
    Effect.acquireUseRelease(
      io(() => openFile(temporary, "w", 0o600)),
      (handle) =>
        Effect.gen(function* () {
          yield* io(() => handle.writeFile(contents))
          yield* keepOwner(handle)
          yield* io(() => handle.sync())
          return versionOf(yield* io(() => handle.stat({ bigint: true })))
        }),
      (handle) => Effect.ignore(io(() => handle.close()))
    ).pipe(Effect.onError(() => Effect.ignore(io(() => rm(temporary, { force: true })))))

  /** An existing file keeps its mode and its owner. */
  const keepOwner = Effect.fnUntraced(function* (handle: FileHandle): Effect.fn.Return<void, TaskStoreError> {
    const before = yield* Errors.attempt(filename, () => statOf(path))
    if (before === undefined) return
    const [uid, gid] = [Number(before.uid), Number(before.gid)]
    // Only root can give a file to another user.
    if (process.geteuid?.() === 0) yield* io(() => handle.chown(uid, gid))
    yield* io(() => handle.chmod(Number(before.mode) & 0o7777))
  })

  /** Keeps the version of another program in a separate file. */
  const keepEdited = (count: number): Effect.Effect<void, TaskStoreError> => {
    const name = count === 1 ? `${path}.edited` : `${path}.edited-${count}`
    return io(() => copyFile(path, name, constants.COPYFILE_EXCL)).pipe(
      Effect.andThen(
        Effect.logWarning("The file was edited while it was in use; the edited version is in another file").pipe(
          Effect.annotateLogs({ module: "JsonTaskStore", file: filename, edited: name })
        )
      ),
      Effect.catchIf(
        ({ cause }) => Errors.hasCode(cause, "EEXIST"),
        () => keepEdited(count + 1)
      )
    )
  }

  const replace = Effect.fnUntraced(function* (contents: Iterable<Uint8Array>): Effect.fn.Return<void, TaskStoreError> {
    yield* Errors.attempt(filename, lock.check)
    const written = yield* writeTemporary(contents)
    const current = yield* Errors.attempt(filename, () => statOf(path))
    if (current !== undefined && versionOf(current) !== known) yield* keepEdited(1)
    yield* io(() => rename(temporary, path))
    known = written
    yield* syncFolder
  })

  /** A renamed file is on the disk once its folder is. */
  const syncFolder = Effect.acquireUseRelease(
    io(() => openFile(dirname(path), "r")),
    (handle) => io(() => handle.sync()),
    (handle) => Effect.ignore(io(() => handle.close()))
  ).pipe(
    // Some file systems do not support it, and some users cannot read the folder.
    Effect.catchIf(
      ({ cause }) => Errors.hasCode(cause, "EACCES", "EINVAL", "EISDIR", "ENOTSUP", "EPERM"),
      () => Effect.void
    )
  )

  return { text: found.text, writtenAt: found.writtenAt, replace }
})

/** The path of the file behind links. Creates its folder, and throws when the file cannot be written. */
export const locate = (filename: string): string => {
  const path = resolve(filename)
  const found = statOf(path)
  if (found === undefined) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    accessSync(dirname(path), constants.W_OK | constants.X_OK)
    return path
  }
  if (found.isDirectory()) throw Errors.unusable(Errors.isDirectory(filename))
  if (!found.isFile()) throw Errors.unusable(Errors.notAFile(filename))
  // A link stays a link: its target is replaced.
  const real = realpathSync(path)
  accessSync(real, constants.R_OK | constants.W_OK)
  accessSync(dirname(real), constants.W_OK | constants.X_OK)
  return real
}

const statOf = (path: string): BigIntStats | undefined => statSync(path, { bigint: true, throwIfNoEntry: false })

/** Differs between two versions of a file. */
const versionOf = ({ dev, ino, mtimeNs, size }: BigIntStats): string => [dev, ino, mtimeNs, size].join(" ")

/** The contents of a file; empty if it does not exist. */
export const load = (path: string) => {
  const stats = statOf(path)
  return {
    // Removes a byte order mark, and throws on bytes that are not UTF-8.
    text: stats === undefined ? "" : new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(path)),
    writtenAt: DateTime.makeUnsafe(Number(stats?.mtimeMs ?? 0n)),
    version: stats === undefined ? undefined : versionOf(stats)
  }
}
