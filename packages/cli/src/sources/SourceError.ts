/** Problems in the sources that a user passed. */
import * as Schema from "effect/Schema"

/**
 * A problem and its location. `line` counts from 1; it is null if the problem concerns the whole file.
 */
export const SourceProblem = Schema.Struct({
  file: Schema.String,
  line: Schema.NullOr(Schema.Int),
  /** Describes the problem and what is expected. */
  message: Schema.String
})

export interface SourceProblem extends Schema.Schema.Type<typeof SourceProblem> {}

/**
 * The sources have problems, so nothing was imported. The message has a line `file:line: problem` for each of the first
 * problems.
 */
export class SourceError extends Schema.TaggedError<SourceError>()("SourceError", {
  problems: Schema.NonEmptyArray(SourceProblem),
  /** The number of problems that are not in `problems`. */
  omitted: Schema.Int
}) {
  override get message(): string {
    const lines = this.problems.map(({ file, line, message }) =>
      line === null ? `${file}: ${message}` : `${file}:${line}: ${message}`
    )
    return (this.omitted === 0 ? lines : [...lines, `and ${this.omitted} more`]).join("\n")
  }
}

/** A `SourceError` with one problem. */
export const make = (file: string, line: number | null, message: string): SourceError =>
  new SourceError({ problems: [{ file, line, message }], omitted: 0 })
