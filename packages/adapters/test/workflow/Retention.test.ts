import { Retention } from "@baton/adapters/workflow"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer, Queue } from "effect"
import { TestClock } from "effect/testing"

describe("Retention.layerAutomatic", () => {
  it.effect("deletes what ended before its time, each minute", () =>
    Effect.gen(function* () {
      const calls = yield* Queue.unbounded<string>()
      const retention = Layer.succeed(Retention.Retention, {
        forget: () => Effect.succeed(false),
        forgetEnded: (before) => Effect.as(Queue.offer(calls, DateTime.formatIso(before)), 0)
      })
      yield* Layer.build(Layer.provide(Retention.layerAutomatic({ after: "1 hour" }), retention))
      assert.strictEqual(yield* Queue.take(calls), "1969-12-31T23:00:00.000Z")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* Queue.take(calls), "1969-12-31T23:01:00.000Z")
    })
  )
})
