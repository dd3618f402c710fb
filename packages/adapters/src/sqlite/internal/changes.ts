import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { watch } from "node:fs"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Bell from "../../internal/bell.ts"

/** Rung after own writes, and when another process wrote. */
export interface Changes {
  /** Something may be claimable, expired or drained. */
  readonly work: Bell.Bell
  /** The control state may have another revision. */
  readonly control: Bell.Bell
}

/** How long, in milliseconds, a change can stay unseen where the file system announces none, or not this one. */
const longestPause = { watched: 500, unwatched: 50 } as const

/** The pause after a hint, in milliseconds; it doubles until the next. Under load every write is a hint, our own too. */
const shortestPause = 5

/** Other processes do not wait for a clock that a test has stopped, and need not be looked for while it jumps. */
const realTime = Clock.Clock.defaultValue()

/**
 * Watches for writes by other processes. The truth is `dataVersion`, which SQLite keeps for this purpose and answers in
 * microseconds; that the operating system reports a change of the log is a hint to ask soon, and then again: a write is
 * announced before it is on the disk, and visible after.
 */
export const make = Effect.fnUntraced(function* (
  logFile: string,
  dataVersion: Effect.Effect<number, TaskStoreError>
): Effect.fn.Return<Changes, TaskStoreError, Scope.Scope> {
  const changes: Changes = { work: Bell.make(), control: Bell.make() }
  const hint = Bell.make()
  const watched = yield* watchFile(logFile, hint.ring)
  let seen = yield* dataVersion

  const look = Effect.matchEager(dataVersion, {
    onSuccess: (version) => {
      if (version === seen) return
      seen = version
      changes.work.ring()
      changes.control.ring()
    },
    // Whoever waits looks for himself, and reports what is wrong.
    onFailure: () => {
      changes.work.ring()
      changes.control.ring()
    }
  })

  const longest = watched ? longestPause.watched : longestPause.unwatched
  let pause: number = longest
  yield* Effect.suspend(() => {
    const hinted = Effect.as(hint.next(), true)
    return Effect.andThen(look, Effect.raceFirst(hinted, Effect.as(Effect.sleep(pause), false)))
  }).pipe(
    Effect.flatMap((hinted) => {
      pause = hinted ? shortestPause : Math.min(pause * 2, longest)
      return hinted ? Effect.sleep(shortestPause) : Effect.void
    }),
    Effect.forever,
    Effect.provideService(Clock.Clock, realTime),
    Effect.forkScoped
  )

  return changes
})

/** Whether it is watched: some file systems cannot be, and watches can be used up. */
const watchFile = (file: string, onChange: () => void): Effect.Effect<boolean, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try(() => {
      // Not persistent: waiting for other processes is no reason to stay alive.
      const watcher = watch(file, { persistent: false }, onChange)
      watcher.on("error", () => watcher.close())
      return watcher
    }),
    (watcher) => Effect.sync(() => watcher.close())
  ).pipe(
    Effect.as(true),
    Effect.catch(() => Effect.succeed(false))
  )
