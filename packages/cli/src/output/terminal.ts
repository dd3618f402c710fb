/**
 * What standard error can show.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stdio from "effect/Stdio"
import * as Style from "../format/style.ts"

/**
 * Standard error as something to draw on.
 *
 * @category models
 * @since 0.1.0
 */
export interface Terminal {
  /** Whether a line can be redrawn. False in a pipe, in CI, and on a terminal that cannot move its cursor. */
  readonly canAnimate: boolean
  readonly style: Style.Style
  /** How wide it is now; a person may resize it at any time. Unlimited where there is no terminal. */
  readonly columns: () => number
}

/**
 * How wide the terminal behind standard error is.
 *
 * @category services
 * @since 0.1.0
 */
export const StderrColumns = Context.Reference<() => number>("@baton/cli/output/StderrColumns", {
  defaultValue: () => () => process.stderr.columns ?? 80
})

const variable = (name: string) => Config.option(Config.NonEmptyString(name))

const environment = Config.all({
  noColor: variable("NO_COLOR"),
  forceColor: variable("FORCE_COLOR"),
  term: variable("TERM"),
  ci: variable("CI")
})

/**
 * Standard error of this process: `NO_COLOR`, `FORCE_COLOR`, `TERM=dumb` and `CI` are respected.
 *
 * @category constructors
 * @since 0.1.0
 */
export const stderr: Effect.Effect<Terminal, never, Stdio.Stdio> = Effect.gen(function* () {
  const isTerminal = yield* (yield* Stdio.Stdio).stderrIsTerminal
  const { ci, forceColor, noColor, term } = yield* Effect.orDie(environment)
  const columns = yield* StderrColumns
  const isDumb = Option.contains(term, "dumb")
  const isForced = Option.exists(forceColor, (value) => value !== "0" && value !== "false")
  const canColor = Option.isNone(noColor) && !isDumb && (isTerminal || isForced)
  return {
    canAnimate: isTerminal && !isDumb && !Option.exists(ci, (value) => value !== "0" && value !== "false"),
    style: canColor ? Style.colored : Style.none,
    columns: isTerminal ? columns : () => Infinity
  }
})
