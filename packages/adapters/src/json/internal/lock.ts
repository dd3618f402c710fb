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

/** Whose a file is, as its lock file tells other processes. */
const Owner = Schema.Struct({
  pid: Schema.Int,
  host: Schema.String,
  /** When the lock was taken. */
  since: Schema.String,
  /** When the process started, by the kernel's count: tells it from a later one that was given the same pid. */
  started: Schema.NullOr(Schema.String)
})

interface Owner extends Schema.Schema.Type<typeof Owner> {}

const OwnerText = Schema.fromJsonString(Owner)
const decode = Schema.decodeUnknownOption(OwnerText)
const encode = Schema.encodeSync(OwnerText)

/** The right to write a file. */
export interface Lock {
  /** Makes sure, before each write, that the lock is still ours; throws when it is not. */
  readonly check: () => void
}

/**
 * Locks a file for as long as the scope is open. Of several processes one gets it; what a process that is gone left
 * behind is taken over.
 */
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
      // Deleted by somebody who cleans up, say: whoever comes first takes it.
      if (!isOurs()) take(lock)
    }
  }
})

/** Who has the file, if that is anybody who is still there. Takes nothing. */
export const look = (filename: string, path: string): string | undefined => {
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

/** Makes the lock file ours. */
const take = (lock: LockFile): void => {
  while (!create(lock)) {
    const found = read(lock.lockFile)
    // Given back just now.
    if (found === undefined) continue
    const refusal = refuse(lock, found)
    if (refusal !== undefined) throw Errors.unusable(refusal)
    remove(lock, found)
  }
}

/** Whether it could be made: it is not there. */
const create = ({ lockFile, text }: LockFile): boolean => {
  try {
    writeFileSync(lockFile, text, { flag: "wx" })
    return true
  } catch (cause) {
    if (Errors.hasCode(cause, "EEXIST")) return false
    throw cause
  }
}

/** Removes a lock that was left behind, and not the one that another process may have put in its place meanwhile. */
const remove = ({ lockFile, owner }: LockFile, found: string): void => {
  const aside = `${lockFile}.${owner.pid}`
  try {
    renameSync(lockFile, aside)
    if (read(aside) !== found) linkSync(aside, lockFile)
  } catch (cause) {
    // Somebody was faster to remove it, or to make a new one.
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

/** Why the file cannot be had; undefined when the lock was left by a process that is gone. */
const refuse = (
  {
    filename,
    lockFile,
    owner
  }: Pick<LockFile, "filename" | "lockFile"> & { readonly owner: Pick<Owner, "pid" | "host"> },
  text: string
): string | undefined => {
  // Made and not yet written: its process died in between, or will find out that the lock is not its own any more.
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
    ? `${filename} is open in this process already: use that store, or close it first.`
    : `${who}: wait for it to end, or keep the tasks in a store that processes can share, such as SQLite.`
}

const isRunning = ({ pid, started }: Owner): boolean => {
  try {
    process.kill(pid, 0)
  } catch (cause) {
    // It is there, and somebody else's.
    if (!Errors.hasCode(cause, "EPERM")) return false
  }
  const found = startOf(pid)
  return found === null || started === null || found === started
}

/** The time at which a process started, in ticks since the machine did; null where it is not to be had. */
const startOf = (pid: number): string | null => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1")
    // The name of the program, in parentheses, can hold anything.
    const [state, ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    // Dead, and only not yet collected by its parent.
    if (state === "Z" || state === "X") return "over"
    return fields[18] ?? null
  } catch {
    return null
  }
}
