import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { BreakerState, SafetyService } from "../../Safety.ts"
import type { Stats } from "../../Stats.ts"
import type { StopReason } from "../../StopReason.ts"
import type { Counts } from "../../TaskStore.ts"
import * as attempts from "./attempts.ts"
import * as claimed from "./claims.ts"
import * as concurrencies from "./concurrency.ts"
import * as control from "./control.ts"
import * as dependencies from "./dependencies.ts"
import * as heartbeats from "./heartbeat.ts"
import * as intake from "./intake.ts"
import * as queueBudgets from "./queueBudgets.ts"
import * as queuePauses from "./queuePauses.ts"
import { describeReason, makeStopSignal, now, type RunParts, type Stop, type StopSignal } from "./parts.ts"
import * as settler from "./settler.ts"
import { counts } from "./storeCall.ts"
import * as workers from "./workers.ts"

/** Work that is cut off gets this long to end its processes and release its lease; after that the lease runs out. */
const releaseTimeout = Duration.seconds(15)

/** Readers that take no more events must not hold up a drain. */
const publishTimeout = Duration.seconds(1)

/**
 * One run. Intake claims tasks, workers carry out their attempts, the settler writes the outcomes, the heartbeat keeps
 * the leases, and control pauses and stops the run. Each of them owns its state. They share the registry of claimed tasks,
 * the stop signal and the immutable parts.
 */
export interface Run {
  /**
   * Starts the fibers of the run, waits for a stop, and drains. Uninterruptible: interrupting what `restore` wraps is the
   * signal to stop.
   */
  readonly live: (restore: <A>(effect: Effect.Effect<A>) => Effect.Effect<A>) => Effect.Effect<RunResult>
  readonly setPaused: (paused: boolean) => Effect.Effect<void>
  readonly stop: StopSignal
  /** Cuts off running tasks when the run stops, or now if it is draining already. */
  readonly skipDrain: () => void
  readonly stats: () => Stats
}

/** Why a run stopped, its stats, and the counts of the store, if it still answered. */
export interface RunResult extends Stop {
  readonly stats: Stats
  readonly counts: Option.Option<Counts>
}

