import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { AwaitWorkOptions, Control, TaskStore, WorkSignal } from "../../TaskStore.ts"
import type { ControlRow, Notification, OutlookRow, TaskStoreDriver } from "../../TaskStoreDriver.ts"
import type { TaskStoreError } from "../../TaskStoreError.ts"
import { defaultQueue } from "../../Task.ts"
import * as Codec from "./codec.ts"
import type { TaskWaiters } from "./taskWaiters.ts"

type Kind = "work" | "control" | "settled"

/** Wakes the fibers that wait for one kind of change. */
interface WakeUp {
  /** Wakes them after `delayMillis`, or earlier if something else does. */
  readonly wake: (delayMillis: number) => void
  /**
   * Runs `look` until it succeeds with a value: at once, when woken, and when the last look said so. A wake-up during a
   * look counts, because the look may have read an older state.
   */
  readonly until: <A, E>(look: Effect.Effect<Look<A>, E>) => Effect.Effect<A, E>
}

/** What a look found, or in how many milliseconds to look again. */
type Look<A> = { readonly found: A } | { readonly againInMillis: number }

interface Watcher {
  /** When to look, in epoch milliseconds. */
  due: number
  woken: Deferred.Deferred<void> | undefined
}

const makeWakeUp = (clock: Clock.Clock, restMillis: number): WakeUp => {
  const watchers = new Set<Watcher>()

  const untilDue = (watcher: Watcher, rested: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      // A sleep of less than a nanosecond ends at once, and would be repeated until the clock advances.
      const left = Math.ceil(Math.max(watcher.due, rested) - clock.currentTimeMillisUnsafe())
      if (left <= 0) return Effect.void
      const woken = (watcher.woken = Deferred.makeUnsafe<void>())
      const awaited = Deferred.await(woken)
      const next = left === Infinity ? awaited : Effect.raceFirst(awaited, clock.sleep(Duration.millis(left)))
      return Effect.andThen(next, untilDue(watcher, rested))
    })

  return {
    wake: (delayMillis) => {
      if (watchers.size === 0) return
      const due = clock.currentTimeMillisUnsafe() + delayMillis
      for (const watcher of watchers) {
        if (due >= watcher.due) continue
        watcher.due = due
        if (watcher.woken !== undefined) Deferred.doneUnsafe(watcher.woken, Effect.void)
      }
    },
    until: <A, E>(look: Effect.Effect<Look<A>, E>) =>
      Effect.suspend(() => {
        const watcher: Watcher = { due: 0, woken: undefined }
        watchers.add(watcher)
        const next: Effect.Effect<A, E> = Effect.suspend(() => {
          watcher.due = Infinity
          watcher.woken = undefined
          const rested = restMillis === 0 ? 0 : clock.currentTimeMillisUnsafe() + restMillis
          return Effect.flatMap(look, (seen) => {
            if ("found" in seen) return Effect.succeed(seen.found)
            watcher.due = Math.min(watcher.due, clock.currentTimeMillisUnsafe() + seen.againInMillis)
            return Effect.andThen(untilDue(watcher, rested), next)
          })
        })
        return Effect.ensuring(
          next,
          Effect.sync(() => watchers.delete(watcher))
        )
      })
  }
}

/** The `maxPerKey` of a claim and of a look for work. */
export const defaultMaxPerKey = 1

/** A timer that runs for longer would not notice that the machine's clock was set, or that the machine slept. */
const longestPoll = Duration.hours(1)

/** How long changes are gathered before they are published. */
const publishInterval = Duration.millis(20)

