import * as assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import type { RateShares } from "../../RateShares.ts"
import { type Case, type Fixture, it } from "./fixture.ts"

const sharesOf = ({ store }: Fixture): RateShares => {
  assert.ok(store.rateShares, "the store keeps the shares of rate limits")
  return store.rateShares
}

const idsOf = (members: ReadonlyArray<{ readonly id: string }>) => members.map(({ id }) => id).sort()

export const rateShares: ReadonlyArray<Case> = [
  it(
    "processes see what others want of the limits of the same account, until these leave",
    Effect.fnUntraced(function* (fixture) {
      const report = (account: string, id: string, wanted: number) =>
        sharesOf(fixture).report(account, { id, wanted: { "läufe/1": wanted } })
      assert.deepEqual(yield* report("a", "one", 1), [{ id: "one", reports: 1, wanted: { "läufe/1": 1 } }])
      assert.deepEqual(idsOf(yield* report("a", "two", 0.5)), ["one", "two"])
      assert.deepEqual(idsOf(yield* report("b", "three", 1)), ["three"])
      const seen = yield* report("a", "one", 0.25)
      assert.deepEqual(
        seen.find(({ id }) => id === "one"),
        { id: "one", reports: 2, wanted: { "läufe/1": 0.25 } }
      )
      yield* sharesOf(fixture).leave("a", "two")
      assert.deepEqual(idsOf(yield* report("a", "one", 1)), ["one"])
    }),
    { inOneSession: true }
  ),
  it(
    "no report of a process is lost among others",
    Effect.fnUntraced(function* (fixture) {
      const { report } = sharesOf(fixture)
      const members = Array.from({ length: 8 }, (_, index) => `process-${index}`)
      const one = (id: string) => report("a", { id, wanted: {} })
      yield* Effect.forEach(members, one, { concurrency: "unbounded", discard: true })
      assert.deepEqual(idsOf(yield* one("process-0")), members)
    }),
    { inOneSession: true }
  )
]

export const noRateShares: ReadonlyArray<Case> = [
  it("the store says that processes do not share rate limits", ({ store }) =>
    Effect.sync(() => assert.equal(store.rateShares, undefined)))
]
