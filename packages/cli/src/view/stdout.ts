/** Standard output, where results go. */
import * as Effect from "effect/Effect"
import type { PlatformError } from "effect/PlatformError"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import type * as Arr from "effect/Array"
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as Terminal from "effect/Terminal"
import * as Style from "./style.ts"
import type { Canvas } from "./table.ts"

/** Writes text as it comes. Waits while the reader does not keep up; fails when there is no reader any more. */
export const writeAll = <E, R>(
  text: Stream.Stream<string, E, R>
): Effect.Effect<void, E | PlatformError, R | Stdio.Stdio> =>
  Effect.flatMap(Stdio.Stdio, (stdio) => Stream.run(text, stdio.stdout({ endOnDone: false })))

/** Writes one line. */
export const writeLine = (line: string): Effect.Effect<void, PlatformError, Stdio.Stdio> =>
  writeAll(Stream.succeed(`${line}\n`))

/** Far below the longest string there can be, even when a single task is megabytes. */
const enough = 64 * 1024

/** The same text, with small parts that arrive together in one piece: a write a page, not a write a task. */
export const byPage = <E, R>(text: Stream.Stream<string, E, R>): Stream.Stream<string, E, R> =>
  Stream.mapArray(text, ([first, ...others]) => {
    const joined: Arr.NonEmptyArray<string> = [first]
    for (const part of others) {
      const last = joined.length - 1
      if ((joined[last] ?? "").length < enough) joined[last] += part
      else joined.push(part)
    }
    return joined
  })

/** Colours where they are wanted, and lines as wide as the terminal; without a terminal no line is cut. */
export const canvas: Effect.Effect<Canvas, never, Stdio.Stdio | Terminal.Terminal> = Effect.gen(function* () {
  const { canColor } = yield* TerminalCapabilities
  const stdio = yield* Stdio.Stdio
  const terminal = yield* Terminal.Terminal
  const columns = (yield* stdio.stdoutIsTerminal) ? yield* terminal.columns : 0
  return { style: canColor ? Style.colored : Style.none, columns: columns === 0 ? Infinity : columns }
})
