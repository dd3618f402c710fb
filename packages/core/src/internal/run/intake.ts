import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { TaskStoreError } from "../../TaskStoreError.ts"
import * as held from "./held.ts"
import { reclaim } from "./heartbeat.ts"
import { end, fail, type Run } from "./run.ts"
import { storeCall } from "./storeCall.ts"

/**
 * Claims ahead of the workers. It refills when no more than half of the prefetch is left, so that claims come in
 * batches and workers never wait for one while there is work.
 */
export const intake = (run: Run, options: { readonly untilDrained: boolean }): Effect.Effect<void> =>
  Effect.gen(function* () {
    yield* run.ready.await
    let fruitless = 0
    while (true) {
      yield* run.gate.await
      const room = wanted(run)
      if (room === 0) {
        run.demand.closeUnsafe()
        yield* run.demand.await
        continue
      }
      // Nothing to claim, unless a worker died and its lease has just ended.
      if ((yield* claim(run, room)) > 0 || (yield* reclaim(run)) > 0) {
        fruitless = 0
        continue
      }
      // A store may wake us for nothing, but not make us spin.
      if (fruitless > 1) yield* Effect.sleep(Math.min(2 ** fruitless, 500))
      fruitless++
      const before = run.clock.currentTimeMillisUnsafe()
      const signal = yield* storeCall(run, "awaitWork", run.store.awaitWork(options))
      if (run.clock.currentTimeMillisUnsafe() > before) fruitless = 0
      if (signal === "claimable") continue
      // What we still hold can come back to be retried, or make others claimable.
      if (run.held.size > 0) {
        yield* run.quiet.await
        continue
      }
      const { waiting } = yield* storeCall(run, "counts", run.store.counts)
      return end(run, { _tag: "Drained", waiting })
    }
  }).pipe(Effect.catch((error) => Effect.sync(() => fail(run, error))))

const wanted = (run: Run): number => {
  const queued = Queue.sizeUnsafe(run.queue)
  const { concurrency, prefetch } = run.config
  if (queued * 2 > prefetch) return 0
  // When ends come faster than the store takes them, claiming waits.
  const unsettled = 2 * (concurrency + prefetch) - run.held.size
  return Math.max(0, Math.min(unsettled, prefetch + (concurrency - run.busy) - queued))
}

// Not to be interrupted between the claim and our knowing of it: such a task would be nobody's until its lease ends.
const claim = (run: Run, limit: number): Effect.Effect<number, TaskStoreError> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(
      storeCall(run, "claim", run.store.claim({ limit, owner: run.owner, lease: run.config.leaseDuration }), {
        restore
      }),
      (claims) => {
        if (claims.length === 0) return Effect.succeed(0)
        const claimedAt = run.clock.currentTimeMillisUnsafe()
        const entries = claims.map((claim) => held.make(claim, claimedAt))
        for (const entry of entries) run.held.add(entry)
        run.quiet.closeUnsafe()
        return Effect.as(Queue.offerAll(run.queue, entries), claims.length)
      }
    )
  )
