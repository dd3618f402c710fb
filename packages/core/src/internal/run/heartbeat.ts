import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Metrics from "../../OrchestratorMetrics.ts"
import type { TaskStoreError } from "../../TaskStoreError.ts"
import { abort, type Held } from "./held.ts"
import { leaseKey } from "./leaseKey.ts"
import { fail, now, type Run } from "./run.ts"
import { storeCall } from "./storeCall.ts"

/**
 * Keeps the leases of everything that is held, one call for all, three times a lease or at once when `beat` is opened.
 * The reply names what is no longer ours: that work is cut off at once. Each beat also takes back what dead workers held.
 */
export const heartbeat = (run: Run): Effect.Effect<void> =>
  Effect.gen(function* () {
    while (true) {
      yield* Effect.raceFirst(Effect.sleep(interval(run)), run.beat.await)
      run.beat.closeUnsafe()
      yield* extend(run)
      yield* reclaim(run)
    }
  }).pipe(Effect.catch((error) => Effect.sync(() => fail(run, error))))

const interval = (run: Run) => Duration.toMillis(run.config.leaseDuration) / 3

/** Extends the leases of all that is held, and cuts off what turns out to be lost. */
export const extend = Effect.fnUntraced(function* (run: Run): Effect.fn.Return<void, TaskStoreError> {
  yield* Metric.update(Metrics.held, run.held.size)
  const extendedAt = run.clock.currentTimeMillisUnsafe()
  if (run.held.size === 0) return
  const held = Array.from(run.held)
  const leases = held.map(({ claim }) => ({ taskId: claim.task.id, token: claim.token }))
  const { lost } = yield* storeCall(run, "extend", run.store.extend(leases, run.config.leaseDuration), {
    size: leases.length
  })
  run.extendedAt = extendedAt
  if (lost.length === 0) return
  const byLease = new Map(leases.map((lease, index) => [leaseKey(lease), held[index]]))
  for (const lease of lost) {
    const entry = byLease.get(leaseKey(lease))
    // Settled while the heartbeat was under way: not lost at all.
    if (entry === undefined || !run.held.has(entry)) continue
    abort(entry, lease.status === "cancelled" ? "cancelled" : "lease-lost")
  }
})

/**
 * Whether a lease has ended for all we know: this process was frozen, or the store away, for longer than it lasts.
 */
export const mayHaveEnded = (run: Run, { claimedAt }: Held): boolean =>
  run.clock.currentTimeMillisUnsafe() - Math.max(claimedAt, run.extendedAt) >=
  Duration.toMillis(run.config.leaseDuration)

/**
 * Takes back the tasks of workers that stopped answering; returns how many. When the heartbeat is late, our own leases are
 * extended first: after an outage of the store, what we work on must not be taken for a dead worker's.
 */
export const reclaim = Effect.fnUntraced(function* (run: Run): Effect.fn.Return<number, TaskStoreError> {
  if (run.clock.currentTimeMillisUnsafe() - run.extendedAt > interval(run)) yield* extend(run)
  const { maxAttempts, onCrash } = run.config
  const swept = yield* storeCall(run, "sweep", run.store.sweep({ maxAttempts, onCrash }))
  if (swept.length === 0) return 0
  yield* run.bus.publishAll(
    swept.map(({ attempts, owner, status, taskId }) => ({
      _tag: "LeaseReclaimed",
      at: now(run),
      taskId,
      attempt: attempts,
      owner,
      status
    }))
  )
  run.demand.openUnsafe()
  return swept.length
})
