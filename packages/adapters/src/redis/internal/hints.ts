import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"

/** Lets fibers look at something when there is reason to, and not more often. */
export interface Hints {
  /** Says that looking will pay in so many milliseconds. */
  readonly hint: (inMillis: number) => void
  /**
   * Looks until there is something to see: at once, when a hint says so, when the last look said so, and after `poll` in
   * any case, because hints can get lost.
   */
  readonly watch: <A, E>(look: Effect.Effect<Look<A>, E>, poll: () => number) => Effect.Effect<A, E>
}

/** What was seen, or in how many milliseconds to look again (`Infinity`: when there is a hint). */
export type Look<A> = { readonly seen: A } | { readonly again: number }

interface Watcher {
  /** When to look, in epoch milliseconds. */
  due: number
  /** When to look at the earliest. */
  rested: number
  woken: Deferred.Deferred<void> | undefined
}

/** Under load there are hints all the time: a fiber that looks so often misses nothing that a person would notice. */
const breather = 10

export const make = Effect.map(Clock.Clock, (clock): Hints => {
  const watchers = new Set<Watcher>()

  const untilDue = (watcher: Watcher): Effect.Effect<void> =>
    Effect.suspend(() => {
      const left = Math.max(watcher.due, watcher.rested) - clock.currentTimeMillisUnsafe()
      if (left <= 0) return Effect.void
      const woken = (watcher.woken = Deferred.makeUnsafe<void>())
      return Effect.andThen(Effect.raceFirst(Deferred.await(woken), Effect.sleep(left)), untilDue(watcher))
    })

  const watch = <A, E>(look: Effect.Effect<Look<A>, E>, poll: () => number): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      const watcher: Watcher = { due: 0, rested: 0, woken: undefined }
      watchers.add(watcher)
      const next: Effect.Effect<A, E> = Effect.suspend(() => {
        // Hints that come while it looks count: what it sees can be older than they are.
        watcher.due = Infinity
        watcher.rested = clock.currentTimeMillisUnsafe() + breather
        return Effect.flatMap(look, (found) => {
          if ("seen" in found) return Effect.succeed(found.seen)
          watcher.due = Math.min(watcher.due, clock.currentTimeMillisUnsafe() + Math.min(found.again, poll()))
          return Effect.andThen(untilDue(watcher), next)
        })
      })
      return Effect.ensuring(
        next,
        Effect.sync(() => watchers.delete(watcher))
      )
    })

  return {
    hint: (inMillis) => {
      const due = clock.currentTimeMillisUnsafe() + inMillis
      for (const watcher of watchers) {
        if (due >= watcher.due) continue
        watcher.due = due
        if (watcher.woken !== undefined) Deferred.doneUnsafe(watcher.woken, Effect.void)
      }
    },
    watch
  }
})
