import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Metrics from "../../OrchestratorMetrics.ts"
import type { BreakerState } from "../../Safety.ts"
import type { Stats } from "../../Stats.ts"
import type { StopReason } from "../../StopReason.ts"
import type { Counts } from "../../TaskStore.ts"
import * as checkpoints from "./checkpoints.ts"
import { control } from "./control.ts"
import { heartbeat } from "./heartbeat.ts"
import { abort } from "./held.ts"
import { intake } from "./intake.ts"
import { conclude } from "./outcome.ts"
import { type Ending, end, forget, now, type Run } from "./run.ts"
import { storeCall } from "./storeCall.ts"
import { settler } from "./settler.ts"
import { toStats } from "./tally.ts"
import { worker } from "./worker.ts"

/** What is cut off gets this long to end its processes and give its lease back; after that the lease runs out. */
const releaseTimeout = Duration.seconds(15)

/** Readers that take no more events must not hold up a drain. */
const tellTimeout = Duration.seconds(1)

/**
 * Starts the fibers of a run, waits for its ending, drains, and says how it ended. Uninterruptible: interruption of what
 * `restore` wraps is the signal to drain.
 */
export const live = Effect.fnUntraced(function* (
  run: Run,
  options: { readonly untilDrained: boolean },
  setPaused: (paused: boolean) => Effect.Effect<void>,
  /** Ends all pausing, so that nothing is told of it after the end of the run. */
  endPausing: Effect.Effect<void>,
  restore: <A>(effect: Effect.Effect<A>) => Effect.Effect<A>
): Effect.fn.Return<Ended> {
  yield* run.bus.publish({ _tag: "RunStarted", at: now(run), owner: run.owner })
  const scope = yield* Scope.make()
  const fork = <A>(effect: Effect.Effect<A>) => Effect.forkIn(Effect.interruptible(surviving(run, effect)), scope)

  const saving = yield* checkpoints.make(run)
  yield* fork(settler(run))
  yield* fork(saving.write)
  yield* fork(heartbeat(run))
  yield* fork(run.executing.watch)
  yield* fork(run.verifying.watch)
  yield* fork(control(run, setPaused))
  yield* fork(watchSafety(run))
  for (let started = 0; started < run.config.concurrency; started++) yield* fork(worker(run, saving))
  const claiming = yield* fork(intake(run, options))

  const ended = yield* Effect.exit(restore(Deferred.await(run.ending)))
  const ending: Ending = Exit.isSuccess(ended) ? ended.value : { reason: { _tag: "Interrupted" }, error: null }

  // Detached and awaited: this fiber may be interrupted already, and each step has to be able to time out.
  const shuttingDown = yield* Effect.forkDetach(
    Effect.interruptible(shutDown(run, claiming, ending.reason, scope, endPausing))
  )
  const counted = yield* Fiber.await(shuttingDown)

  run.tally.endedAt = run.clock.currentTimeMillisUnsafe()
  const stats = toStats(run.tally, run.tally.endedAt)
  yield* Metric.update(Metrics.held, run.held.size)
  yield* run.bus.close({ _tag: "RunEnded", at: now(run), reason: ending.reason, stats })
  return { ...ending, stats, counts: Exit.isSuccess(counted) ? counted.value : Option.none() }
})

/** How a run ended, and how the store looked then, if it still answered. */
export interface Ended extends Ending {
  readonly stats: Stats
  readonly counts: Option.Option<Counts>
}

/** A bug in one fiber of a run ends the run: the others would wait for it for ever. */
const surviving = <A>(run: Run, effect: Effect.Effect<A>): Effect.Effect<A> =>
  Effect.tapCause(effect, (cause) =>
    Effect.sync(() => {
      if (Cause.hasInterruptsOnly(cause)) return
      end(run, { _tag: "Failed", message: `The run broke: ${String(Cause.squash(cause))}` })
    })
  )

const shutDown = Effect.fnUntraced(function* (
  run: Run,
  claiming: Fiber.Fiber<unknown>,
  reason: StopReason,
  scope: Scope.Closeable,
  endPausing: Effect.Effect<void>
) {
  yield* drain(run, claiming, reason)
  // Foreign code that cannot be interrupted is left behind: it holds no lease for longer than its end.
  const closing = yield* Effect.forkDetach(Scope.close(scope, Exit.void))
  yield* Effect.timeoutOption(Fiber.await(closing), releaseTimeout)
  yield* Effect.timeoutOption(endPausing, tellTimeout)
  return yield* Effect.timeoutOption(storeCall(run, "counts", run.store.counts), releaseTimeout)
})

/**
 * The stop order: stop claiming, give back what was not started, let work under way finish within the drain timeout, cut
 * the rest off and give it back, and wait until the store has every end. Each step has its deadline.
 */
const drain = Effect.fnUntraced(function* (run: Run, claiming: Fiber.Fiber<unknown>, reason: StopReason) {
  yield* Effect.timeoutOption(Fiber.interrupt(claiming), releaseTimeout)
  yield* Effect.timeoutOption(holdBack(run, "shutdown", "the run ended before it was started"), releaseTimeout)
  if (run.held.size === 0) return
  // Where nothing may finish, there is nothing to tell.
  if (run.busy > 0 && !Duration.isZero(run.config.drainTimeout)) {
    const draining = run.bus.publish({ _tag: "Draining", at: now(run), reason: describe(reason) })
    yield* Effect.timeoutOption(draining, tellTimeout)
  }
  const finished = yield* Effect.timeoutOption(run.quiet.await, run.config.drainTimeout)
  if (finished._tag === "Some") return
  for (const held of run.held) abort(held, "shutdown")
  const released = yield* Effect.timeoutOption(run.quiet.await, releaseTimeout)
  if (released._tag === "Some") return
  yield* Effect.logWarning("Some tasks could not be given back; they are taken over when their leases end").pipe(
    Effect.annotateLogs({ module: "Orchestrator", tasks: run.held.size })
  )
})

/** Gives back what was claimed and not started, for the others to take. */
export const holdBack = Effect.fnUntraced(function* (run: Run, why: "paused" | "shutdown", reason: string) {
  for (const held of run.held) if (held.phase === "waiting") abort(held, why)
  for (const held of yield* Queue.clear(run.queue)) {
    if (held.abort === undefined) yield* conclude(run, held, { _tag: "GivenBack", reason })
    else forget(run, held)
  }
})

const describe = (reason: StopReason): string => {
  switch (reason._tag) {
    case "Drained":
      return "nothing is left to do"
    case "Stopped":
      return "a stop was requested"
    case "Interrupted":
      return "the run was interrupted"
    case "LimitReached":
    case "Failed":
      return reason.message
  }
}

const circuitEvents = { closed: "CircuitClosed", open: "CircuitOpened", "half-open": "CircuitHalfOpened" } as const

const watchSafety = (run: Run): Effect.Effect<void> => {
  const publish = ({ reason, state }: BreakerState) =>
    Effect.andThen(Metrics.setCircuit(state), run.bus.publish({ _tag: circuitEvents[state], at: now(run), reason }))
  return Effect.all(
    [
      Stream.runForEach(run.safety.changes, publish),
      Effect.map(run.safety.awaitStop, (stop) =>
        end(run, { _tag: "LimitReached", limit: stop.limit, message: stop.message })
      )
    ],
    { concurrency: "unbounded", discard: true }
  )
}
