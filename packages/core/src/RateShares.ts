/**
 * Shares of the rate limits of an API.
 *
 * An API counts all requests of an organization together, whatever process sends them. So processes that send requests with the
 * same account report to their store how much of each limit they want, and each keeps to its share.
 *
 * @since 0.2.0
 */
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { TaskStoreError } from "./TaskStoreError.ts"

/**
 * A process that sends requests.
 *
 * @category models
 * @since 0.2.0
 */
export const Member = Schema.Struct({
  id: Schema.String,
  /** How often it has reported: a process that has died does so no longer. */
  reports: Schema.Int,
  /** The part of each limit that it wants, from 0 to 1, by the name of the limit. */
  wanted: Schema.Record(Schema.String, Schema.Finite)
})

/** @since 0.2.0 */
export interface Member extends Schema.Schema.Type<typeof Member> {}

/**
 * The processes that use the same accounts.
 *
 * @category models
 * @since 0.2.0
 */
export interface RateShares {
  /**
   * Reports what a process wants of the limits of an account. Returns all processes that use the account. A process that has
   * not reported for 10 seconds is no longer one of them.
   */
  readonly report: (
    account: string,
    member: Pick<Member, "id" | "wanted">
  ) => Effect.Effect<ReadonlyArray<Member>, TaskStoreError>

  /** A process does not use the account for now. */
  readonly leave: (account: string, id: string) => Effect.Effect<void, TaskStoreError>
}

/**
 * The share of a process in a limit, from 0 to 1. All of them together have 1. A process gets the share that it asks
 * for, unless another one that asks for more would get less. The shares that no process asks for are distributed evenly.
 *
 * @category combinators
 * @since 0.2.0
 */
export const of = (members: ReadonlyArray<Member>, id: string, limit: string): number => {
  const wanting = members
    .flatMap((member) => {
      const wanted = member.wanted[limit]
      return wanted === undefined ? [] : [{ id: member.id, wanted }]
    })
    .sort((left, right) => left.wanted - right.wanted)
  let left = 1
  let mine = 0
  for (const [index, member] of wanting.entries()) {
    const share = Math.min(Math.max(0, member.wanted), left / (wanting.length - index))
    left -= share
    if (member.id === id) mine = share
  }
  return wanting.length === 0 ? 1 : mine + left / wanting.length
}
