/**
 * What the workers did, as they saw it: one line of JSON for each thing, all in one file, in the order in which it
 * happened. A line is in the file before its writer goes on, so that a kill takes nothing back.
 */
import { Schema } from "effect"
import { openSync, readFileSync, writeSync } from "node:fs"

/** Milliseconds since 1970, who saw it, and under which lease. */
const fields = { at: Schema.Number, worker: Schema.String, task: Schema.String, token: Schema.Int }

export const Line = Schema.TaggedUnion({
  /** The store handed the task out; `saved` is the output that it brought along. */
  Claimed: { ...fields, attempt: Schema.Int, saved: Schema.NullOr(Schema.String) },
  /** The executor was called. */
  Executed: { ...fields, attempt: Schema.Int, output: Schema.String },
  /** The store said that the output is durable. */
  Saved: { ...fields, output: Schema.String },
  /** The store said that the end of the attempt is durable. */
  Settled: { ...fields, as: Schema.Literals(["Complete", "Retry", "Fail", "Release"]) },
  /** The store said that the lease is gone. `output`: what would have been written. */
  Fenced: {
    ...fields,
    what: Schema.Literals(["checkpoint", "settle"]),
    as: Schema.NullOr(Schema.Literals(["Complete", "Retry", "Fail", "Release"])),
    output: Schema.NullOr(Schema.String)
  },
  /** The lease of a silent worker was taken back by this one. */
  Reclaimed: fields,
  /** The run told a hook that the task has ended. */
  Told: { at: Schema.Number, worker: Schema.String, task: Schema.String, event: Schema.String, attempt: Schema.Int }
})
export type Line = typeof Line.Type

const decode = Schema.decodeUnknownSync(Schema.Array(Schema.fromJsonString(Line)))

type Without<A, Keys extends PropertyKey> = A extends unknown ? Omit<A, Keys> : never

export const writer = (file: string, worker: string) => {
  const descriptor = openSync(file, "a")
  return (lines: ReadonlyArray<Without<Line, "at" | "worker">>): void => {
    if (lines.length === 0) return
    const at = Date.now()
    writeSync(descriptor, lines.map((line) => `${JSON.stringify({ ...line, at, worker })}\n`).join(""))
  }
}
export type Write = ReturnType<typeof writer>

export const read = (file: string): ReadonlyArray<Line> =>
  decode(
    readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line !== "")
  )
