import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { watch } from "node:fs"
import type { Notification, Notifications } from "@baton/core/TaskStoreDriver"
import type { TaskStoreError } from "@baton/core/TaskStoreError"

/** How long, in milliseconds, a change can stay unseen where the file system reports none, or not this one. */
const longestPause = { watched: 500, unwatched: 50 } as const

/** The pause after a hint, in milliseconds; it doubles until the next one. Under load every write is a hint. */
const shortestPause = 5

/** Other processes do not wait for a clock that a test has stopped. */
const realTime = Clock.Clock.defaultValue()

/**
 * Reports writes by other processes. SQLite counts them in `dataVersion`, which takes microseconds to read. A change of the
 * log that the operating system reports is only a hint to read it soon, and then again: a write is reported before it is
 * on the disk, and visible after.
 */
export const make = (logFile: string, dataVersion: Effect.Effect<number, TaskStoreError>): Notifications => ({
  changes: Stream.callback((queue) =>
    Effect.provideService(report(logFile, dataVersion, queue), Clock.Clock, realTime)
  ),
  // Short enough to notice soon that the machine's clock was set, or that the machine slept. A look takes 50 µs.
  pollInterval: { listening: Duration.seconds(5), disconnected: Duration.seconds(1) }
})

const report = Effect.fnUntraced(function* (
  logFile: string,
  dataVersion: Effect.Effect<number, TaskStoreError>,
  queue: Queue.Enqueue<Notification>
): Effect.fn.Return<void, TaskStoreError, Scope.Scope> {
  const hint = Latch.makeUnsafe(false)
  const isWatched = yield* watchFile(logFile, () => hint.openUnsafe())
  const longest = isWatched ? longestPause.watched : longestPause.unwatched
  let seen = yield* dataVersion
  let pause: number = longest
  yield* Queue.offer(queue, { kind: "listening" })
  while (true) {
    hint.closeUnsafe()
    const version = yield* dataVersion
    if (version !== seen) {
      seen = version
      yield* Queue.offerAll(queue, [{ kind: "work" }, { kind: "control" }])
    }
    const isHinted = yield* Effect.raceFirst(Effect.as(hint.await, true), Effect.as(Effect.sleep(pause), false))
    pause = isHinted ? shortestPause : Math.min(pause * 2, longest)
    if (isHinted) yield* Effect.sleep(shortestPause)
  }
})

/** Returns whether the file is watched: some file systems do not support it, and the number of watches is limited. */
const watchFile = (file: string, onChange: () => void): Effect.Effect<boolean, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try(() => {
      // Not persistent: waiting for other processes does not keep this one alive.
      const watcher = watch(file, { persistent: false }, onChange)
      watcher.on("error", () => watcher.close())
      return watcher
    }),
    (watcher) => Effect.sync(() => watcher.close())
  ).pipe(
    Effect.as(true),
    Effect.catch(() => Effect.succeed(false))
  )
