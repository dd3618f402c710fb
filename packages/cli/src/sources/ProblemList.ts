/**
 * Collects what is wrong with a list of work, so that a person can put it right in one go.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import { SourceError, type SourceProblem } from "./SourceError.ts"

/** More than this is not read by anyone, and a file of a million bad lines must not fill the memory. */
const shown = 20

/**
 * Keeps the first problems and counts the others.
 *
 * @category models
 * @since 0.1.0
 */
export class ProblemList {
  private readonly problems: Array<SourceProblem> = []
  private total = 0

  /** Whether nothing was wrong so far. */
  get isEmpty(): boolean {
    return this.total === 0
  }

  add(file: string, line: number | null, message: string): void {
    this.total++
    if (this.problems.length < shown) this.problems.push({ file, line, message })
  }

  /** Fails with the problems, if there are any. */
  readonly check: Effect.Effect<void, SourceError> = Effect.suspend(() =>
    Arr.isArrayNonEmpty(this.problems)
      ? Effect.fail(new SourceError({ problems: this.problems, omitted: this.total - this.problems.length }))
      : Effect.void
  )
}
