import * as Effect from "effect/Effect"
import { existsSync, statfsSync } from "node:fs"
import { dirname } from "node:path"
import * as Diagnosis from "@baton/core/Diagnosis"
import type { TaskStoreError } from "@baton/core/TaskStoreError"

/** The error of a store. Its message has the form "problem: remedy." */
export const fromError = (check: string, { message }: TaskStoreError): Diagnosis.Diagnosis => {
  const colon = message.lastIndexOf(": ")
  if (colon < 0) return Diagnosis.fail(check, message, "Wait a moment and try again.")
  const remedy = message.slice(colon + 2)
  return Diagnosis.fail(check, `${message.slice(0, colon)}.`, remedy.charAt(0).toUpperCase() + remedy.slice(1))
}

/** A check whose error is a diagnosis. */
export const check = <R>(
  name: string,
  found: Effect.Effect<Diagnosis.Diagnosis, TaskStoreError, R>
): Effect.Effect<Diagnosis.Diagnosis, never, R> =>
  Effect.catch(found, (error) => Effect.succeed(fromError(name, error)))

/** All times are the server's, so a skew does not affect leases, but people compare times with their own clock. */
const notableSkew = 2_000

export const clock = (server: string, skewMillis: number): Diagnosis.Diagnosis => {
  if (Math.abs(skewMillis) < notableSkew)
    return Diagnosis.ok("clock", `The clock of ${server} agrees with this machine's.`)
  const seconds = Math.round(Math.abs(skewMillis) / 1000)
  return Diagnosis.warn(
    "clock",
    `The clock of ${server} is ${seconds} s ${skewMillis > 0 ? "ahead of" : "behind"} this machine's: leases are not ` +
      "affected, but the times of tasks are the server's.",
    "Synchronize the clocks of both machines (NTP)."
  )
}

/** With less space, a large list can no longer be written. */
const littleSpace = 100 * 1024 * 1024

/** Network file systems, whose locks and flushes are unreliable: NFS, SMB, CIFS. */
const onNetwork = new Set([0x6969, 0x517b, 0xff534d42, 0xfe534d42])

/** The path, or the nearest folder above it that exists, where the file would be created. */
export const existingPart = (path: string): string => (existsSync(path) ? path : existingPart(dirname(path)))

/** The disk of a path; none where the system does not describe it. */
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
