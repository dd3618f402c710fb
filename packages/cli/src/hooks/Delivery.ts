/**
 * Delivers the events of a run to a receiver in the background, without slowing the run.
 *
 * The queue holds 1,000 events; when it is full, the oldest event is dropped. Undelivered events are counted and reported
 * at the end. The last event of a run is delivered after all others.
 */
import type { Event } from "@baton/core/Event"
import type { Hook } from "@baton/core/Hooks"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { safeText } from "../view/safeText.ts"

/** An event was not delivered. */
export class DeliveryFailed extends Schema.TaggedError<DeliveryFailed>()("DeliveryFailed", {
  /** Failures with the same message are counted together. */
  message: Schema.String,
  /** Shown with the first failure that has this message. */
  detail: Schema.optionalKey(Schema.String),
  /** Whether to stop delivering. */
  final: Schema.optionalKey(Schema.Boolean)
}) {}

/** Which events are delivered, and how. */
export interface Options {
  /** The flag that configured the delivery. */
  readonly name: string
  readonly wants: (event: Event) => boolean
  readonly deliver: (event: Event) => Effect.Effect<void, DeliveryFailed>
  /** How many events are delivered at the same time. */
  readonly concurrency: number
}

/** A running delivery. */
export interface Delivery {
  /** Queues an event and returns immediately. */
  readonly hook: Hook
  /**
   * Delivers the queued events, then the last one, waiting at most 15 seconds for each step, and logs how many events were
   * not delivered. Cannot be interrupted.
   */
  readonly finish: Effect.Effect<void>
}

const capacity = 1000

/** Applies once to the queued events and once to the last event. */
const flushTimeout = Duration.seconds(15)

/** Each cause is logged once; causes beyond this number are logged as "other reasons". */
const maxCauses = 20

/** Delivers until its scope ends. */
export const make = Effect.fnUntraced(function* ({
  concurrency,
  deliver,
  name,
  wants
}: Options): Effect.fn.Return<Delivery, never, Scope.Scope> {
  const queue = yield* Queue.bounded<Event>(capacity)
  const workers = yield* FiberSet.make<void>()
  const idle = Latch.makeUnsafe(true)
  const failures = new Map<string, number>()
  let last: Event | undefined
  let unfinished = 0
  let dropped = 0
  let closed = false

  const enqueue = (event: Event) => {
    if (!Queue.offerUnsafe(queue, event)) {
      Queue.takeUnsafe(queue)
      dropped++
      unfinished--
      Queue.offerUnsafe(queue, event)
    }
    unfinished++
    idle.closeUnsafe()
  }
  const finished = () => {
    unfinished--
    if (unfinished === 0) idle.openUnsafe()
  }

  const failed = (error: DeliveryFailed) =>
    Effect.suspend(() => {
      if (error.final === true) closed = true
      const cause = failures.has(error.message) || failures.size < maxCauses ? error.message : "other reasons"
      const times = (failures.get(cause) ?? 0) + 1
      failures.set(cause, times)
      if (times > 1) return Effect.void
      return Effect.logWarning("A hook failed").pipe(
        Effect.annotateLogs({
          hook: name,
          cause: safeText(error.detail === undefined ? cause : `${cause}: ${error.detail}`)
        })
      )
    })

  const attempt = (event: Event): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (closed) {
        dropped++
        return Effect.void
      }
      return Effect.catchCause(deliver(event), (cause) =>
        Cause.hasInterruptsOnly(cause)
          ? Effect.interrupt
          : failed(
              Option.getOrElse(
                Cause.findErrorOption(cause),
                () => new DeliveryFailed({ message: String(Cause.squash(cause)) })
              )
            )
      )
    })

  const work = Effect.forever(
    Effect.flatMap(Queue.take(queue), (event) => Effect.ensuring(attempt(event), Effect.sync(finished)))
  )
  for (let started = 0; started < concurrency; started++) yield* FiberSet.run(workers, work)

  const logUndelivered = Effect.suspend(() => {
    const repeated = [...failures].filter(([, times]) => times > 1)
    const messages = repeated.map(([cause, times]) =>
      Effect.annotateLogs(Effect.logWarning("A hook failed several times"), {
        hook: name,
        cause: safeText(cause),
        times
      })
    )
    if (dropped > 0) {
      messages.push(Effect.annotateLogs(Effect.logWarning("A hook missed events"), { hook: name, events: dropped }))
    }
    return Effect.all(messages, { discard: true })
  })

  const flush = Effect.gen(function* () {
    yield* Effect.timeoutOption(idle.await, flushTimeout)
    // Deliveries still in progress would arrive after the event that ends the run.
    dropped += unfinished
    yield* FiberSet.clear(workers)
    const end = last
    if (end === undefined) return
    const delivered = yield* Effect.timeoutOption(attempt(end), flushTimeout)
    if (Option.isNone(delivered)) dropped++
  })

  return {
    hook: (event) =>
      Effect.sync(() => {
        if (!wants(event)) return
        if (event._tag === "RunEnded") last = event
        else enqueue(event)
      }),
    // Detached and awaited: hooks also run after an interrupted run, and each step must be able to time out.
    finish: Effect.uninterruptible(
      Effect.andThen(Effect.flatMap(Effect.forkDetach(Effect.interruptible(flush)), Fiber.await), logUndelivered)
    )
  }
})
