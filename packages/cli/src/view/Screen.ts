/**
 * Writes permanent lines to standard error, and on a terminal redraws a few lines below them.
 *
 * All output to standard error goes through a screen, including log messages, so that nothing disturbs the redrawn lines.
 * Lines are buffered until the next redraw.
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
  /** Adds a permanent line. */
  readonly line: (text: string) => void
  /** Draws the added lines and waits until they are written. */
  readonly flush: Effect.Effect<void>
  /** Restores the terminal and draws only permanent lines until `resume`. */
  readonly leave: Effect.Effect<void>
  /** Draws again, below the output of other programs. */
  readonly resume: Effect.Effect<void>
}

/**
 * The redrawn lines: on a terminal the lines at the bottom, otherwise a line that is printed periodically. Undefined draws
 * nothing.
 */
export type Status = Effect.Effect<string | undefined>

const frame = Duration.millis(100)
const plainInterval = Duration.seconds(10)

/**
 * Nothing is redrawn for this time after a resize. Some terminals report their size a quarter of a second late, and lines
 * drawn for the old size would remain on the screen.
 */
const resizeDelay = 300

/** Creates a screen that draws until its scope closes, and then clears the redrawn lines. */
export const make = (terminal: Terminal, status: Status): Effect.Effect<Screen, never, Stdio.Stdio | Scope.Scope> =>
  terminal.canAnimate ? animated(terminal, status) : plain(status)

/** Ignores errors, so that a closed pipe (`2>&1 | head`) does not stop the run. */
const writer = Effect.map(Stdio.Stdio, (stdio) => {
  const stderr = stdio.stderr({ endOnDone: false })
  return (text: string) => (text === "" ? Effect.void : Effect.ignore(Stream.run(Stream.succeed(text), stderr)))
})

const animated = Effect.fnUntraced(function* (
  terminal: Terminal,
  status: Status
): Effect.fn.Return<Screen, never, Stdio.Stdio | Scope.Scope> {
  // Loaded on demand, because most commands draw nothing.
  const FrameWriter = yield* Effect.promise(() => import("./live/frameWriter.ts"))
  const clock = yield* Clock.Clock
  const write = yield* writer
  const frames = FrameWriter.make()
  // Bounded by the number of events between two redraws.
  let lines: Array<string> = []
  let isSuspended = false
  let size = terminal.size()
  let settledAt = 0

  const isSettled = (): boolean => {
    const now = terminal.size()
    const at = clock.currentTimeMillisUnsafe()
    if (now.columns !== size.columns || now.rows !== size.rows) settledAt = at + resizeDelay
    size = now
    return at >= settledAt
  }

  const lock = Semaphore.makeUnsafe(1)
  const draw = (bottom: string) =>
    Effect.suspend(() => {
      const permanent = lines
      lines = []
      const shown = bottom === "" || isSuspended || !isSettled() ? [] : bottom.split("\n")
      return write(frames.draw(shown, permanent, terminal.size()))
    }).pipe(Semaphore.withPermit(lock))
  const redraw = Effect.flatMap(status, (text) => draw(text ?? ""))

  // After a second signal or a bug, the process exits without running finalizers, and the cursor would stay hidden.
  const onExit = () => process.stderr.write(frames.leave())
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
      isSuspended = true
      return write(frames.leave())
    }),
    resume: Effect.suspend(() => {
      isSuspended = false
      return redraw
    })
  }
})

const plain = Effect.fnUntraced(function* (status: Status): Effect.fn.Return<Screen, never, Stdio.Stdio | Scope.Scope> {
  const write = yield* writer
  let lines: Array<string> = []
  let last: string | undefined

  const lock = Semaphore.makeUnsafe(1)
  const flush = Effect.suspend(() => {
    const text = lines.map((line) => `${line}\n`).join("")
    lines = []
    return write(text)
  }).pipe(Semaphore.withPermit(lock))

  const addStatus = Effect.map(status, (text) => {
    // Repeated lines are omitted, for example while a worker waits.
    if (text !== undefined && text !== last) lines.push(text)
    last = text
  })
  yield* Effect.addFinalizer(() => flush)
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(frame), flush)))
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(plainInterval), addStatus)))
  return { line: (text) => void lines.push(text), flush, leave: Effect.void, resume: Effect.void }
})

const enter = "\u001B[?1049h\u001B[?25l"
const leave = "\u001B[?25h\u001B[?1049l"
const home = "\u001B[H"
const clearLine = "\u001B[K"
const write = (text: string) => writeAll(Stream.succeed(text))

const clearBelow = "\u001B[J"

// A synchronized update: a terminal that supports it shows the whole update at once.
const begin = "\u001B[?2026h"
const end = "\u001B[?2026l"

/** Replaces the drawn lines without flicker. Lines below the last row of the terminal are omitted. */
export const redraw = Effect.fnUntraced(function* (
  lines: ReadonlyArray<string>
): Effect.fn.Return<void, PlatformError, Stdio.Stdio | EffectTerminal.Terminal> {
  const terminal = yield* EffectTerminal.Terminal
  const rows = yield* terminal.rows
  const shown = rows === 0 ? lines : lines.slice(0, rows)
  yield* write(begin + home + shown.map((line) => line + clearLine).join("\r\n") + clearBelow + end)
})

/**
 * Runs an effect that draws on the alternate screen, until it ends or the user presses q or Ctrl-C. Afterwards the previous
 * screen is restored.
 */
export const untilQuit = Effect.fnUntraced(function* <A, E, R>(
  drawing: Effect.Effect<A, E, R>
): Effect.fn.Return<void, E | PlatformError, R | Stdio.Stdio | EffectTerminal.Terminal> {
  yield* onAlternateScreen(Effect.scoped(Effect.raceFirst(drawing, quit)))
})

/** Runs an effect that draws on the alternate screen, and restores the previous screen afterwards. */
export const onAlternateScreen = <A, E, R>(
  drawing: Effect.Effect<A, E, R>
): Effect.Effect<A, E | PlatformError, R | Stdio.Stdio> =>
  Effect.acquireUseRelease(
    write(enter),
    () => drawing,
    () => Effect.ignore(write(leave))
  )

const quit = Effect.gen(function* () {
  const { canPrompt } = yield* TerminalCapabilities
  if (!canPrompt) return yield* Effect.never
  const terminal = yield* EffectTerminal.Terminal
  const keys = yield* terminal.readInput
  // The queue ends at Ctrl-C.
  const key = Effect.map(Queue.take(keys), (input) => input.key.name)
  yield* Effect.ignore(Effect.repeat(key, { until: (name) => name === "q" }))
})
