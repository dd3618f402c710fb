import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { TaskStoreError } from "../../TaskStoreError.ts"
import { type ClaimedTask, type Claims, leaseKey } from "./claims.ts"
import * as dependencies from "./dependencies.ts"
import { now, type RunParts, type StopSignal } from "./parts.ts"
import type { QueuePauses } from "./queuePauses.ts"
import { storeCall } from "./storeCall.ts"

/**
 * Extends the leases of all claimed tasks, one call for all, three times per lease duration. The reply names the leases
 * that were lost; the work on those tasks is cut off. Each beat also takes back the tasks of dead workers, and reads the
 * budgets and the pauses, which others can change.
 */
export interface Heartbeat {
  /** Beats at once. */
  readonly beat: () => void
  /** Extends all leases now, when that of this task may have ended: this process was frozen, or the store was away. */
  readonly refresh: (claimed: ClaimedTask) => Effect.Effect<void, TaskStoreError> | undefined
  /** Takes back the tasks of workers that stopped answering, and returns their number. */
  readonly sweep: Effect.Effect<number, TaskStoreError>
  readonly loop: Effect.Effect<void>
}

export const make = (
  parts: RunParts,
  claims: Claims,
  stop: StopSignal,
  pauses: Pick<QueuePauses, "refresh">
): Heartbeat => {
  const { clock, config, store } = parts
  const leaseMillis = Duration.toMillis(config.leaseDuration)
  const interval = leaseMillis / 3
  const beat = Latch.makeUnsafe(false)
  let extendedAt = clock.currentTimeMillisUnsafe()

  const extend = Effect.gen(function* () {
    yield* parts.metrics.setHeld(claims.all())
    const startedAt = clock.currentTimeMillisUnsafe()
    if (claims.size() === 0) return
    const claimed = Array.from(claims.all())
    const leases = claimed.map(({ claim }) => ({ taskId: claim.task.id, token: claim.token }))
    const extending = store.extend(leases, config.leaseDuration)
    const { lost } = yield* storeCall(parts, "extend", extending, { size: leases.length })
    extendedAt = startedAt
    if (lost.length === 0) return
    const byLease = new Map(leases.map((lease, index) => [leaseKey(lease), claimed[index]]))
    for (const lease of lost) {
      const entry = byLease.get(leaseKey(lease))
      // A task that was settled while the call was under way has no lease to lose.
      if (entry === undefined || !claims.has(entry)) continue
      entry.abort(lease.status === "cancelled" ? "cancelled" : "lease-lost")
    }
  })

  const sweep = Effect.gen(function* () {
    // After an outage of the store, the tasks of this worker must not be taken for those of a dead one.
    if (clock.currentTimeMillisUnsafe() - extendedAt > interval) yield* extend
    const { maxAttempts, onCrash, queues } = config
    const swept = yield* storeCall(parts, "sweep", store.sweep({ queues, maxAttempts, onCrash }))
    if (swept.length === 0) return 0
    yield* parts.events.publishAll(
      swept.map(({ attempts, owner, started, status, taskId }) => ({
        _tag: "LeaseReclaimed",
        at: now(parts),
        taskId,
        // The attempt that ended, also where it was given back.
        attempt: started ? attempts : attempts + 1,
        owner,
        status
      }))
    )
    yield* dependencies.onFailed(
      parts,
      swept.flatMap(({ status, taskId }) => (status === "failed" ? taskId : []))
    )
    claims.wakeUp()
    return swept.length
  })

  return {
    beat: () => void beat.openUnsafe(),
    refresh: ({ claimedAt }) =>
      clock.currentTimeMillisUnsafe() - Math.max(claimedAt, extendedAt) >= leaseMillis ? extend : undefined,
    sweep,
    loop: Effect.gen(function* () {
      while (true) {
        yield* Effect.raceFirst(Effect.sleep(interval), beat.await)
        beat.closeUnsafe()
        yield* extend
        yield* sweep
        if (parts.budgets !== undefined) yield* parts.budgets.refresh
        yield* pauses.refresh
      }
    }).pipe(Effect.catch((error) => Effect.sync(() => stop.fail(error))))
  }
}