/** For as long as it takes; jittered, because many workers lose their connections at the same time. */
const resubscribe = Schedule.jittered(Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")]))

/** Every settlement is published, by many workers, and each of them wakes all processes. */
const publishSettledInterval = Duration.millis(250)

/** Before subscribing again after a subscription that worked. */
const resubscribePause = Duration.millis(100)

export interface Waiting extends Pick<TaskStore["Service"], "awaitWork" | "control" | "awaitControl" | "awaitChange"> {
  /** Listens to the changes of other processes, from the first time on. */
  readonly subscribed: Effect.Effect<void>
  /** Wakes the waiting fibers of this process. */
  readonly wake: (kind: "work" | "control") => void
  /** Wakes the waiting fibers of this process, and makes the change known to others. */
  readonly announce: (kind: Kind) => void
  /** Notes how many tasks a claim returned. */
  readonly claimed: (count: number) => void
  /** Whether the last claim found nothing to claim. */
  readonly foundNothing: () => boolean
  /** Notes a control state that was read elsewhere. */
  readonly readControl: (row: ControlRow) => Effect.Effect<Control, TaskStoreError>
}

export const make = Effect.fnUntraced(function* (
  driver: TaskStoreDriver,
  { changedElsewhere, setListening }: Pick<TaskWaiters, "changedElsewhere" | "setListening">
): Effect.fn.Return<Waiting, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const { notifications } = driver
  const restMillis = notifications?.rest === undefined ? 0 : Duration.toMillis(notifications.rest)
  const wakeUps = { work: makeWakeUp(clock, restMillis), control: makeWakeUp(clock, restMillis) }
  const changed = makeWakeUp(clock, 0)
  const contendedMillis = driver.contendedPause === undefined ? undefined : Duration.toMillis(driver.contendedPause)
  let listening = false
  let foundNothing = false
  /** When the control state was last read, and its revision: a look for work reads it too. */
  let controlSeen = { revision: -1, changes: -1, at: -Infinity }
  /** The number of changes of the control state that this process has received. */
  let controlChanges = 0
  /** The number of changes of any kind that this process knows of. */
  let known = 0

  const noteChange = () => {
    known++
    changed.wake(0)
  }

  const pollMillis = () =>
    Duration.toMillis(
      notifications === undefined
        ? longestPoll
        : listening
          ? notifications.pollInterval.listening
          : notifications.pollInterval.disconnected
    )

  const wake = (kind: "work" | "control", delayMillis = 0) => {
    if (kind === "control") controlChanges++
    wakeUps[kind].wake(delayMillis)
    noteChange()
  }

  const subscribed =
    notifications === undefined
      ? Effect.void
      : yield* subscribeOnce(notifications.changes, {
          onChange: ({ delayMillis, kind }) => {
            if (kind !== "control") changedElsewhere()
            if (kind === "settled") return noteChange()
            if (kind !== "listening") return wake(kind, delayMillis)
            listening = true
            setListening(true)
            // Changes before this moment may not have been seen.
            wake("work")
            wake("control")
          },
          onEnd: () => {
            listening = false
            setListening(false)
            changedElsewhere()
            wake("work")
            wake("control")
          }
        })

  const publish = notifications?.publish
  const publishLater = publish === undefined ? () => {} : yield* publishGathered(publish, publishInterval)
  const publishSettled = publish === undefined ? () => {} : yield* publishGathered(publish, publishSettledInterval)

  /** Notes a control state that was asked for when there had been `changes` changes: a later one may be missing in it. */
  const noteControl = (row: ControlRow, changes: number): Control => {
    const control = Codec.control(row)
    if (controlSeen.revision !== control.revision) wakeUps.control.wake(0)
    controlSeen = { revision: control.revision, changes, at: clock.currentTimeMillisUnsafe() }
    return control
  }

  const readControl = (row: ControlRow, changes = controlChanges) =>
    Effect.fromResult(Codec.decode(driver.place, () => noteControl(row, changes)))

  const control = Effect.suspend(() => {
    const changes = controlChanges
    return Effect.flatMap(driver.control, (row) => readControl(row, changes))
  })

  const awaitWork = ({
    maxPerKey = defaultMaxPerKey,
    queues = [defaultQueue],
    untilDrained
  }: AwaitWorkOptions): Effect.Effect<WorkSignal, TaskStoreError> =>
    Effect.suspend(() => {
      let contended = contendedMillis !== undefined && foundNothing
      /** Several queues are not seen at one moment: a task of one can free a task of another in between. */
      let seenDrained = queues.length < 2
      const read = (rows: ReadonlyArray<OutlookRow>, changes: number): Look<WorkSignal> => {
        let due = Infinity
        let drained = true
        for (const row of rows) {
          if (row.dueInMillis !== null) due = Math.min(due, Codec.number("dueInMillis", row.dueInMillis))
          drained = drained && Codec.boolean("drained", row.drained)
          noteControl(row, changes)
        }
        if (due <= 0 && !contended) return { found: "claimable" }
        if (untilDrained && drained && seenDrained) return { found: "drained" }
        seenDrained = queues.length < 2 || drained
        if (untilDrained && drained) return { againInMillis: 0 }
        const pause = due <= 0 && contendedMillis !== undefined ? contendedMillis : Math.min(due, pollMillis())
        contended = false
        return { againInMillis: pause }
      }
      return wakeUps.work.until(
        Effect.suspend(() => {
          const changes = controlChanges
          return Effect.flatMap(
            Effect.forEach(queues, (queue) => driver.outlook(queue, maxPerKey)),
            (rows) => Effect.fromResult(Codec.decode(driver.place, () => read(rows, changes)))
          )
        })
      )
    })

  const awaitControl = (revision: number): Effect.Effect<Control, TaskStoreError> =>
    Effect.suspend(() => {
      let first = true
      return wakeUps.control.until(
        Effect.suspend((): Effect.Effect<Look<Control>, TaskStoreError> => {
          const interval = pollMillis() * 1.1
          const unseenFor = clock.currentTimeMillisUnsafe() - controlSeen.at
          const isCurrent = controlSeen.revision === revision && controlSeen.changes === controlChanges
          if (!first && isCurrent && unseenFor < interval) {
            return Effect.succeed({ againInMillis: interval - unseenFor })
          }
          first = false
          return Effect.map(control, (found) => (found.revision === revision ? { againInMillis: interval } : { found }))
        })
      )
    })

  const awaitChange = (seen: number) =>
    changed.until(Effect.sync(() => (known === seen ? { againInMillis: Infinity } : { found: known })))

  return {
    awaitChange: (seen) => Effect.andThen(subscribed, awaitChange(seen)),
    awaitWork: (options) => Effect.andThen(subscribed, awaitWork(options)),
    subscribed,
    control,
    awaitControl: (revision) => Effect.andThen(subscribed, awaitControl(revision)),
    wake,
    announce: (kind) => {
      if (kind === "settled") {
        noteChange()
        return publishSettled(kind)
      }
      wake(kind)
      publishLater(kind)
    },
    claimed: (count) => {
      foundNothing = count === 0
    },
    foundNothing: () => foundNothing,
    readControl
  }
})

