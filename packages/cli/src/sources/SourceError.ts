/**
 * What is wrong with the files that a person gave as a list of work.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * One thing that is wrong, and where. `line` counts the file's own lines from 1; it is null when the whole file is meant.
 *
 * @category models
 * @since 0.1.0
 */
export const SourceProblem = Schema.Struct({
  file: Schema.String,
  line: Schema.NullOr(Schema.Int),
  /** What is wrong and what would be right. */
  message: Schema.String
})

/** @since 0.1.0 */
export interface SourceProblem extends Schema.Schema.Type<typeof SourceProblem> {}

/**
 * The sources cannot be imported as they are, so nothing of them was. Its message has a line `file:line: problem` for each
 * of the first problems.
 *
 * @category errors
 * @since 0.1.0
 */
export class SourceError extends Schema.TaggedError<SourceError>()("SourceError", {
  problems: Schema.NonEmptyArray(SourceProblem),
  /** How many more problems there are that `problems` does not hold. */
  omitted: Schema.Int
}) {
  override get message(): string {
    const lines = this.problems.map(({ file, line, message }) =>
      line === null ? `${file}: ${message}` : `${file}:${line}: ${message}`
    )
    return (this.omitted === 0 ? lines : [...lines, `and ${this.omitted} more`]).join("\n")
  }
}

/**
 * A `SourceError` of one problem.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (file: string, line: number | null, message: string): SourceError =>
  new SourceError({ problems: [{ file, line, message }], omitted: 0 })
