import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { isTerminal, type Task } from "../../Task.ts"
import type { TaskStoreDriver } from "../../TaskStoreDriver.ts"
import type { TaskStoreError } from "../../TaskStoreError.ts"
import * as Codec from "./codec.ts"

/**
 * The tasks that fibers of this process wait for. One fiber reads all of them together, when this process or another one
 * has changed something, and at the poll interval of the store, because a notification can be lost.
 */
export interface TaskWaiters {
  /** The task once it is in a terminal status; none when it does not exist. */
  readonly await: (id: string) => Effect.Effect<Option.Option<Task>, TaskStoreError>
  /** This process changed these tasks. */
  readonly changed: (ids: () => Iterable<string>) => void
  /** Another process changed something. */
  readonly changedElsewhere: () => void
  /** Whether the changes of other processes are seen from now on. */
  readonly setListening: (isListening: boolean) => void
}

type Waiter = Deferred.Deferred<Option.Option<Task>, TaskStoreError>

/** Changes of other processes are looked at together. */
const rest = Duration.millis(50)

/** For as long as it takes, because a store that is away for an hour must not lose those who wait for a result. */
const reconnect = Schedule.jittered(Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")]))

export const make = Effect.fnUntraced(function* (
  driver: Pick<TaskStoreDriver, "get" | "notifications" | "place">,
  maxRows: number
): Effect.fn.Return<TaskWaiters, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const scope = yield* Effect.scope
  const waiters = new Map<string, Set<Waiter>>()
  /** The ids to look at next. */
  let due = new Set<string>()
  let allAreDue = false
  const isDue = Latch.makeUnsafe(false)
  let listening = false

  const wake = (ids: Iterable<string>) => {
    for (const id of ids) if (waiters.has(id)) due.add(id)
    if (due.size > 0) isDue.openUnsafe()
  }

  const read = (ids: ReadonlyArray<string>) =>
    Effect.flatMap(driver.get(ids), (rows) =>
      Effect.fromResult(Codec.decode(driver.place, () => new Map(rows.map((row) => [row.id, Codec.task(row)]))))
    ).pipe(Effect.retry({ schedule: reconnect, while: ({ reason }) => reason === "Unavailable" }), Effect.result)

  const complete = (id: string, result: Result.Result<Option.Option<Task>, TaskStoreError>) => {
    for (const waiter of waiters.get(id) ?? []) Deferred.doneUnsafe(waiter, Effect.fromResult(result))
    waiters.delete(id)
  }

  const look = Effect.gen(function* () {
    const ids = Array.from(allAreDue ? waiters.keys() : due)
    const pause = allAreDue ? clock.sleep(rest) : Effect.void
    allAreDue = false
    due = new Set()
    isDue.closeUnsafe()
    for (let from = 0; from < ids.length; from += maxRows) {
      const part = ids.slice(from, from + maxRows)
      const tasks = yield* read(part)
      for (const id of part) {
        if (Result.isFailure(tasks)) {
          complete(id, Result.fail(tasks.failure))
          continue
        }
        const task = tasks.success.get(id)
        if (task === undefined) complete(id, Result.succeed(Option.none()))
        else if (isTerminal(task.status)) complete(id, Result.succeed(Option.some(task)))
      }
    }
    return yield* pause
  })

  const { notifications } = driver
  const poll =
    notifications === undefined
      ? Effect.never
      : Effect.suspend(() => {
          const { disconnected, listening: whileListening } = notifications.pollInterval
          return Effect.andThen(
            clock.sleep(Duration.fromInputUnsafe(listening ? whileListening : disconnected)),
            Effect.sync(() => {
              allAreDue = true
            })
          )
        })

  const watch = Effect.forever(
    Effect.suspend(() =>
      waiters.size === 0
        ? isDue.await
        : Effect.andThen(
            Effect.raceFirst(isDue.await, poll),
            // Settlements of one batch wake one after the other.
            Effect.andThen(
              Effect.yieldNow,
              Effect.suspend(() => look)
            )
          )
    )
  )
  const watching = yield* Effect.cached(Effect.asVoid(Effect.forkIn(watch, scope)))

  return {
    await: (id) =>
      Effect.suspend(() => {
        const waiter: Waiter = Deferred.makeUnsafe()
        const others = waiters.get(id)
        if (others === undefined) waiters.set(id, new Set([waiter]))
        else others.add(waiter)
        wake([id])
        return Effect.andThen(watching, Deferred.await(waiter)).pipe(
          Effect.ensuring(
            Effect.sync(() => {
              const left = waiters.get(id)
              if (left?.delete(waiter) === true && left.size === 0) waiters.delete(id)
            })
          )
        )
      }),
    changed: (ids) => {
      if (waiters.size > 0) wake(ids())
    },
    changedElsewhere: () => {
      if (waiters.size === 0) return
      allAreDue = true
      isDue.openUnsafe()
    },
    setListening: (isListening) => {
      listening = isListening
    }
  }
})
