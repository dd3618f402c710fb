/**
 * Joins text into larger parts.
 *
 * @since 0.1.0
 */
import * as Stream from "effect/Stream"

/**
 * The same text, with what arrives together in one piece: a write a page, not a write a task.
 *
 * @category streams
 * @since 0.1.0
 */
export const byPage = <E, R>(text: Stream.Stream<string, E, R>): Stream.Stream<string, E, R> =>
  Stream.mapArray(text, (parts) => [parts.join("")] as const)
