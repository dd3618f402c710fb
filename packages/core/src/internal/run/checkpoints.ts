import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { Execution } from "../../Execution.ts"
import type { TaskStatus } from "../../Task.ts"
import type { TaskStoreError } from "../../TaskStoreError.ts"
import { type ClaimedTask, leaseKey } from "./claims.ts"
import type { RunParts } from "./parts.ts"
import { storeCall } from "./storeCall.ts"

/** The result of a checkpoint: the lease can be lost, and the store can refuse this output alone. */
export type CheckpointResult =
  | { readonly _tag: "Saved" }
  | { readonly _tag: "Lost"; readonly status?: TaskStatus | undefined }
  | { readonly _tag: "Refused"; readonly error: TaskStoreError }

/** Makes outputs durable before they are verified: while one write is under way the next batch gathers. */
export interface Checkpoints {
  /** Returns once the output is durable, or cannot become so. */
  readonly save: (claimed: ClaimedTask, execution: Execution) => Effect.Effect<CheckpointResult>
  readonly loop: Effect.Effect<never>
}

interface Pending {
  readonly claimed: ClaimedTask
  readonly execution: Execution
  readonly result: Deferred.Deferred<CheckpointResult>
}

const saved: CheckpointResult = { _tag: "Saved" }

export const make = Effect.fnUntraced(function* (parts: RunParts): Effect.fn.Return<Checkpoints> {
  const pending = yield* Queue.bounded<Pending>(parts.config.concurrency)

  const writeBatch = (batch: ReadonlyArray<Pending>): Effect.Effect<void> => {
    const checkpoints = batch.map(({ claimed, execution }) => ({
      taskId: claimed.claim.task.id,
      token: claimed.claim.token,
      execution,
      usage: claimed.taskUsage()
    }))
    return Effect.matchEffect(
      storeCall(parts, "checkpoint", parts.store.checkpoint(checkpoints), { size: checkpoints.length }),
      {
        onSuccess: ({ lost }) =>
          Effect.sync(() => {
            const byLease = new Map(lost.map((lease) => [leaseKey(lease), lease.status]))
            batch.forEach(({ result }, index) => {
              const lease = checkpoints[index]
              const status = lease === undefined ? undefined : byLease.get(leaseKey(lease))
              Deferred.doneUnsafe(result, Effect.succeed(status === undefined ? saved : { _tag: "Lost", status }))
            })
          }),
        // One output that the store refuses must not fail the others of its batch.
        onFailure: (error) =>
          batch.length > 1
            ? Effect.forEach(batch, (entry) => writeBatch([entry]), { discard: true })
            : Effect.sync(() => {
                for (const { result } of batch) Deferred.doneUnsafe(result, Effect.succeed({ _tag: "Refused", error }))
              })
      }
    )
  }

  return {
    save: Effect.fnUntraced(function* (claimed, execution) {
      const result = Deferred.makeUnsafe<CheckpointResult>()
      yield* Queue.offer(pending, { claimed, execution, result })
      return yield* Deferred.await(result)
    }),
    loop: Effect.forever(Effect.flatMap(Queue.takeBetween(pending, 1, Infinity), writeBatch))
  }
})

/** The key in the metadata of an execution that names its executor. */
const executorKey = "executorId"

/** Marks an output with the executor that made it. */
export const withExecutor = ({ config: { executorId } }: RunParts, execution: Execution): Execution =>
  executorId === undefined
    ? execution
    : { ...execution, metadata: { ...execution.metadata, [executorKey]: executorId } }

/**
 * The stored output of a claimed task, unless another executor made it. The first output of another executor is logged, and
 * not each one: there can be thousands.
 */
export const makeStored = (parts: RunParts): ((claimed: ClaimedTask) => Effect.Effect<Execution | undefined>) => {
  const { executorId, keepOutputs } = parts.config
  let isLogged = false
  return ({ claim: { checkpoint } }) => {
    const from = checkpoint?.metadata[executorKey]
    if (executorId === undefined || from === undefined || from === executorId) return Effect.succeed(checkpoint)
    const kept = keepOutputs ? checkpoint : undefined
    if (isLogged) return Effect.succeed(kept)
    isLogged = true
    return Effect.as(
      Effect.logWarning(
        keepOutputs
          ? "A stored output of another executor is verified unchanged, and so are others"
          : "A stored output comes from another executor: its task is executed again, and so are others (to verify them instead: keepOutputs, --keep-outputs)"
      ),
      kept
    )
  }
}
