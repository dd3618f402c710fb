import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { Execution } from "../../Execution.ts"
import type { LostLease } from "../../TaskStore.ts"
import * as Usage from "../../Usage.ts"
import type { Held } from "./held.ts"
import { fail, type Run } from "./run.ts"
import { storeCall } from "./storeCall.ts"

interface Pending {
  readonly held: Held
  readonly execution: Execution
  readonly done: Deferred.Deferred<LostLease | undefined>
}

/** Makes outputs durable before they are verified, many in one write: while one write is under way the next gathers. */
export interface Checkpoints {
  /** Returns once the output is durable; the lost lease when it is not ours to save any more. */
  readonly save: (held: Held, execution: Execution) => Effect.Effect<LostLease | undefined>
  readonly write: Effect.Effect<void>
}

export const make = Effect.fnUntraced(function* (run: Run): Effect.fn.Return<Checkpoints> {
  const pending = yield* Queue.bounded<Pending>(run.config.concurrency)

  const writeBatch = Effect.fnUntraced(function* (batch: ReadonlyArray<Pending>) {
    const checkpoints = batch.map(({ execution, held }) => ({
      taskId: held.claim.task.id,
      token: held.claim.token,
      execution,
      usage: Usage.add(held.claim.task.usage, held.usage)
    }))
    const { lost } = yield* storeCall(run, "checkpoint", run.store.checkpoint(checkpoints))
    for (const { done, held } of batch) {
      const gone = lost.length === 0 ? undefined : lost.find(({ taskId }) => taskId === held.claim.task.id)
      Deferred.doneUnsafe(done, Effect.succeed(gone))
    }
  })

  return {
    save: Effect.fnUntraced(function* (held, execution) {
      const done = Deferred.makeUnsafe<LostLease | undefined>()
      yield* Queue.offer(pending, { held, execution, done })
      return yield* Deferred.await(done)
    }),
    write: Queue.takeBetween(pending, 1, Infinity).pipe(
      Effect.flatMap(writeBatch),
      Effect.forever,
      Effect.catch((error) => Effect.sync(() => fail(run, error)))
    )
  }
})
