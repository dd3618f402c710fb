/**
 * Standard error while a command is at work: lines that stay, and on a terminal a few below them that are redrawn.
 *
 * Everything that is shown goes through here, log messages too, so that nothing tears what is redrawn. Adding a line costs
 * nothing but memory until the next drawing.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import type { PlatformError } from "effect/PlatformError"
import * as Queue from "effect/Queue"
import * as EffectTerminal from "effect/Terminal"
import type { Terminal } from "./terminal.ts"
import { writeAll } from "./stdout.ts"

/** A screen. */
export interface Screen {
  /** Adds a line that stays. */
  readonly line: (text: string) => void
  /** Draws what has been added so far, and waits until it is written. */
  readonly flush: Effect.Effect<void>
  /** Leaves the terminal as others expect it, and draws nothing but lines that stay, until `resume`. */
  readonly leave: Effect.Effect<void>
  /** Draws again, below whatever came in between. */
  readonly resume: Effect.Effect<void>
}

/**
 * What is redrawn: on a terminal the lines at the bottom, elsewhere a line every now and then. Undefined draws nothing.
 */
export type Status = Effect.Effect<string | undefined>

const frame = Duration.millis(100)
const plainInterval = Duration.seconds(10)

/**
 * While someone pulls at a window nothing is redrawn: some terminals tell their size a quarter of a second late, and what
 * is drawn meanwhile for the old one would be left behind.
 */
const settling = 300

/** A screen that draws until its scope ends; what is redrawn is gone then. */
export const make = (terminal: Terminal, status: Status): Effect.Effect<Screen, never, Stdio.Stdio | Scope.Scope> =>
  terminal.canAnimate ? animated(terminal, status) : plain(status)

/** Someone who no longer reads what is shown (`2>&1 | head`) does not stop the work. */
const writer = Effect.map(Stdio.Stdio, (stdio) => {
  const stderr = stdio.stderr({ endOnDone: false })
  return (text: string) => (text === "" ? Effect.void : Effect.ignore(Stream.run(Stream.succeed(text), stderr)))
})

const animated = Effect.fnUntraced(function* (
  terminal: Terminal,
  status: Status
): Effect.fn.Return<Screen, never, Stdio.Stdio | Scope.Scope> {
  // Loaded here, because most commands draw nothing.
  const Drawing = yield* Effect.promise(() => import("./live/drawing.ts"))
  const clock = yield* Clock.Clock
  const write = yield* writer
  const drawing = Drawing.make()
  // Bounded by what happens between two drawings.
  let lines: Array<string> = []
  let isAway = false
  let size = terminal.size()
  let settledAt = 0

  const isSettled = (): boolean => {
    const now = terminal.size()
    const at = clock.currentTimeMillisUnsafe()
    if (now.columns !== size.columns || now.rows !== size.rows) settledAt = at + settling
    size = now
    return at >= settledAt
  }

  const oneAtATime = Semaphore.makeUnsafe(1)
  const draw = (bottom: string) =>
    Effect.suspend(() => {
      const lasting = lines
      lines = []
      const shown = bottom === "" || isAway || !isSettled() ? [] : bottom.split("\n")
      return write(drawing.draw(shown, lasting, terminal.size()))
    }).pipe(Semaphore.withPermit(oneAtATime))
  const redraw = Effect.flatMap(status, (text) => draw(text ?? ""))

  // A process that ends at once, by a second signal or a bug, runs no finalizers, and the cursor would stay hidden.
  const onExit = () => process.stderr.write(drawing.leave())
  yield* Effect.acquireRelease(
    Effect.sync(() => process.on("exit", onExit)),
    () => Effect.sync(() => process.off("exit", onExit))
  )
  yield* Effect.addFinalizer(() => draw(""))
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(redraw, Effect.sleep(frame))))
  return {
    line: (text) => void lines.push(text),
    flush: draw(""),
    leave: Effect.suspend(() => {
      isAway = true
      return write(drawing.leave())
    }),
    resume: Effect.suspend(() => {
      isAway = false
      return redraw
    })
  }
})

const plain = Effect.fnUntraced(function* (status: Status): Effect.fn.Return<Screen, never, Stdio.Stdio | Scope.Scope> {
  const write = yield* writer
  let lines: Array<string> = []
  let last: string | undefined

  const oneAtATime = Semaphore.makeUnsafe(1)
  const flush = Effect.suspend(() => {
    const text = lines.map((line) => `${line}\n`).join("")
    lines = []
    return write(text)
  }).pipe(Semaphore.withPermit(oneAtATime))

  const tell = Effect.map(status, (text) => {
    // A worker that waits all night does not have to say so every time.
    if (text !== undefined && text !== last) lines.push(text)
    last = text
  })
  yield* Effect.addFinalizer(() => flush)
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(frame), flush)))
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(plainInterval), tell)))
  return { line: (text) => void lines.push(text), flush, leave: Effect.void, resume: Effect.void }
})

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
 */
export const redraw = Effect.fnUntraced(function* (
  lines: ReadonlyArray<string>
): Effect.fn.Return<void, PlatformError, Stdio.Stdio | EffectTerminal.Terminal> {
  const terminal = yield* EffectTerminal.Terminal
  const rows = yield* terminal.rows
  const shown = rows === 0 ? lines : lines.slice(0, rows)
  yield* write(begin + home + shown.map((line) => line + clearLine).join("\r\n") + clearBelow + end)
})

/**
 * Runs an effect that draws, on a screen of its own, until it ends or someone types q or Ctrl-C. The screen that was there
 * before comes back, whatever happens.
 */
export const untilQuit = Effect.fnUntraced(function* <A, E, R>(
  drawing: Effect.Effect<A, E, R>
): Effect.fn.Return<void, E | PlatformError, R | Stdio.Stdio | EffectTerminal.Terminal> {
  yield* Effect.acquireUseRelease(
    write(enter),
    () => Effect.scoped(Effect.raceFirst(drawing, quit)),
    () => Effect.ignore(write(leave))
  )
})

const quit = Effect.gen(function* () {
  const { canPrompt } = yield* TerminalCapabilities
  if (!canPrompt) return yield* Effect.never
  const terminal = yield* EffectTerminal.Terminal
  const keys = yield* terminal.readInput
  // The queue ends at Ctrl-C.
  const key = Effect.map(Queue.take(keys), (input) => input.key.name)
  yield* Effect.ignore(Effect.repeat(key, { until: (name) => name === "q" }))
})
