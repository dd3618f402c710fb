import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { TaskStatus } from "../../Task.ts"
import type { TaskStoreError } from "../../TaskStoreError.ts"
import { type ClaimedTask, type Claims, leaseKey } from "./claims.ts"
import type { RunParts } from "./parts.ts"
import { storeCall } from "./storeCall.ts"

/** The result of a start: the lease can be lost, and the store can refuse the write. */
export type StartResult =
  | { readonly _tag: "Started" }
  | { readonly _tag: "Lost"; readonly status?: TaskStatus | undefined }
  | { readonly _tag: "Refused"; readonly error: TaskStoreError }

/**
 * Marks tasks as started in the store, before their executor is called. A claim marks the tasks that workers take at once.
 * The others are marked here, all that wait for it in one write, together with those that are about to be taken.
 */
export interface Starts {
  /** Returns once the start of the task is durable, or cannot become so. */
  readonly start: (claimed: ClaimedTask) => Effect.Effect<StartResult>
  readonly loop: Effect.Effect<never>
}

const started: StartResult = { _tag: "Started" }

export const make = (parts: RunParts, claims: Claims): Starts => {
  const waiting = new Map<ClaimedTask, Deferred.Deferred<StartResult>>()
  const write = (batch: ReadonlyArray<ClaimedTask>): Effect.Effect<void> => {
    const leases = batch.map(({ claim }) => ({ taskId: claim.task.id, token: claim.token }))
    return Effect.match(storeCall(parts, "start", parts.store.start(leases), { size: leases.length }), {
      onSuccess: ({ lost }) => {
        const byLease = new Map(lost.map((lease) => [leaseKey(lease), lease.status]))
        for (const [index, claimed] of batch.entries()) {
          const lease = leases[index]
          const status = lease === undefined ? undefined : byLease.get(leaseKey(lease))
          if (status === undefined) claims.markStarted(claimed)
          // A worker that takes it does not begin.
          else if (claimed.phase === "queued") claimed.abort(status === "cancelled" ? "cancelled" : "lease-lost")
          answer(claimed, status === undefined ? started : { _tag: "Lost", status })
        }
      },
      onFailure: (error) => {
        for (const claimed of batch) answer(claimed, { _tag: "Refused", error })
      }
    })
  }

  const answer = (claimed: ClaimedTask, result: StartResult): void => {
    const answered = waiting.get(claimed)
    if (answered === undefined) return
    waiting.delete(claimed)
    Deferred.doneUnsafe(answered, Effect.succeed(result))
  }

  const wanted = Latch.makeUnsafe(false)
  claims.onStartsWanted(() => void wanted.openUnsafe())

  return {
    start: (claimed) =>
      Effect.suspend(() => {
        if (claimed.isStarted) return Effect.succeed(started)
        const answered = waiting.get(claimed) ?? Deferred.makeUnsafe<StartResult>()
        waiting.set(claimed, answered)
        wanted.openUnsafe()
        return Effect.onInterrupt(Deferred.await(answered), () => Effect.sync(() => waiting.delete(claimed)))
      }),
    loop: Effect.forever(
      Effect.gen(function* () {
        yield* wanted.await
        // Other workers that have ended an attempt in the same moment join.
        yield* Effect.yieldNow
        wanted.closeUnsafe()
        const batch = [...waiting.keys(), ...claims.startNext()]
        if (batch.length > 0) yield* write(batch)
      })
    )
  }
}
