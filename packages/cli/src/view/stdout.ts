/**
 * Standard output, where results go.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { PlatformError } from "effect/PlatformError"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"

/**
 * Writes text as it comes. Waits while the reader does not keep up; fails when there is no reader any more.
 *
 * @category running
 * @since 0.1.0
 */
export const writeAll = <E, R>(
  text: Stream.Stream<string, E, R>
): Effect.Effect<void, E | PlatformError, R | Stdio.Stdio> =>
  Effect.flatMap(Stdio.Stdio, (stdio) => Stream.run(text, stdio.stdout({ endOnDone: false })))

/**
 * Writes one line.
 *
 * @category running
 * @since 0.1.0
 */
export const writeLine = (line: string): Effect.Effect<void, PlatformError, Stdio.Stdio> =>
  writeAll(Stream.succeed(`${line}\n`))
