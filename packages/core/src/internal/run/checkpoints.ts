import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { Execution } from "../../Execution.ts"
import type { TaskStatus } from "../../Task.ts"
import type { TaskStoreError } from "../../TaskStoreError.ts"
import * as Usage from "../../Usage.ts"
import type { Held } from "./held.ts"
import { leaseKey } from "./leaseKey.ts"
import type { Run } from "./run.ts"
import { storeCall } from "./storeCall.ts"

/** What became of a checkpoint: the lease can be gone, and the store can be unable to take just this output. */
export type Checkpointed =
  | { readonly _tag: "Saved" }
  | { readonly _tag: "Lost"; readonly status: TaskStatus | null }
  | { readonly _tag: "Refused"; readonly error: TaskStoreError }

interface Pending {
  readonly held: Held
  readonly execution: Execution
  readonly done: Deferred.Deferred<Checkpointed>
}

/** Makes outputs durable before they are verified, many in one write: while one write is under way the next gathers. */
export interface Checkpoints {
  /** Returns once the output is durable, or cannot become so. */
  readonly save: (held: Held, execution: Execution) => Effect.Effect<Checkpointed>
  readonly write: Effect.Effect<never>
}

const saved: Checkpointed = { _tag: "Saved" }

export const make = Effect.fnUntraced(function* (run: Run): Effect.fn.Return<Checkpoints> {
  const pending = yield* Queue.bounded<Pending>(run.config.concurrency)

  const writeBatch = (batch: ReadonlyArray<Pending>): Effect.Effect<void> => {
    const checkpoints = batch.map(({ execution, held }) => ({
      taskId: held.claim.task.id,
      token: held.claim.token,
      execution,
      usage: Usage.add(held.claim.task.usage, held.usage)
    }))
    return Effect.matchEffect(
      storeCall(run, "checkpoint", run.store.checkpoint(checkpoints), { size: checkpoints.length }),
      {
        onSuccess: ({ lost }) =>
          Effect.sync(() => {
            const byLease = new Map(lost.map((lease) => [leaseKey(lease), lease.status]))
            batch.forEach(({ done }, index) => {
              const lease = checkpoints[index]
              const status = lease === undefined ? undefined : byLease.get(leaseKey(lease))
              Deferred.doneUnsafe(done, Effect.succeed(status === undefined ? saved : { _tag: "Lost", status }))
            })
          }),
        // One output that the store cannot take must not take the others of its batch down with it.
        onFailure: (error) =>
          batch.length > 1
            ? Effect.forEach(batch, (entry) => writeBatch([entry]), { discard: true })
            : Effect.sync(() => {
                for (const { done } of batch) Deferred.doneUnsafe(done, Effect.succeed({ _tag: "Refused", error }))
              })
      }
    )
  }

  return {
    save: Effect.fnUntraced(function* (held, execution) {
      const done = Deferred.makeUnsafe<Checkpointed>()
      yield* Queue.offer(pending, { held, execution, done })
      return yield* Deferred.await(done)
    }),
    write: Effect.forever(Effect.flatMap(Queue.takeBetween(pending, 1, Infinity), writeBatch))
  }
})
