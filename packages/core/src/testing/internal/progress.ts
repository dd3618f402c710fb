import * as assert from "node:assert/strict"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { TaskId } from "../../Task.ts"
import type { Claim, Progress } from "../../TaskStore.ts"
import { type Case, claimNew, claimOne, complete, type Fixture, it, leaseOf, release, settle } from "./fixture.ts"

const progressOf = ({ store }: Fixture): Progress => {
  assert.ok(store.progress, "the store keeps the progress of attempts")
  return store.progress
}

const save = Effect.fnUntraced(function* (fixture: Fixture, claimed: Claim, text: string) {
  yield* progressOf(fixture).save([
    { ...leaseOf(claimed), text, fraction: 0.5, output: `${text}, in “full”\n`, at: yield* DateTime.now }
  ])
})

/** What the task's attempt has reported. */
const reported = (fixture: Fixture, id: string) =>
  Effect.map(progressOf(fixture).of(TaskId.make(id)), (found) =>
    Option.getOrNull(
      Option.map(found, ({ fraction, output, text }) => {
        assert.deepEqual([fraction, output], [0.5, `${text}, in “full”\n`])
        return text
      })
    )
  )

export const progress: ReadonlyArray<Case> = [
  it(
    "the latest progress of an attempt under way can be read, until the attempt ends",
    Effect.fnUntraced(function* (fixture) {
      const one = yield* claimNew(fixture, "a")
      assert.equal(yield* reported(fixture, "a"), null)
      assert.equal(yield* reported(fixture, "unknown"), null)
      yield* save(fixture, one, "40 %\nof “it”")
      assert.equal(yield* reported(fixture, "a"), "40 %\nof “it”")
      yield* save(fixture, one, "60 %")
      assert.equal(yield* reported(fixture, "a"), "60 %")
      yield* settle(fixture, complete(one))
      assert.equal(yield* reported(fixture, "a"), null)
    }),
    { inOneSession: true }
  ),
  it(
    "the next attempt does not begin with the progress of the one before, which can no longer report any",
    Effect.fnUntraced(function* (fixture) {
      const former = yield* claimNew(fixture, "a")
      yield* save(fixture, former, "former")
      yield* settle(fixture, release(former))
      const next = yield* claimOne(fixture)
      assert.equal(yield* reported(fixture, "a"), null)
      yield* save(fixture, former, "too late")
      assert.equal(yield* reported(fixture, "a"), null)
      yield* save(fixture, next, "next")
      yield* save(fixture, former, "too late")
      assert.equal(yield* reported(fixture, "a"), "next")
    }),
    { inOneSession: true }
  )
]

export const noProgress: ReadonlyArray<Case> = [
  it("the store says that it keeps no progress", ({ store }) =>
    Effect.sync(() => assert.equal(store.progress, undefined)))
]
