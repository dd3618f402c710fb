/** Writes results to standard output. */
import * as Effect from "effect/Effect"
import type { PlatformError } from "effect/PlatformError"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import type * as Arr from "effect/Array"
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as Terminal from "effect/Terminal"
import * as Style from "./style.ts"
import type { SafeText } from "./safeText.ts"
import type { Canvas } from "./table.ts"

/** Streams text to standard output. Waits for a slow reader, and fails if the pipe was closed. */
export const writeAll = <E, R>(
  text: Stream.Stream<string | Uint8Array, E, R>
): Effect.Effect<void, E | PlatformError, R | Stdio.Stdio> =>
  Effect.flatMap(Stdio.Stdio, (stdio) => Stream.run(text, stdio.stdout({ endOnDone: false })))

/** Writes a message for people. */
export const writeLine = (line: SafeText): Effect.Effect<void, PlatformError, Stdio.Stdio> => writeLines([line])

/** Writes the lines of a view, which can have colours, or of a machine format. */
export const writeLines = (lines: Iterable<string>): Effect.Effect<void, PlatformError, Stdio.Stdio> =>
  writeAll(byPage(Stream.map(Stream.fromIterable(lines), (line) => `${line}\n`)))

/** The size up to which parts are joined, far below the maximum length of a string. */
const targetSize = 64 * 1024

/** Joins small parts of a page, so that each page needs one write instead of one per task. */
export const byPage = <E, R>(
  text: Stream.Stream<string | Uint8Array, E, R>
): Stream.Stream<string | Uint8Array, E, R> =>
  Stream.mapArray(text, ([first, ...others]) => {
    const joined: Arr.NonEmptyArray<string | Uint8Array> = [first]
    for (const part of others) {
      const last = joined.at(-1)
      if (typeof last === "string" && typeof part === "string" && last.length < targetSize) {
        joined[joined.length - 1] = last + part
      } else joined.push(part)
    }
    return joined
  })

/** The colours and the width of standard output. Without a terminal, lines are not cut. */
export const canvas: Effect.Effect<Canvas, never, Stdio.Stdio | Terminal.Terminal> = Effect.gen(function* () {
  const { canColor } = yield* TerminalCapabilities
  const stdio = yield* Stdio.Stdio
  const terminal = yield* Terminal.Terminal
  const columns = (yield* stdio.stdoutIsTerminal) ? yield* terminal.columns : 0
  return { style: canColor ? Style.colored : Style.none, columns: columns === 0 ? Infinity : columns }
})
