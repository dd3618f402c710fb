import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Claim, ClaimOptions } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Batches from "./batches.ts"
import type * as Replies from "./replies.ts"
import * as Rows from "./rows.ts"
import * as Scripts from "./scripts.ts"
import * as Texts from "./texts.ts"

/** Runs a script that writes. */
export type Write = <A>(
  script: Scripts.Script,
  parameters: ReadonlyArray<string>,
  read: (replies: ReadonlyArray<Replies.Reply>) => A
) => Effect.Effect<A, TaskStoreError>

/** In a long outage, most calls never arrive; what the first of them may have claimed has no lease any more by then. */
const mostUnanswered = 100

/**
 * Claims for one store. When the connection breaks after a claim was written and before it was heard of, its tasks would be
 * nobody's until their leases end, and each would have lost an attempt; so the next claim asks for them first.
 */
export const make = (write: Write, nextMark: () => string) => {
  /** Claims that were made and not answered: whether they claimed anything is not known. */
  let unanswered: ReadonlyArray<{ readonly owner: string; readonly mark: string }> = []

  const claimSome = (limit: number, { lease, owner }: ClaimOptions) =>
    Effect.suspend(() => {
      const mark = nextMark()
      const lost = unanswered.flatMap((each) => (each.owner === owner ? each.mark : []))
      const parameters = [String(limit), Texts.json(owner), Texts.duration(lease), mark, ...lost]
      return write(Scripts.claim, parameters, ([found, ...claims]) => {
        if (found !== "more") unanswered = unanswered.filter((each) => !lost.includes(each.mark))
        return found === "again" ? found : Rows.claims(claims)
      }).pipe(
        Effect.onError(() =>
          Effect.sync(() => {
            unanswered = [...unanswered, { owner, mark }].slice(-mostUnanswered)
          })
        )
      )
    })

  return Effect.fnUntraced(function* (options: ClaimOptions): Effect.fn.Return<ReadonlyArray<Claim>, TaskStoreError> {
    const claims: Array<Claim> = []
    while (claims.length < options.limit) {
      const limit = Math.min(options.limit - claims.length, Batches.chunkSize)
      const some = yield* Effect.result(claimSome(limit, options))
      if (Result.isFailure(some)) {
        // What was claimed before must not wait for its lease to end.
        if (claims.length > 0) return claims
        return yield* Effect.fail(some.failure)
      }
      if (some.success === "again") continue
      for (const claimed of some.success) claims.push(claimed)
      if (some.success.length < limit) break
    }
    return claims
  })
}
