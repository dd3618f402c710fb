/** Problems in the sources that a user passed. */
import * as Schema from "effect/Schema"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"

/** A problem and its location. `line` counts from 1; it is null if the problem concerns the whole file. */
export const SourceProblem = Schema.Struct({
  file: Schema.String,
  line: Schema.NullOr(Schema.Int),
  /** Describes the problem and the expected value. */
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

/** Limited so that a file with a million bad lines does not fill the memory. */
const maxShown = 20

/** Keeps the first problems and counts the rest. */
export class ProblemList {
  private readonly problems: Array<SourceProblem> = []
  private total = 0

  /** Whether there are no problems so far. */
  get isEmpty(): boolean {
    return this.total === 0
  }

  add(file: string, line: number | null, message: string): void {
    this.total++
    // A line break in a record's text must not look like the start of another message.
    if (this.problems.length < maxShown) this.problems.push({ file, line, message: message.replaceAll("\n", "␊") })
  }

  addAll({ omitted, problems }: SourceError): void {
    for (const { file, line, message } of problems) this.add(file, line, message)
    this.total += omitted
  }

  /** Fails with the problems, if there are any. */
  readonly check: Effect.Effect<void, SourceError> = Effect.suspend(() =>
    Arr.isArrayNonEmpty(this.problems)
      ? Effect.fail(new SourceError({ problems: this.problems, omitted: this.total - this.problems.length }))
      : Effect.void
  )
}
