import { Schedules, Workflows } from "@baton/adapters/workflow"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer, Queue, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Workflow } from "effect/workflow"

const Hourly = Workflow.make("Hourly/1", {
  payload: { time: Schema.String },
  idempotencyKey: ({ time }) => time
})

const schedule = (options: { readonly cron: string; readonly timezone?: string; readonly catchUp?: "2 hours" }) =>
  Schedules.layer(Hourly, { ...options, payload: (time) => ({ time: DateTime.formatIso(time).slice(5, 16) }) })

describe("Schedules", () => {
  it.effect("each time starts one execution, however many processes have the schedule", () =>
    Effect.gen(function* () {
      const started = yield* Queue.unbounded<string>()
      const hourly = Hourly.toLayer(({ time }) => Effect.asVoid(Queue.offer(started, time)))
      const process = () => schedule({ cron: "0 * * * *", catchUp: "2 hours" })
      yield* Layer.build(
        Layer.mergeAll(process(), process(), process()).pipe(
          Layer.provideMerge(hourly),
          Layer.provide(Workflows.layerMemory)
        )
      )
      // Two that are late, and then one in time.
      assert.strictEqual(yield* Queue.take(started), "12-31T23:00")
      assert.strictEqual(yield* Queue.take(started), "01-01T00:00")
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* Queue.take(started), "01-01T01:00")
      yield* TestClock.adjust("59 minutes")
      assert.deepStrictEqual(yield* Queue.clear(started), [])
    })
  )

  it.effect("an expression or a time zone that is not valid says what to write", () =>
    Effect.gen(function* () {
      const errorOf = (options: Parameters<typeof schedule>[0]) =>
        Effect.map(
          Effect.flip(Layer.build(Layer.provide(schedule(options), Workflows.layerMemory))),
          ({ message }) => message
        )
      assert.strictEqual(
        yield* errorOf({ cron: "0 2 * *" }),
        `The schedule of the workflow "Hourly/1" is not valid: "0 2 * *" is not a cron expression: Invalid number of segments in cron expression. Write five fields (minute, hour, day, month, weekday), such as "0 2 * * *".`
      )
      assert.include(
        yield* errorOf({ cron: "0 2 * * *", timezone: "Berlin" }),
        `The time zone "Berlin" does not exist. Use a name such as Europe/Berlin, or UTC.`
      )
      assert.include(yield* errorOf({ cron: "0 2 30 2 *" }), "never occurs. Check its day and month.")
    })
  )
})
