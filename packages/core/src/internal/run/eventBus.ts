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

/** Long enough for any hook that observes; a hook that takes longer is cut off so that it cannot stall the run. */
const hookTimeout = Duration.seconds(30)

/** Hooks that are cut off, each in its turn, are waited for at the end of a run. */
const closeTimeout = Duration.minutes(5)

/** A hook that does not finish in time this often, one event after the other, is switched off. */
const strikes = 3

const capacity = 4096

interface Flush {
  readonly _tag: "Flush"
  readonly done: Deferred.Deferred<void>
}

/**
 * Carries events to hooks and subscribers, in order and without loss: when they are slower than the work, publishing
 * waits. Hooks run in one fiber of their own, a batch at a time, so that the workers never run foreign code.
 */
export interface EventBus {
  readonly publish: (event: Event) => Effect.Effect<void>
  readonly publishAll: (events: ReadonlyArray<Event>) => Effect.Effect<void>
  readonly events: Stream.Stream<Event>
  /**
   * Publishes the last event of a run, and returns when it has gone through all hooks and to all subscribers; or after a
   * while, because a reader that takes no more must not keep a run from ending.
   */
  readonly close: (event: Event) => Effect.Effect<void>
}

export const make = Effect.fnUntraced(function* (hooks: ReadonlyArray<Hook>) {
  const pending = yield* Queue.bounded<Event | Flush>(capacity)
  const subscribers = yield* PubSub.bounded<Event>(capacity)

  const late = hooks.map(() => 0)

  const callHooks = Effect.fnUntraced(function* (events: ReadonlyArray<Event>) {
    let position = 0
    const total = events.length * hooks.length
    const callFrom = Effect.whileLoop({
      while: () => position < total,
      body: () => {
        const hook = position % hooks.length
        return late[hook] === strikes ? Effect.void : callHook(hooks[hook], events[Math.floor(position / hooks.length)])
      },
      step: () => {
        const hook = position++ % hooks.length
        if (late[hook] !== strikes) late[hook] = 0
      }
    })
    while (position < total) {
      const fiber = yield* Effect.forkChild(callFrom, { startImmediately: true })
      let seen = -1
      // One timer a batch: a hook is stuck when the position has not moved between two looks.
      while (fiber.pollUnsafe() === undefined && seen !== position) {
        seen = position
        yield* Effect.timeoutOption(Fiber.await(fiber), hookTimeout)
      }
      if (fiber.pollUnsafe() !== undefined) continue
      const hook = position++ % hooks.length
      const times = (late[hook] ?? 0) + 1
      late[hook] = times
      yield* Effect.logWarning(
        times === strikes
          ? "A hook did not finish in time again and is switched off"
          : "A hook did not finish in time and was cut off"
      ).pipe(Effect.annotateLogs({ module: "Hooks", hook, timeout: Duration.format(hookTimeout) }))
      // Not waited for: it may not be interruptible either.
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
      const told = Effect.gen(function* () {
        const done = yield* Deferred.make<void>()
        yield* Queue.offerAll(pending, [event, { _tag: "Flush", done }])
        yield* Deferred.await(done)
      })
      // Detached and awaited: the caller is uninterruptible, and this has to be able to time out.
      return Effect.asVoid(
        Effect.flatMap(Effect.forkDetach(Effect.interruptible(Effect.timeoutOption(told, closeTimeout))), Fiber.await)
      )
    }
  } satisfies EventBus
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
