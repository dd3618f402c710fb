import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { Event } from "../../Event.ts"
import type { Hook } from "../../Hooks.ts"
import type { EventsOptions } from "../../Orchestrator.ts"

/** A hook that takes longer is cut off, so that it cannot stall the run. */
const hookTimeout = Duration.seconds(30)

/** The end of a run waits this long for hooks, each of which may be cut off in turn. */
const closeTimeout = Duration.minutes(5)

/** A hook that times out for this many events in a row is switched off. */
const maxTimeouts = 3

const capacity = 4096

/** What a subscriber gets if it does not say otherwise. */
const defaultEvents = { capacity: 1024, strategy: "sliding" } as const

interface Flush {
  readonly _tag: "Flush"
  readonly done: Deferred.Deferred<void>
}

/**
 * Delivers events to hooks and subscribers, in order. When hooks are slower than the work, publishing waits; nothing is
 * dropped. One fiber calls the hooks, a batch of events at a time, so that workers never run foreign code.
 */
export interface RunEvents {
  readonly publish: (event: Event) => Effect.Effect<void>
  readonly publishAll: (events: ReadonlyArray<Event>) => Effect.Effect<void>
  /** The hooks of the next run. */
  readonly setHooks: (hooks: ReadonlyArray<Hook>) => void
  readonly subscribe: (options?: EventsOptions) => Stream.Stream<Event>
  /** Whether publishing waits for subscribers that have no more room. Off while a run stops, so that it does stop. */
  readonly setBackpressure: (enabled: boolean) => void
  /** Publishes the last event of a run. Returns when all hooks have processed it, or after a timeout. */
  readonly close: (event: Event) => Effect.Effect<void>
}

interface Subscriber {
  readonly queue: Queue.Queue<Event, Cause.Done>
  /** For a subscriber that drops nothing: its queue is unbounded, and publishing waits while it holds this many events. */
  readonly waitAbove: number
  readonly hasRoom: Latch.Latch
}

