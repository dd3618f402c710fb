import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { watch } from "node:fs"
import type { TaskStoreError } from "@baton/core/TaskStoreError"

/** Wakes whoever waits at the moment it rings. */
export interface Bell {
  readonly ring: () => void
  /** The next ring, counted from this call and not from when the effect runs, so that none in between is missed. */
  readonly next: () => Effect.Effect<void>
}

const makeBell = (): Bell => {
  let waited: Deferred.Deferred<void> | undefined
  return {
    ring: () => {
      if (waited === undefined) return
      const rung = waited
      waited = undefined
      Deferred.doneUnsafe(rung, Effect.void)
    },
    next: () => Deferred.await((waited ??= Deferred.makeUnsafe()))
  }
}

/** Rung after own writes, and when another process wrote. */
export interface Changes {
  /** Something may be claimable, expired or drained. */
  readonly work: Bell
  /** The control state may have another revision. */
  readonly control: Bell
}

/** How long a change by another process can stay unseen where the file system announces none. */
const poll = { watched: "250 millis", unwatched: "50 millis" } as const

/** Under load the file changes with every write, our own included: looking this often is enough. */
const breather = "10 millis"

/** Other processes do not wait for a clock that a test has stopped, and need not be looked for while it jumps. */
const realTime = Clock.Clock.defaultValue()

/**
 * Watches for writes by other processes. The truth is `dataVersion`, which SQLite keeps for this purpose and answers in
 * microseconds; that the operating system reports a change of the log is a hint to ask at once.
 */
export const make = Effect.fnUntraced(function* (
  logFile: string,
  dataVersion: Effect.Effect<number, TaskStoreError>
): Effect.fn.Return<Changes, TaskStoreError, Scope.Scope> {
  const changes: Changes = { work: makeBell(), control: makeBell() }
  const hint = makeBell()
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

  yield* Effect.suspend(() => {
    const hinted = hint.next()
    return look.pipe(
      Effect.andThen(Effect.raceFirst(hinted, Effect.sleep(watched ? poll.watched : poll.unwatched))),
      Effect.andThen(Effect.sleep(breather))
    )
  }).pipe(Effect.forever, Effect.provideService(Clock.Clock, realTime), Effect.forkScoped)

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
