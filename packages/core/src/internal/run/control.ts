import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Semaphore from "effect/Semaphore"
import * as RunningConcurrency from "../../RunningConcurrency.ts"
import type { Claims } from "./claims.ts"
import type { Concurrency } from "./concurrency.ts"
import type { Heartbeat } from "./heartbeat.ts"
import { now, type RunParts, type StopSignal } from "./parts.ts"
import type { QueuePauses } from "./queuePauses.ts"
import type { Settler } from "./settler.ts"
import { storeCall } from "./storeCall.ts"

/** Pauses, resumes and stops a run, for its own process and for requests that come through the store. */
export interface Control {
  readonly setPaused: (paused: boolean) => Effect.Effect<void>
  readonly isPaused: () => boolean
  /** Returns when the requests that were in force before the run are known, and the run is not paused. */
  readonly awaitActive: Effect.Effect<void>
  /** After this, pausing and resuming do nothing: no event about them may follow the end of the run. */
  readonly close: Effect.Effect<void>
  readonly loop: Effect.Effect<void>
}

/** What pausing works with. */
export interface ControlParts {
  readonly claims: Claims
  readonly concurrency: Concurrency
  readonly heartbeat: Pick<Heartbeat, "beat">
  readonly pauses: Pick<QueuePauses, "refresh">
  readonly settler: Pick<Settler, "releaseUnstarted">
  readonly stop: StopSignal
  readonly onChange: (state: "running" | "paused") => Effect.Effect<void>
  /** Whether a pause was requested before the run. */
  readonly takePause: () => boolean
}

export const make = (
  parts: RunParts,
  { claims, concurrency, heartbeat, onChange, pauses, settler, stop, takePause }: ControlParts
): Control => {
  /** Open once the requests that were in force before the run are known. */
  const known = Latch.makeUnsafe(false)
  /** Open while the run is not paused. */
  const active = Latch.makeUnsafe(true)
  const changing = Semaphore.makeUnsafe(1)
  let isStarted = false
  let isPausedAtStart = false
  let isClosed = false

  const pause = Effect.gen(function* () {
    active.closeUnsafe()
    yield* onChange("paused")
    yield* settler.releaseUnstarted("paused")
    yield* parts.events.publish({ _tag: "Paused", at: now(parts) })
  })

  const resume = Effect.gen(function* () {
    active.openUnsafe()
    // Released tasks can be claimed again.
    claims.wakeUp()
    yield* onChange("running")
    yield* parts.events.publish({ _tag: "Resumed", at: now(parts) })
  })

  // One change at a time and to its end, so that the reported state and the behaviour stay in step.
  const setPaused = (paused: boolean): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (!isStarted) {
        isPausedAtStart = paused
        return Effect.void
      }
      if (isClosed || paused === !Latch.isOpen(active)) return Effect.void
      return paused ? pause : resume
    }).pipe(Semaphore.withPermit(changing), Effect.uninterruptible)

  /** Works on as many tasks as was set since the run started. */
  const adjustConcurrency = Effect.fnUntraced(function* (startedAt: number) {
    if (parts.store.concurrency === undefined) return
    const { config, owner } = parts
    const settings = yield* storeCall(parts, "concurrency", parts.store.concurrency.list)
    const worker = { queues: config.queues, names: [owner, config.owner], startedAt }
    const wanted = RunningConcurrency.of(settings, worker) ?? config.concurrency
    if (wanted === concurrency.current()) return
    concurrency.set(wanted)
    claims.wakeUp()
    yield* parts.events.publish({ _tag: "ConcurrencyChanged", at: now(parts), concurrency: wanted })
  })

  return {
    setPaused,
    isPaused: () => !Latch.isOpen(active),
    awaitActive: Effect.andThen(known.await, active.await),
    close: Semaphore.withPermit(
      changing,
      Effect.sync(() => {
        isClosed = true
      })
    ),
    loop: Effect.gen(function* () {
      isStarted = true
      if (takePause() || isPausedAtStart) yield* setPaused(true)
      let seen = yield* storeCall(parts, "control", parts.store.control)
      if (seen.paused) yield* setPaused(true)
      const startedAt = seen.revision
      yield* pauses.refresh
      known.openUnsafe()
      while (true) {
        const waiting = parts.store.awaitControl(seen.revision)
        const next = yield* storeCall(parts, "awaitControl", waiting, { isWait: true })
        // The reply to the heartbeat names the tasks that were cancelled.
        heartbeat.beat()
        if (next.paused !== seen.paused) yield* setPaused(next.paused)
        if (next.stops > seen.stops) stop.request({ _tag: "Stopped" })
        yield* pauses.refresh
        yield* adjustConcurrency(startedAt)
        seen = next
      }
    }).pipe(Effect.catch((error) => Effect.sync(() => stop.fail(error))))
  }
}