export const make = Effect.gen(function* () {
  const pending = yield* Queue.bounded<Event | Flush>(capacity)
  const subscribers = new Set<Subscriber>()
  /** Open while publishing does not wait for subscribers. */
  const unblocked = Latch.makeUnsafe(false)

  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const { queue } of subscribers) Queue.endUnsafe(queue)
    })
  )

  const subscribe = (options: EventsOptions = {}): Stream.Stream<Event> =>
    Stream.unwrap(
      Effect.map(
        Effect.acquireRelease(makeSubscriber(options), (subscriber) =>
          Effect.sync(() => {
            subscribers.delete(subscriber)
            subscriber.hasRoom.openUnsafe()
          })
        ),
        ({ hasRoom, queue }) => {
          const take = Effect.tap(Queue.takeAll(queue), () => Effect.sync(() => hasRoom.openUnsafe()))
          return Stream.fromPull(Effect.succeed(take))
        }
      )
    )

  const makeSubscriber = ({ capacity = defaultEvents.capacity, strategy = defaultEvents.strategy }: EventsOptions) =>
    Effect.map(
      strategy === "suspend"
        ? Queue.unbounded<Event, Cause.Done>()
        : Queue.make<Event, Cause.Done>({ capacity, strategy }),
      (queue) => {
        const waitAbove = strategy === "suspend" ? capacity : Infinity
        const subscriber: Subscriber = { queue, waitAbove, hasRoom: Latch.makeUnsafe(true) }
        subscribers.add(subscriber)
        return subscriber
      }
    )

  const deliverTo = ({ hasRoom, queue, waitAbove }: Subscriber, events: ReadonlyArray<Event>): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (Queue.sizeUnsafe(queue) < waitAbove || Latch.isOpen(unblocked)) {
        Queue.offerAllUnsafe(queue, events)
        return Effect.void
      }
      hasRoom.closeUnsafe()
      return Effect.map(Effect.raceFirst(hasRoom.await, unblocked.await), () => {
        Queue.offerAllUnsafe(queue, events)
      })
    })

  let hooks: ReadonlyArray<Hook> = []
  /** For each hook, the number of events in a row for which it timed out. */
  let timeouts: Array<number> = []

  const setHooks = (next: ReadonlyArray<Hook>) => {
    timeouts = next.map((hook) => timeouts[hooks.indexOf(hook)] ?? 0)
    hooks = next
  }

  const callHooks = Effect.fnUntraced(function* (events: ReadonlyArray<Event>) {
    let position = 0
    const total = events.length * hooks.length
    const step = () => {
      const hook = position++ % hooks.length
      if (timeouts[hook] !== maxTimeouts) timeouts[hook] = 0
    }
    // One handler for all calls, because a handler per call costs as much as the call.
    const callFrom: Effect.Effect<void> = Effect.catchCause(
      Effect.whileLoop({
        while: () => position < total,
        body: () => {
          const index = position % hooks.length
          const hook = timeouts[index] === maxTimeouts ? undefined : hooks[index]
          const event = events[Math.floor(position / hooks.length)]
          return hook === undefined || event === undefined ? Effect.void : hook(event)
        },
        step
      }),
      (cause) => {
        if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
        const event = events[Math.floor(position / hooks.length)]
        return Effect.logWarning("A hook failed", cause).pipe(
          Effect.annotateLogs({ module: "Hooks", event: event?._tag }),
          Effect.andThen(Effect.sync(step)),
          Effect.andThen(Effect.suspend(() => callFrom))
        )
      }
    )
    while (position < total) {
      const fiber = yield* Effect.forkChild(callFrom, { startImmediately: true })
      let seen = -1
      // One timer per batch: a hook is stuck when the position has not moved between two looks.
      while (fiber.pollUnsafe() === undefined && seen !== position) {
        seen = position
        yield* Effect.timeoutOption(Fiber.await(fiber), hookTimeout)
      }
      if (fiber.pollUnsafe() !== undefined) continue
      const hook = position++ % hooks.length
      const times = (timeouts[hook] ?? 0) + 1
      timeouts[hook] = times
      yield* Effect.logWarning(
        times === maxTimeouts
          ? "A hook did not finish in time again and is switched off"
          : "A hook did not finish in time and was cut off"
      ).pipe(Effect.annotateLogs({ module: "Hooks", hook, timeout: Duration.format(hookTimeout) }))
      // Not awaited, because the hook may not be interruptible.
      yield* Effect.forkDetach(Fiber.interrupt(fiber))
    }
  })

  const deliver = Effect.fnUntraced(function* (events: ReadonlyArray<Event>) {
    if (events.length === 0) return
    yield* callHooks(events)
    for (const subscriber of subscribers) yield* deliverTo(subscriber, events)
  })

  yield* Queue.takeBetween(pending, 1, 512).pipe(
    Effect.flatMap((batch) => {
      const events: Array<Event> = []
      const flushes: Array<Flush> = []
      for (const entry of batch) {
        if (entry._tag === "Flush") flushes.push(entry)
        else events.push(entry)
      }
      return Effect.andThen(
        deliver(events),
        Effect.forEach(flushes, ({ done }) => Deferred.succeed(done, undefined), { discard: true })
      )
    }),
    Effect.forever,
    Effect.forkScoped
  )

  return {
    publish: (event) => (Queue.offerUnsafe(pending, event) ? Effect.void : Effect.asVoid(Queue.offer(pending, event))),
    publishAll: (events) => Effect.asVoid(Queue.offerAll(pending, events)),
    setHooks,
    subscribe,
    setBackpressure: (enabled) => void (enabled ? unblocked.closeUnsafe() : unblocked.openUnsafe()),
    close: (event) => {
      const delivered = Effect.gen(function* () {
        const done = yield* Deferred.make<void>()
        yield* Queue.offerAll(pending, [event, { _tag: "Flush", done }])
        yield* Deferred.await(done)
      })
      // Detached and awaited: the caller is uninterruptible, and this has to be able to time out.
      return Effect.asVoid(
        Effect.flatMap(
          Effect.forkDetach(Effect.interruptible(Effect.timeoutOption(delivered, closeTimeout))),
          Fiber.await
        )
      )
    }
  } satisfies RunEvents
})