/** Subscribes when this effect first runs, for as long as the scope is open, again and again. */
const subscribeOnce = Effect.fnUntraced(function* (
  changes: Stream.Stream<Notification, TaskStoreError>,
  handle: { readonly onChange: (notification: Notification) => void; readonly onEnd: () => void }
): Effect.fn.Return<Effect.Effect<void>, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const subscription = Stream.runForEachArray(changes, (notifications) =>
    Effect.sync(() => notifications.forEach(handle.onChange))
  ).pipe(
    Effect.ensuring(Effect.sync(handle.onEnd)),
    Effect.tapError((error) =>
      Effect.annotateLogs(Effect.logDebug("The subscription to changes failed; subscribing again", error.message), {
        module: "TaskStore"
      })
    ),
    Effect.retry(resubscribe),
    Effect.andThen(Effect.sleep(resubscribePause)),
    Effect.forever
  )
  return yield* Effect.cached(Effect.asVoid(Effect.forkIn(subscription, scope)))
})

/** Publishes at once, and after that no more often than the interval, all that has gathered. */
const publishGathered = Effect.fnUntraced(function* (
  publish: (kinds: ReadonlyArray<Kind>) => Effect.Effect<void, TaskStoreError>,
  interval: Duration.Duration
): Effect.fn.Return<(kind: Kind) => void, never, Scope.Scope> {
  const gathered = new Set<Kind>()
  const hasGathered = Latch.makeUnsafe(false)
  const flush = Effect.suspend(() => {
    const kinds = Array.from(gathered)
    gathered.clear()
    hasGathered.closeUnsafe()
    return kinds.length === 0 ? Effect.void : Effect.ignore(publish(kinds))
  })
  // A process that adds a task and ends has to publish before it ends.
  yield* Effect.addFinalizer(() => flush)
  yield* hasGathered.await.pipe(
    Effect.andThen(Effect.uninterruptible(flush)),
    Effect.andThen(Effect.sleep(interval)),
    Effect.forever,
    Effect.forkScoped
  )
  return (kind) => {
    gathered.add(kind)
    hasGathered.openUnsafe()
  }
})