export const make = Effect.fnUntraced(function* (
  shared: Omit<RunParts, "safety" | "budgets"> & { readonly safety: SafetyService },
  options: {
    readonly untilDrained: boolean
    /** Called when the run is paused or resumed. */
    readonly onChange: (state: "running" | "paused") => Effect.Effect<void>
    /** Whether a pause was requested before the run. */
    readonly takePause: () => boolean
  }
): Effect.fn.Return<Run> {
  const scope = yield* Scope.make()
  const stop = makeStopSignal()
  const budgets = queueBudgets.make(shared, stop)
  const limits = yield* Scope.provide(shared.safety.forRun, scope)
  const parts: RunParts = { ...shared, budgets, safety: budgets === undefined ? limits : budgets.guard(limits) }
  const { clock, config, events, owner, safety } = parts
  const concurrency = concurrencies.make(config.concurrency)
  const claims = yield* claimed.make(config, concurrency.current, clock)
  const settling = yield* settler.make(parts, claims, stop)
  const pauses = queuePauses.make(parts, { settler: settling, stop })
  const heartbeat = heartbeats.make(parts, claims, stop, pauses)
  const controlling = control.make(parts, {
    claims,
    concurrency,
    heartbeat,
    pauses,
    settler: settling,
    stop,
    onChange: options.onChange,
    takePause: options.takePause
  })
  const attempting = yield* attempts.make(parts, claims, stop)
  const working = workers.make(parts, {
    attempts: attempting,
    claims,
    concurrency,
    control: controlling,
    heartbeat,
    pauses,
    settler: settling,
    stop
  })
  const claiming = intake.loop(parts, { claims, control: controlling, heartbeat, stop }, options)

  const startedAt = clock.currentTimeMillisUnsafe()
  let endedAt: number | undefined
  const drainSkipped = Latch.makeUnsafe(false)

  const stats = (): Stats => {
    const settled = settling.stats()
    const { tasksCompleted, tasksFailed } = settled
    return {
      ...attempting.stats(),
      ...settled,
      ...working.stats(),
      elapsedSeconds: ((endedAt ?? clock.currentTimeMillisUnsafe()) - startedAt) / 1000,
      successRate: tasksCompleted === 0 ? 0 : tasksCompleted / (tasksCompleted + tasksFailed)
    }
  }

  const live: Run["live"] = Effect.fnUntraced(function* (restore) {
    events.setBackpressure(true)
    yield* events.publish({ _tag: "RunStarted", at: now(parts), owner })
    const fork = <A>(loop: Effect.Effect<A>) => Effect.forkIn(Effect.interruptible(stoppingOnDefect(loop)), scope)
    for (const loop of [heartbeat.loop, controlling.loop, watchSafety]) yield* fork(loop)
    for (const loop of [...settling.loops, ...attempting.loops, working.loop]) yield* fork(loop)
    if (budgets !== undefined) yield* fork(budgets.loop)
    const starting = Effect.andThen(knowingBudgets, dependencies.onStart(parts))
    const claimingFiber = yield* fork(Effect.andThen(starting, claiming))

    const stopped = yield* Effect.exit(restore(stop.await))
    events.setBackpressure(false)
    const ending: Stop = Exit.isSuccess(stopped) ? stopped.value : { reason: { _tag: "Interrupted" } }

    // Detached and awaited: this fiber may be interrupted already, and each step has to be able to time out.
    const shuttingDown = yield* Effect.forkDetach(Effect.interruptible(shutDown(claimingFiber, ending.reason)))
    const counted = yield* Fiber.await(shuttingDown)

    endedAt = clock.currentTimeMillisUnsafe()
    yield* parts.metrics.setHeld(claims.all())
    const summary = stats()
    yield* events.close({ _tag: "RunEnded", at: now(parts), reason: ending.reason, stats: summary })
    return { ...ending, stats: summary, counts: Exit.isSuccess(counted) ? counted.value : Option.none() }
  })

  /** Before the first attempt, which may not start when a budget is used up. */
  const knowingBudgets =
    budgets === undefined ? Effect.void : Effect.catch(budgets.refresh, (error) => Effect.sync(() => stop.fail(error)))

  /** A bug in one fiber of a run ends the run, because the others would wait for it forever. */
  const stoppingOnDefect = <A>(loop: Effect.Effect<A>): Effect.Effect<A> =>
    Effect.tapCause(loop, (cause) =>
      Effect.sync(() => {
        if (Cause.hasInterruptsOnly(cause)) return
        stop.request({ _tag: "Failed", message: `The run broke: ${String(Cause.squash(cause))}` })
      })
    )

  const shutDown = Effect.fnUntraced(function* (claimingFiber: Fiber.Fiber<unknown>, reason: StopReason) {
    yield* drain(claimingFiber, reason)
    // Foreign code that cannot be interrupted is left behind. It holds no lease for longer than the lease duration.
    const closing = yield* Effect.forkDetach(Scope.close(scope, Exit.void))
    yield* Effect.timeoutOption(Fiber.await(closing), releaseTimeout)
    yield* Effect.timeoutOption(controlling.close, publishTimeout)
    return yield* Effect.timeoutOption(counts(parts), releaseTimeout)
  })

  /**
   * Stops claiming, releases the tasks that were not started, lets running tasks finish within the drain timeout, cuts off
   * and releases the rest, and waits until the store has every settlement. Each step has a separate timeout.
   */
  const drain = Effect.fnUntraced(function* (claimingFiber: Fiber.Fiber<unknown>, reason: StopReason) {
    yield* Effect.timeoutOption(Fiber.interrupt(claimingFiber), releaseTimeout)
    yield* Effect.timeoutOption(settling.releaseUnstarted("shutdown"), releaseTimeout)
    if (claims.size() === 0) return
    if (working.busy() > 0 && !Duration.isZero(config.drainTimeout) && !Latch.isOpen(drainSkipped)) {
      const draining = events.publish({ _tag: "Draining", at: now(parts), reason: describeReason(reason) })
      yield* Effect.timeoutOption(draining, publishTimeout)
    }
    const drained = Effect.raceFirst(claims.awaitEmpty, drainSkipped.await)
    yield* Effect.timeoutOption(drained, config.drainTimeout)
    if (claims.size() === 0) return
    for (const task of claims.all()) task.abort("shutdown")
    const released = yield* Effect.timeoutOption(claims.awaitEmpty, releaseTimeout)
    if (Option.isSome(released)) return
    yield* Effect.logWarning("Some tasks could not be released; they are taken over when their leases end").pipe(
      Effect.annotateLogs({ module: "Orchestrator", tasks: claims.size() })
    )
  })

  const watchSafety: Effect.Effect<void> = Effect.all(
    [
      Stream.runForEach(safety.changes, ({ reason, state }) =>
        Effect.gen(function* () {
          // A task that waits for the breaker to close has not started.
          claims.holdStarts(state !== "closed")
          if (state === "open") yield* settling.releaseUnstarted("cooling-down")
          yield* parts.metrics.setCircuit(state)
          yield* events.publish({ _tag: circuitEvents[state], at: now(parts), reason })
        })
      ),
      Effect.map(safety.awaitStop, stop.limitReached)
    ],
    { concurrency: "unbounded", discard: true }
  )

  return {
    live,
    setPaused: controlling.setPaused,
    stop,
    skipDrain: () => void drainSkipped.openUnsafe(),
    stats
  }
})

const circuitEvents = {
  closed: "CircuitClosed",
  open: "CircuitOpened",
  "half-open": "CircuitHalfOpened"
} as const satisfies Record<BreakerState["state"], string>
