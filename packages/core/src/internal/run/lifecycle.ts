import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { BreakerState } from "../../Safety.ts"
import type { StopReason } from "../../StopReason.ts"
import * as checkpoints from "./checkpoints.ts"
import { control } from "./control.ts"
import { heartbeat } from "./heartbeat.ts"
import { abort } from "./held.ts"
import { intake } from "./intake.ts"
import { settle } from "./outcome.ts"
import { type Ending, end, now, type Run } from "./run.ts"
import { settler } from "./settler.ts"
import { toStats } from "./tally.ts"
import { worker } from "./worker.ts"

/** What is cut off gets this long to end its processes and give its lease back; after that the lease runs out. */
const releaseTimeout = Duration.seconds(15)

/** Starts the fibers of a run, waits for its ending, drains, and says how it ended. */
export const live = Effect.fnUntraced(function* (
  run: Run,
  options: { readonly untilDrained: boolean },
  setPaused: (paused: boolean) => Effect.Effect<void>
): Effect.fn.Return<Ending> {
  yield* run.bus.publish({ _tag: "RunStarted", at: now(run), owner: run.owner })
  return yield* Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const fork = <A>(effect: Effect.Effect<A>) => Effect.forkIn(Effect.interruptible(effect), scope)

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

      // In a fiber of its own: this one may be interrupted already, and the drain has to be able to time out.
      const draining = yield* fork(drain(run, claiming, ending.reason))
      yield* Fiber.await(draining)
      yield* Scope.close(scope, Exit.void)

      run.tally.endedAt = run.clock.currentTimeMillisUnsafe()
      const stats = toStats(run.tally, run.tally.endedAt)
      yield* run.bus.publish({ _tag: "RunEnded", at: now(run), reason: ending.reason, stats })
      yield* run.bus.flush
      return ending
    })
  )
})

/**
 * The stop order: stop claiming, give back what was not started, let work under way finish within the drain timeout, cut
 * the rest off and give it back, and wait until the store has every end.
 */
const drain = Effect.fnUntraced(function* (run: Run, claiming: Fiber.Fiber<unknown>, reason: StopReason) {
  yield* Fiber.interrupt(claiming)
  yield* giveBackQueued(run, "the run ended before it was started")
  if (run.held.size === 0) return
  for (const held of run.held) if (held.phase === "waiting") abort(held, "shutdown")
  if (run.busy > 0) yield* run.bus.publish({ _tag: "Draining", at: now(run), reason: describe(reason) })
  const finished = yield* Effect.timeoutOption(run.quiet.await, run.config.drainTimeout)
  if (finished._tag === "Some") return
  for (const held of run.held) abort(held, "shutdown")
  const released = yield* Effect.timeoutOption(run.quiet.await, releaseTimeout)
  if (released._tag === "Some") return
  yield* Effect.logWarning("Some tasks could not be given back; they are taken over when their leases end").pipe(
    Effect.annotateLogs({ module: "Orchestrator", tasks: run.held.size })
  )
})

/** Gives back what was claimed ahead, for the others to take. */
export const giveBackQueued = Effect.fnUntraced(function* (run: Run, reason: string) {
  for (const held of yield* Queue.clear(run.queue)) {
    if (held.abort !== undefined) {
      run.held.delete(held)
      continue
    }
    held.phase = "settling"
    const settlement = yield* settle(run.config, held, { _tag: "GivenBack", reason })
    yield* Queue.offer(run.ended, { held, settlement })
  }
  if (run.held.size === 0) run.quiet.openUnsafe()
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
    run.bus.publish({ _tag: circuitEvents[state], at: now(run), reason })
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
