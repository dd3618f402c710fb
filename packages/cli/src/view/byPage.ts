/**
 * Joins text into larger parts.
 *
 * @since 0.1.0
 */
import type * as Arr from "effect/Array"
import * as Stream from "effect/Stream"

/** Far below the longest string there can be, even when a single task is megabytes. */
const enough = 64 * 1024

/**
 * The same text, with small parts that arrive together in one piece: a write a page, not a write a task.
 *
 * @category streams
 * @since 0.1.0
 */
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
