import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { Event } from "../../Event.ts"
import type { Hook } from "../../Hooks.ts"

/** A hook that takes longer is cut off, so that it cannot stall the run. */
const hookTimeout = Duration.seconds(30)

/** The end of a run waits this long for hooks, each of which may be cut off in turn. */
const closeTimeout = Duration.minutes(5)

/** A hook that times out for this many events in a row is switched off. */
const maxTimeouts = 3

const capacity = 4096

interface Flush {
  readonly _tag: "Flush"
  readonly done: Deferred.Deferred<void>
}

/**
 * Delivers events to hooks and subscribers, in order and without loss: when they are slower than the work, publishing
 * waits. One fiber calls the hooks, a batch of events at a time, so that workers never run foreign code.
 */
export interface RunEvents {
  readonly publish: (event: Event) => Effect.Effect<void>
  readonly publishAll: (events: ReadonlyArray<Event>) => Effect.Effect<void>
  readonly events: Stream.Stream<Event>
  /**
   * Publishes the last event of a run, and returns when all hooks and subscribers have it, or after a timeout: a reader
   * that takes no more events must not keep a run from ending.
   */
  readonly close: (event: Event) => Effect.Effect<void>
}

export const make = Effect.fnUntraced(function* (hooks: ReadonlyArray<Hook>) {
  const pending = yield* Queue.bounded<Event | Flush>(capacity)
  const subscribers = yield* PubSub.bounded<Event>(capacity)

  const timeouts = hooks.map(() => 0)

  const callHooks = Effect.fnUntraced(function* (events: ReadonlyArray<Event>) {
    let position = 0
    const total = events.length * hooks.length
    const callFrom = Effect.whileLoop({
      while: () => position < total,
      body: () => {
        const hook = position % hooks.length
        return timeouts[hook] === maxTimeouts
          ? Effect.void
          : callHook(hooks[hook], events[Math.floor(position / hooks.length)])
      },
      step: () => {
        const hook = position++ % hooks.length
        if (timeouts[hook] !== maxTimeouts) timeouts[hook] = 0
      }
    })
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
    yield* PubSub.publishAll(subscribers, events)
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
    events: Stream.fromPubSub(subscribers),
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

const callHook = (hook: Hook | undefined, event: Event | undefined): Effect.Effect<void> =>
  hook === undefined || event === undefined
    ? Effect.void
    : Effect.catchCause(
        Effect.suspend(() => hook(event)),
        (cause) =>
          Cause.hasInterruptsOnly(cause)
            ? Effect.interrupt
            : Effect.logWarning("A hook failed", cause).pipe(
                Effect.annotateLogs({ module: "Hooks", event: event._tag })
              )
      )
