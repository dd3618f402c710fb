/**
 * The history of a test: a file to which all workers append a line of JSON for each event, in order. A line is written before
 * the worker continues, so a kill loses no line.
 */
import { Schema } from "effect"
import { openSync, readFileSync, writeSync } from "node:fs"

/** Milliseconds since 1970, the worker, the task and its lease token. */
const fields = { at: Schema.Number, worker: Schema.String, task: Schema.String, token: Schema.Int }

export const Line = Schema.TaggedUnion({
  /** The store returned the task from a claim; `saved` is its saved output. */
  Claimed: { ...fields, attempt: Schema.Int, saved: Schema.NullOr(Schema.String) },
  /** The executor was called. */
  Executed: { ...fields, attempt: Schema.Int, output: Schema.String },
  /** The store acknowledged the checkpoint. */
  Saved: { ...fields, output: Schema.String },
  /** The store acknowledged the settlement. */
  Settled: { ...fields, as: Schema.Literals(["Complete", "Review", "Retry", "Fail", "Release"]) },
  /** The store reported a lost lease; `output` was not written. */
  Fenced: {
    ...fields,
    what: Schema.Literals(["checkpoint", "settle"]),
    as: Schema.NullOr(Schema.Literals(["Complete", "Review", "Retry", "Fail", "Release"])),
    output: Schema.NullOr(Schema.String)
  },
  /** This worker swept the expired lease of another. */
  Reclaimed: fields,
  /** The run published an event about the end of an attempt. */
  Published: {
    at: Schema.Number,
    worker: Schema.String,
    task: Schema.String,
    event: Schema.String,
    attempt: Schema.Int
  }
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
