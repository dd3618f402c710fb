import { Event } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Latch, Schema, Sink, Stdio, Stream } from "effect"
import { TestClock } from "effect/testing"
import { eventJson, withEvents } from "../../src/view/events.ts"
import { completed } from "./events.ts"

const encode = Schema.encodeEffect(Event.Event)

describe("eventJson", () => {
  it.effect.prop("is the encoded event with the tag in the field `event`", [Event.Event], ([event]) =>
    Effect.gen(function* () {
      const { _tag, ...fields } = yield* encode(event)
      // Compared through JSON, which has no undefined and no negative zero.
      assert.deepStrictEqual(JSON.parse(eventJson(event)), JSON.parse(JSON.stringify({ event: _tag, ...fields })))
      assert.notInclude(eventJson(event), "\n")
    })
  )
})

describe("withEvents", () => {
  const stalled = Stdio.layerTest({ stdout: () => Sink.forEach(() => Effect.never) })
  const events = Stream.concat(Stream.make(completed(1, "a")), Stream.never)

  it.effect("a reader that stalls does not keep an interrupted run from ending", () =>
    Effect.gen(function* () {
      const run = yield* Effect.forkChild(withEvents(Effect.never, events, eventJson))
      yield* Effect.repeat(Effect.yieldNow, { times: 50 })
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(run))
      yield* Effect.repeat(Effect.yieldNow, { times: 50 })
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(interrupting)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(run)))
    }).pipe(Effect.provide(stalled))
  )

  it.effect("a run that ended waits for its reader, until it is interrupted", () =>
    Effect.gen(function* () {
      const ended = yield* Latch.make()
      const run = yield* Effect.forkChild(withEvents(ended.await, events, eventJson))
      yield* Effect.repeat(Effect.yieldNow, { times: 50 })
      yield* ended.open
      yield* TestClock.adjust("1 hour")
      assert.isUndefined(run.pollUnsafe())
      yield* Fiber.interrupt(run)
    }).pipe(Effect.provide(stalled))
  )
})
