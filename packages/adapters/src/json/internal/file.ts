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

/** A file that no other process of ours writes. */
export interface TaskFile {
  /** What was in it when it was opened; nothing if it was not there. */
  readonly text: string
  readonly writtenAt: DateTime.Utc
  /** Puts other contents in its place: whoever reads it, and whatever happens, finds the old ones or the new ones. */
  readonly replace: (contents: Iterable<Uint8Array>) => Effect.Effect<void, TaskStoreError>
}

export const open = Effect.fnUntraced(function* (
  filename: string
): Effect.fn.Return<TaskFile, TaskStoreError, Scope.Scope> {
  const path = yield* Errors.attempt(filename, () => locate(filename))
  const lock = yield* Lock.acquire(filename, path)
  const temporary = `${path}.baton-tmp`
  const found = yield* Errors.attempt(filename, () => {
    // Left by a process that died as it wrote.
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

  /** A file that was there keeps its mode and its owner. */
  const keepOwner = Effect.fnUntraced(function* (handle: FileHandle): Effect.fn.Return<void, TaskStoreError> {
    const before = yield* Errors.attempt(filename, () => statOf(path))
    if (before === undefined) return
    const [uid, gid] = [Number(before.uid), Number(before.gid)]
    // Only root can give a file away; whoever else writes it has it from then on.
    if (process.geteuid?.() === 0) yield* io(() => handle.chown(uid, gid))
    yield* io(() => handle.chmod(Number(before.mode) & 0o7777))
  })

  /** Keeps what somebody else wrote: nothing of theirs is lost, and nothing of ours. */
  const setAside = (count: number): Effect.Effect<void, TaskStoreError> => {
    const name = count === 1 ? `${path}.edited` : `${path}.edited-${count}`
    return io(() => copyFile(path, name, constants.COPYFILE_EXCL)).pipe(
      Effect.andThen(
        Effect.logWarning("The file was changed while it was in use; that version is kept aside").pipe(
          Effect.annotateLogs({ module: "JsonTaskStore", file: filename, aside: name })
        )
      ),
      Effect.catchIf(
        ({ cause }) => Errors.hasCode(cause, "EEXIST"),
        () => setAside(count + 1)
      )
    )
  }

  const replace = Effect.fnUntraced(function* (contents: Iterable<Uint8Array>): Effect.fn.Return<void, TaskStoreError> {
    yield* Errors.attempt(filename, lock.check)
    const written = yield* writeTemporary(contents)
    const current = yield* Errors.attempt(filename, () => statOf(path))
    if (current !== undefined && versionOf(current) !== known) yield* setAside(1)
    yield* io(() => rename(temporary, path))
    known = written
    yield* syncFolder
  })

  /** The new name is on the disk once its folder is. */
  const syncFolder = Effect.acquireUseRelease(
    io(() => openFile(dirname(path), "r")),
    (handle) => io(() => handle.sync()),
    (handle) => Effect.ignore(io(() => handle.close()))
  ).pipe(
    // Not every file system can, and not every user may read the folder.
    Effect.catchIf(
      ({ cause }) => Errors.hasCode(cause, "EACCES", "EINVAL", "EISDIR", "ENOTSUP", "EPERM"),
      () => Effect.void
    )
  )

  return { text: found.text, writtenAt: found.writtenAt, replace }
})

/** Where the file really is, which has to be a place that we can write to; makes its folder. */
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
  // A link stays a link: what it leads to is replaced.
  const real = realpathSync(path)
  accessSync(real, constants.R_OK | constants.W_OK)
  accessSync(dirname(real), constants.W_OK | constants.X_OK)
  return real
}

const statOf = (path: string): BigIntStats | undefined => statSync(path, { bigint: true, throwIfNoEntry: false })

/** Tells one content of a file from another. */
const versionOf = ({ dev, ino, mtimeNs, size }: BigIntStats): string => [dev, ino, mtimeNs, size].join(" ")

/** What is in the file; nothing if it is not there. */
export const load = (path: string) => {
  const stats = statOf(path)
  return {
    // Takes a byte order mark off, and throws on bytes that are no UTF-8.
    text: stats === undefined ? "" : new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(path)),
    writtenAt: DateTime.makeUnsafe(Number(stats?.mtimeMs ?? 0n)),
    version: stats === undefined ? undefined : versionOf(stats)
  }
}
