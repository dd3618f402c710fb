import * as Effect from "effect/Effect"
import { existsSync, statfsSync } from "node:fs"
import { dirname } from "node:path"
import * as Diagnosis from "@baton/core/Diagnosis"
import type { TaskStoreError } from "@baton/core/TaskStoreError"

/** What a store fails with, which is a sentence of the form "what is wrong: the way out." */
export const fromError = (check: string, { message }: TaskStoreError): Diagnosis.Diagnosis => {
  const colon = message.lastIndexOf(": ")
  if (colon < 0) return Diagnosis.fail(check, message, "Wait a moment, and try again.")
  const way = message.slice(colon + 2)
  return Diagnosis.fail(check, `${message.slice(0, colon)}.`, way.charAt(0).toUpperCase() + way.slice(1))
}

/** A check that may fail: what it found, or what it failed with. */
export const check = <R>(
  name: string,
  found: Effect.Effect<Diagnosis.Diagnosis, TaskStoreError, R>
): Effect.Effect<Diagnosis.Diagnosis, never, R> =>
  Effect.catch(found, (error) => Effect.succeed(fromError(name, error)))

/** Times are the server's, so that this does no harm to leases; but people compare them with their own. */
const notableSkew = 2_000

export const clock = (server: string, skewMillis: number): Diagnosis.Diagnosis => {
  if (Math.abs(skewMillis) < notableSkew)
    return Diagnosis.ok("clock", `The clock of ${server} agrees with this machine's.`)
  const seconds = Math.round(Math.abs(skewMillis) / 1000)
  return Diagnosis.warn(
    "clock",
    `The clock of ${server} is ${seconds} s ${skewMillis > 0 ? "ahead of" : "behind"} this machine's: leases are not ` +
      "affected, but the times of tasks are the server's.",
    "Let both machines take their time from the same source (NTP)."
  )
}

/** Below this much a list of some size cannot be written any more. */
const littleSpace = 100 * 1024 * 1024

/** Types of file systems that are on another machine, where locks and flushes may not be what they say: NFS, SMB, CIFS. */
const onNetwork = new Set([0x6969, 0x517b, 0xff534d42, 0xfe534d42])

/** The path, or the nearest folder above it that is there: what decides whether a file can be made. */
export const existingPart = (path: string): string => (existsSync(path) ? path : existingPart(dirname(path)))

/** The disk that holds a path; nothing where it cannot be asked. */
export const disk = (path: string): ReadonlyArray<Diagnosis.Diagnosis> => {
  try {
    const { bavail, bsize, type } = statfsSync(existingPart(path))
    const free = bavail * bsize
    const megabytes = `${Math.floor(free / 1024 / 1024)} MB`
    return [
      free < littleSpace
        ? Diagnosis.warn("space", `Only ${megabytes} are free on the disk.`, "Free some space.")
        : Diagnosis.ok("space", `${megabytes} are free on the disk.`),
      ...(onNetwork.has(type)
        ? [
            Diagnosis.warn(
              "disk",
              "The file is on a network file system, whose locks and flushes cannot be relied on.",
              "Put the file on a local disk, or keep the tasks in PostgreSQL or Redis."
            )
          ]
        : [])
    ]
  } catch {
    return []
  }
}
