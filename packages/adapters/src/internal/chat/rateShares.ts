import * as Shares from "@baton/core/RateShares"
import { TaskStore } from "@baton/core/TaskStore"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { randomUUID } from "node:crypto"
import { fingerprint } from "../contentId.ts"

/** The shares of this process in the limits of an account, by the name of the limit. */
export interface RateShares {
  /** Reports which part of each limit this process wants, from 0 to 1. Returns how many processes use the account. */
  readonly report: (wanted: Readonly<Record<string, number>>) => Effect.Effect<number>
  /** From 0 to 1, as of the last report. A limit that was not in it counts as wanted. */
  readonly of: (limit: string) => number
  readonly leave: Effect.Effect<void>
}

/** No report holds back requests for longer. */
const longest = "2 seconds"

/** What an API counts together. */
interface Account {
  readonly apiKey?: Redacted.Redacted | undefined
  readonly baseUrl?: string | undefined
}

/** The shares in the limits of an account, for the processes that use the same store; undefined if the store keeps none. */
export const make = Effect.fnUntraced(function* ({ apiKey, baseUrl = "" }: Account) {
  const { rateShares } = yield* TaskStore
  if (rateShares === undefined) return undefined
  // The store does not get the key itself: 64 bits of a hash do not reveal it.
  const key = apiKey === undefined ? "" : Redacted.value(apiKey).trim()
  const name = fingerprint(JSON.stringify([baseUrl, key]))
  const id = randomUUID()
  let members: ReadonlyArray<Shares.Member> = []
  return {
    report: (wanted) =>
      rateShares.report(name, { id, wanted }).pipe(
        Effect.timeout(longest),
        // Without the store, the last shares remain in force.
        Effect.orElseSucceed(() => members),
        Effect.map((reported) => {
          members = reported
          return members.length
        })
      ),
    of: (limit) => {
      const mine = members.find((member) => member.id === id)
      if (mine === undefined) return 1
      const asked =
        limit in mine.wanted ? members : members.map((each) => (each === mine ? wanting(mine, limit) : each))
      return Shares.of(asked, id, limit)
    },
    leave: rateShares.leave(name, id).pipe(Effect.timeout(longest), Effect.ignore)
  } satisfies RateShares
})

const wanting = (member: Shares.Member, limit: string): Shares.Member => ({
  ...member,
  wanted: { ...member.wanted, [limit]: 1 }
})
