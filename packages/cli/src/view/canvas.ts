/**
 * What standard output can show.
 *
 * @since 0.1.0
 */
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as Effect from "effect/Effect"
import * as Stdio from "effect/Stdio"
import * as Terminal from "effect/Terminal"
import * as Style from "./style.ts"
import type { Canvas } from "./table.ts"

/**
 * Colours where they are wanted, and lines as wide as the terminal; without a terminal no line is cut.
 *
 * @category constructors
 * @since 0.1.0
 */
export const canvas: Effect.Effect<Canvas, never, Stdio.Stdio | Terminal.Terminal> = Effect.gen(function* () {
  const { canColor } = yield* TerminalCapabilities
  const stdio = yield* Stdio.Stdio
  const terminal = yield* Terminal.Terminal
  const columns = (yield* stdio.stdoutIsTerminal) ? yield* terminal.columns : 0
  return { style: canColor ? Style.colored : Style.none, columns: columns === 0 ? Infinity : columns }
})
