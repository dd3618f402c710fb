/**
 * A screen of its own that is drawn again and again.
 *
 * @since 0.1.0
 */
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as Effect from "effect/Effect"
import type { PlatformError } from "effect/PlatformError"
import * as Queue from "effect/Queue"
import type * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Terminal from "effect/Terminal"
import { writeAll } from "./stdout.ts"

const enter = "\u001B[?1049h\u001B[?25l"
const leave = "\u001B[?25h\u001B[?1049l"
const home = "\u001B[H"
const clearLine = "\u001B[K"
const write = (text: string) => writeAll(Stream.succeed(text))

const clearBelow = "\u001B[J"

// A synchronized update: a terminal that knows it shows the whole of it at once.
const begin = "\u001B[?2026h"
const end = "\u001B[?2026l"

/**
 * Draws lines over what was drawn before, without a flicker; what is below the last row of the terminal is left out.
 *
 * @category running
 * @since 0.1.0
 */
export const redraw = Effect.fnUntraced(function* (
  lines: ReadonlyArray<string>
): Effect.fn.Return<void, PlatformError, Stdio.Stdio | Terminal.Terminal> {
  const terminal = yield* Terminal.Terminal
  const rows = yield* terminal.rows
  const shown = rows === 0 ? lines : lines.slice(0, rows)
  yield* write(begin + home + shown.map((line) => line + clearLine).join("\r\n") + clearBelow + end)
})

/**
 * Runs an effect that draws, on a screen of its own, until it ends or someone types q or Ctrl-C. The screen that was there
 * before comes back, whatever happens.
 *
 * @category running
 * @since 0.1.0
 */
export const untilQuit = Effect.fnUntraced(function* <A, E, R>(
  drawing: Effect.Effect<A, E, R>
): Effect.fn.Return<void, E | PlatformError, R | Stdio.Stdio | Terminal.Terminal> {
  yield* Effect.acquireUseRelease(
    write(enter),
    () => Effect.scoped(Effect.raceFirst(drawing, quit)),
    () => Effect.ignore(write(leave))
  )
})

const quit = Effect.gen(function* () {
  const { canPrompt } = yield* TerminalCapabilities
  if (!canPrompt) return yield* Effect.never
  const terminal = yield* Terminal.Terminal
  const keys = yield* terminal.readInput
  // The queue ends at Ctrl-C.
  const key = Effect.map(Queue.take(keys), (input) => input.key.name)
  yield* Effect.ignore(Effect.repeat(key, { until: (name) => name === "q" }))
})
