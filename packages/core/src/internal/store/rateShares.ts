import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Member, type RateShares } from "../../RateShares.ts"
import type * as Driver from "../../TaskStoreDriver.ts"
import { TaskStoreError } from "../../TaskStoreError.ts"

const Members = Schema.fromJsonString(Schema.Array(Member))

const decode = Schema.decodeUnknownEffect(Schema.NullOr(Members))

const encode = Schema.encodeSync(Members)

/** How long a process may be silent. */
const longestSilence = Duration.toMillis("10 seconds")

/** The shares of rate limits, in a store whose driver keeps texts. */
export const make = Effect.fnUntraced(function* (driver: Driver.Texts, place: string): Effect.fn.Return<RateShares> {
  const clock = yield* Clock.Clock
  /** When this process first saw the latest report of each member. Clocks of other machines do not matter this way. */
  const seen = new Map<string, { readonly reports: number; readonly at: number }>()

  const isSilent = (account: string, { id, reports }: Member): boolean => {
    const key = JSON.stringify([account, id])
    const now = clock.currentTimeMillisUnsafe()
    const known = seen.get(key)
    if (known?.reports === reports) return now - known.at > longestSilence
    seen.set(key, { reports, at: now })
    return false
  }

  const change = Effect.fnUntraced(function* (
    account: string,
    id: string,
    changed: (before: Member | undefined) => ReadonlyArray<Member>
  ) {
    const name = `rates/${account}`
    // Until no other process has changed it in between.
    while (true) {
      const text = yield* driver.read(name)
      const members = yield* Effect.mapError(
        decode(text),
        (cause) =>
          new TaskStoreError({
            reason: "Unusable",
            message: `${place} holds shares of rate limits that cannot be read. Use a newer version.`,
            cause
          })
      )
      const others = (members ?? []).filter((member) => member.id !== id && !isSilent(account, member))
      const after = [...others, ...changed(members?.find((member) => member.id === id))]
      const before = text === null ? null : String(text)
      if (yield* driver.write({ name, before, text: encode(after), isControl: false })) return after
    }
  })

  return {
    report: (account, { id, wanted }) =>
      change(account, id, (before) => [{ id, wanted, reports: (before?.reports ?? 0) + 1 }]),
    leave: (account, id) => Effect.asVoid(change(account, id, () => []))
  }
})
