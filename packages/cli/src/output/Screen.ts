/**
 * Standard error while a command is at work: lines that stay, and on a terminal one line below them that is redrawn.
 *
 * Everything that is shown goes through here, log messages too, so that nothing tears the line that is redrawn. Adding a
 * line costs nothing but memory until the next drawing.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import type { Terminal } from "./terminal.ts"

/**
 * A screen.
 *
 * @category models
 * @since 0.1.0
 */
export interface Screen {
  /** Adds a line that stays. */
  readonly line: (text: string) => void
  /** Draws what has been added so far, and waits until it is written. */
  readonly flush: Effect.Effect<void>
}

/**
 * What is redrawn: on a terminal the line at the bottom, elsewhere a line every now and then. Undefined draws nothing.
 *
 * @category models
 * @since 0.1.0
 */
export type Status = Effect.Effect<string | undefined>

const frame = Duration.millis(100)
const plainInterval = Duration.seconds(10)

const eraseLine = "\r\u001B[2K"

/**
 * A screen that draws until its scope ends; the line at the bottom is gone then.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  terminal: Terminal,
  status: Status
): Effect.fn.Return<Screen, never, Stdio.Stdio | Scope.Scope> {
  const stderr = (yield* Stdio.Stdio).stderr({ endOnDone: false })
  // Bounded by what happens between two drawings.
  let lines: Array<string> = []
  let drawn = ""
  let last: string | undefined

  // Someone who no longer reads what is shown (`2>&1 | head`) does not stop the work.
  const write = (text: string) => (text === "" ? Effect.void : Effect.ignore(Stream.run(Stream.succeed(text), stderr)))

  const oneAtATime = Semaphore.makeUnsafe(1)
  const draw = (bottom: string) =>
    Effect.suspend(() => {
      if (lines.length === 0 && bottom === drawn) return Effect.void
      const text = (drawn === "" ? "" : eraseLine) + lines.map((line) => `${line}\n`).join("") + bottom
      lines = []
      drawn = bottom
      return write(text)
    }).pipe(Semaphore.withPermit(oneAtATime))

  const redraw = Effect.flatMap(status, (text) => draw(text ?? ""))
  yield* Effect.addFinalizer(() => draw(""))
  yield* Effect.forkScoped(
    terminal.canAnimate
      ? Effect.forever(Effect.andThen(redraw, Effect.sleep(frame)))
      : Effect.all(
          [
            Effect.forever(Effect.andThen(Effect.sleep(frame), draw(""))),
            Effect.forever(
              Effect.andThen(
                Effect.sleep(plainInterval),
                Effect.map(status, (text) => {
                  // A worker that waits all night does not have to say so every time.
                  if (text !== undefined && text !== last) lines.push(text)
                  last = text
                })
              )
            )
          ],
          { concurrency: "unbounded", discard: true }
        )
  )
  return {
    line: (text) => void lines.push(text),
    flush: draw("")
  }
})
