/**
 * Delivers events of a run to somewhere else, beside the run and never in its way.
 *
 * Events wait in a queue of a thousand; when it is full, the oldest makes room. What is not delivered is counted and told
 * at the end. The last event of a run goes out after all others.
 *
 * @since 0.1.0
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

/**
 * An event was not delivered.
 *
 * @category errors
 * @since 0.1.0
 */
export class DeliveryFailed extends Schema.TaggedError<DeliveryFailed>()("DeliveryFailed", {
  /** What went wrong. Failures with the same words are counted together. */
  message: Schema.String,
  /** More of the first of them. */
  detail: Schema.optionalKey(Schema.String),
  /** Whether nothing will be delivered any more. */
  final: Schema.optionalKey(Schema.Boolean)
}) {}

/**
 * Where events go, and how.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The flag that asked for it. */
  readonly name: string
  readonly wants: (event: Event) => boolean
  readonly deliver: (event: Event) => Effect.Effect<void, DeliveryFailed>
  /** How many events are delivered at the same time. */
  readonly concurrency: number
}

/**
 * A delivery under way.
 *
 * @category models
 * @since 0.1.0
 */
export interface Delivery {
  /** Takes an event and returns at once. */
  readonly hook: Hook
  /**
   * Delivers what is left, within fifteen seconds and as much for the last event, and tells
   * what was not delivered. Cannot be interrupted.
   */
  readonly finish: Effect.Effect<void>
}

const capacity = 1000

/** So much for the events that wait at the end of a run, and as much for the last one. */
const patience = Duration.seconds(15)

/** Every cause is told once; more kinds of failure than this help nobody. */
const mostCauses = 20

/**
 * Delivers until its scope ends.
 *
 * @category constructors
 * @since 0.1.0
 */
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
      const cause = failures.has(error.message) || failures.size < mostCauses ? error.message : "other reasons"
      const times = (failures.get(cause) ?? 0) + 1
      failures.set(cause, times)
      if (times > 1) return Effect.void
      return Effect.logWarning("A hook failed").pipe(
        Effect.annotateLogs({
          hook: name,
          cause: safeText(cause),
          ...(error.detail === undefined ? {} : { detail: safeText(error.detail) })
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

  const tell = Effect.suspend(() => {
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
    yield* Effect.timeoutOption(idle.await, patience)
    // What goes on now would come after the end of the run.
    dropped += unfinished
    yield* FiberSet.clear(workers)
    const end = last
    if (end === undefined) return
    const delivered = yield* Effect.timeoutOption(attempt(end), patience)
    if (Option.isNone(delivered)) dropped++
  })

  return {
    hook: (event) =>
      Effect.sync(() => {
        if (!wants(event)) return
        if (event._tag === "RunEnded") last = event
        else enqueue(event)
      }),
    // Detached and awaited: a run that was interrupted has its hooks called as well, and each step has to be able to time out.
    finish: Effect.uninterruptible(
      Effect.andThen(Effect.flatMap(Effect.forkDetach(Effect.interruptible(flush)), Fiber.await), tell)
    )
  }
})
