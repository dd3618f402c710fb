import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { linkSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs"
import { hostname } from "node:os"
import process from "node:process"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Errors from "./errors.ts"

/** The process that has a file locked, as written in the lock file. */
const Owner = Schema.Struct({
  pid: Schema.Int,
  host: Schema.String,
  /** When the lock was taken. */
  since: Schema.String,
  /** When the process started, in the kernel's ticks: a later process can have the same pid. */
  started: Schema.NullOr(Schema.String)
})

interface Owner extends Schema.Schema.Type<typeof Owner> {}

const OwnerText = Schema.fromJsonString(Owner)
const decode = Schema.decodeUnknownOption(OwnerText)
const encode = Schema.encodeSync(OwnerText)

/** A lock that this process holds. */
export interface Lock {
  /** Call it before each write. Throws when another process has the lock now. */
  readonly check: () => void
}

/** Locks a file for as long as the scope is open. The lock of a process that no longer runs is taken over. */
export const acquire = Effect.fnUntraced(function* (
  filename: string,
  path: string
): Effect.fn.Return<Lock, TaskStoreError, Scope.Scope> {
  const owner: Owner = {
    pid: process.pid,
    host: hostname(),
    since: DateTime.formatIso(yield* DateTime.now),
    started: startOf(process.pid)
  }
  const lock: LockFile = { filename, lockFile: `${path}.lock`, owner, text: `${encode(owner)}\n` }
  const isOurs = () => read(lock.lockFile) === lock.text
  yield* Effect.acquireRelease(
    Errors.attempt(filename, () => take(lock)),
    () =>
      Effect.ignore(
        Errors.attempt(filename, () => isOurs() && unlinkSync(lock.lockFile)),
        { log: true }
      )
  )
  return {
    check: () => {
      // Someone may have deleted the lock file: the first process to notice takes the lock.
      if (!isOurs()) take(lock)
    }
  }
})

/** The error if a running process has the file; takes no lock. */
export const inspect = (filename: string, path: string): string | undefined => {
  const lockFile = `${path}.lock`
  const found = read(lockFile)
  return found === undefined
    ? undefined
    : refuse({ filename, lockFile, owner: { pid: process.pid, host: hostname() } }, found)
}

interface LockFile {
  readonly filename: string
  readonly lockFile: string
  readonly owner: Owner
  readonly text: string
}

/** Takes the lock. */
const take = (lock: LockFile): void => {
  while (!create(lock)) {
    const found = read(lock.lockFile)
    // The other process has just released it.
    if (found === undefined) continue
    const refusal = refuse(lock, found)
    if (refusal !== undefined) throw Errors.unusable(refusal)
    remove(lock, found)
  }
}

/** Creates the lock file; returns whether there was none. */
const create = ({ lockFile, text }: LockFile): boolean => {
  try {
    writeFileSync(lockFile, text, { flag: "wx" })
    return true
  } catch (cause) {
    if (Errors.hasCode(cause, "EEXIST")) return false
    throw cause
  }
}

/** Removes an abandoned lock file, but not one that another process has put in its place. */
const remove = ({ lockFile, owner }: LockFile, found: string): void => {
  const aside = `${lockFile}.${owner.pid}`
  try {
    renameSync(lockFile, aside)
    if (read(aside) !== found) linkSync(aside, lockFile)
  } catch (cause) {
    // Another process was faster to remove it, or to create a new one.
    if (!Errors.hasCode(cause, "ENOENT", "EEXIST")) throw cause
  }
  rmSync(aside, { force: true })
}

const read = (file: string): string | undefined => {
  try {
    return readFileSync(file, "utf8")
  } catch (cause) {
    if (Errors.hasCode(cause, "ENOENT")) return undefined
    throw cause
  }
}

/** Why the lock cannot be taken; undefined when its process no longer runs. */
const refuse = (
  {
    filename,
    lockFile,
    owner
  }: Pick<LockFile, "filename" | "lockFile"> & { readonly owner: Pick<Owner, "pid" | "host"> },
  text: string
): string | undefined => {
  // Created but not written yet: its process died in between, or finds out before its first write that it lost the lock.
  if (text === "") return undefined
  const found = Option.getOrUndefined(decode(text))
  if (found === undefined) {
    return `${filename} is locked by ${lockFile}, which cannot be read: delete that file if no process uses ${filename}.`
  }
  const who = `${filename} is in use by process ${found.pid} on ${found.host} since ${found.since}`
  if (found.host !== owner.host) {
    return `${who}, which cannot be checked from here: end that process, or delete ${lockFile} if it is gone.`
  }
  if (!isRunning(found)) return undefined
  return found.pid === owner.pid
    ? `${filename} is already open in this process: use that store, or close it first.`
    : `${who}: wait for it to end, or keep the tasks in a store that processes can share, such as SQLite.`
}

const isRunning = ({ pid, started }: Owner): boolean => {
  try {
    process.kill(pid, 0)
  } catch (cause) {
    // The process exists, and belongs to another user.
    if (!Errors.hasCode(cause, "EPERM")) return false
  }
  const found = startOf(pid)
  return found === null || started === null || found === started
}

/** When a process started, in ticks since the machine started; null where the system does not provide it. */
const startOf = (pid: number): string | null => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1")
    // The name of the program, in parentheses, can contain any character.
    const [state, ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    // It has ended, and its parent has not collected it yet.
    if (state === "Z" || state === "X") return "over"
    return fields[18] ?? null
  } catch {
    return null
  }
}
