/** Collects the problems of the sources, so that a user can fix them all at once. */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import { SourceError, type SourceProblem } from "./SourceError.ts"

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
    if (this.problems.length < maxShown) this.problems.push({ file, line, message })
  }

  /** Fails with the problems, if there are any. */
  readonly check: Effect.Effect<void, SourceError> = Effect.suspend(() =>
    Arr.isArrayNonEmpty(this.problems)
      ? Effect.fail(new SourceError({ problems: this.problems, omitted: this.total - this.problems.length }))
      : Effect.void
  )
}
