/** The capabilities of standard error. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stdio from "effect/Stdio"
import * as Prompt from "effect/cli/Prompt"
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import { isForeground } from "../system/keyboard.ts"
import { CommandFailed, EndedWith, exitCodes } from "../system/CommandFailed.ts"
import * as Style from "./style.ts"
import type { Size } from "./live/renderView.ts"
import { printMessage } from "./stderr.ts"
import { safe } from "./safeText.ts"

/** Standard error as a terminal. */
export interface Terminal {
  /** Whether lines can be redrawn. False in a pipe, in CI, and on a terminal that cannot move its cursor. */
  readonly canAnimate: boolean
  readonly style: Style.Style
  /** The current size, which can change at any time. Unlimited without a terminal. */
  readonly size: () => Size
}

/** The size of the terminal on standard error. A terminal without a known size reports 0. */
const currentSize = (): Size => ({ columns: process.stderr.columns || 80, rows: process.stderr.rows || 24 })

const unlimited: Size = { columns: Infinity, rows: Infinity }

const variable = (name: string) => Config.option(Config.NonEmptyString(name))

/** Whether the terminal cannot move its cursor. */
export const isDumb: Effect.Effect<boolean> = Effect.map(Effect.orDie(variable("TERM")), Option.contains("dumb"))

const environment = Config.all({
  noColor: variable("NO_COLOR"),
  forceColor: variable("FORCE_COLOR"),
  ci: variable("CI")
})

/** Standard error of this process: `NO_COLOR`, `FORCE_COLOR`, `TERM=dumb` and `CI` are respected. */
export const stderr: Effect.Effect<Terminal, never, Stdio.Stdio> = Effect.gen(function* () {
  const isTerminal = yield* (yield* Stdio.Stdio).stderrIsTerminal
  const { ci, forceColor, noColor } = yield* Effect.orDie(environment)
  // A background process must not draw, because another program uses the terminal.
  const isOwn = isTerminal && isForeground()
  const isFixed = yield* isDumb
  const isForced = Option.exists(forceColor, (value) => value !== "0" && value !== "false")
  const canColor = Option.isNone(noColor) && !isFixed && (isTerminal || isForced)
  return {
    canAnimate: isOwn && !isFixed && !Option.exists(ci, (value) => value !== "0" && value !== "false"),
    style: canColor ? Style.colored : Style.none,
    size: isTerminal ? currentSize : () => unlimited
  }
})

/** Asks for confirmation and ends the command on a no. Fails without a terminal, unless `--yes` is given. */
export const confirm = Effect.fnUntraced(function* (options: {
  /** The tasks to delete, such as `2 tasks`. */
  readonly what: string
  /** Whether `--yes` is given. */
  readonly yes: boolean
}) {
  if (options.yes) return
  const { canPrompt } = yield* TerminalCapabilities
  if (!canPrompt) {
    return yield* new CommandFailed({
      message: `Permanently deleting ${options.what} needs confirmation, but there is no terminal. Add --yes to confirm.`
    })
  }
  const prompt = Prompt.Confirm({ message: `Permanently delete ${options.what} and their history?` })
  // After Ctrl-C, the cursor is still on the line of the question.
  const answer = yield* Effect.tapErrorTag(Prompt.run(prompt), "QuitError", () => printMessage(safe``))
  if (answer) return
  yield* printMessage(safe`Nothing was deleted.`)
  return yield* new EndedWith({ exitCode: exitCodes.error })
})
