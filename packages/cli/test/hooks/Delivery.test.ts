import type { Event } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Latch } from "effect"
import { TestClock } from "effect/testing"
import * as Delivery from "../../src/hooks/Delivery.ts"
import { completed, ended } from "../view/events.ts"
import { withLogs } from "./logs.ts"

const theEnd = ended(1, { _tag: "Stopped" })

const nameOf = (event: Event.Event) => ("taskId" in event ? event.taskId : event._tag)

const make = (deliver: (event: Event.Event) => Effect.Effect<void, Delivery.DeliveryFailed>, concurrency = 1) =>
  Delivery.make({ name: "--hook", wants: () => true, concurrency, deliver })

const offer = ({ hook }: Delivery.Delivery, ids: ReadonlyArray<string>) =>
  Effect.forEach(ids, (id) => Effect.orDie(hook(completed(0, id))), { discard: true })

const numbered = (count: number) => Array.from({ length: count }, (_, n) => `t${n}`)

describe("Delivery", () => {
  it.effect("delivers events in order, and the end of the run last", () =>
    withLogs((lines) =>
      Effect.gen(function* () {
        const seen: Array<string> = []
        const gate = Latch.makeUnsafe(false)
        const delivery = yield* make((event) =>
          Effect.andThen(
            gate.await,
            Effect.sync(() => seen.push(nameOf(event)))
          )
        )
        yield* offer(delivery, ["a", "b"])
        yield* Effect.orDie(delivery.hook(theEnd))
        const finished = yield* Effect.forkChild(delivery.finish)
        yield* offer(delivery, ["c"])
        yield* gate.open
        yield* Fiber.join(finished)
        assert.deepStrictEqual(seen, ["a", "b", "c", "RunEnded"])
        assert.deepStrictEqual(lines, [])
      })
    )
  )

  it.effect("drops the oldest events when the queue is full, but never the end of the run, and logs how many", () =>
    withLogs((lines) =>
      Effect.gen(function* () {
        const seen: Array<string> = []
        const gate = Latch.makeUnsafe(false)
        const taken = yield* Deferred.make<void>()
        const delivery = yield* make((event) =>
          Deferred.succeed(taken, undefined).pipe(
            Effect.andThen(gate.await),
            Effect.andThen(Effect.sync(() => seen.push(nameOf(event))))
          )
        )
        yield* offer(delivery, ["first"])
        yield* Deferred.await(taken)
        yield* offer(delivery, numbered(1003))
        yield* Effect.orDie(delivery.hook(theEnd))
        yield* gate.open
        yield* delivery.finish
        assert.strictEqual(seen.length, 1002)
        assert.deepStrictEqual(seen.slice(0, 2), ["first", "t3"])
        assert.deepStrictEqual(seen.slice(-2), ["t1002", "RunEnded"])
        assert.deepStrictEqual(lines, ["A hook missed events hook=--hook events=3"])
      })
    )
  )

  it.effect("logs each cause of failure once, and its number of occurrences at the end", () =>
    withLogs((lines) =>
      Effect.gen(function* () {
        const delivery = yield* make((event) =>
          nameOf(event) === "t1"
            ? Effect.die("a bug")
            : Effect.fail(
                new Delivery.DeliveryFailed({ message: "no\u001b[31m luck", detail: `with ${nameOf(event)}` })
              )
        )
        yield* offer(delivery, numbered(4))
        yield* delivery.finish
        assert.deepStrictEqual(lines, [
          "A hook failed hook=--hook cause=no luck: with t0",
          "A hook failed hook=--hook cause=a bug",
          "A hook failed several times hook=--hook cause=no luck times=3"
        ])
      })
    )
  )

  it.effect("stops delivering to a receiver that is gone", () =>
    withLogs((lines) =>
      Effect.gen(function* () {
        let calls = 0
        const delivery = yield* make(() =>
          Effect.suspend(() => {
            calls++
            return Effect.fail(new Delivery.DeliveryFailed({ message: "gone", final: true }))
          })
        )
        yield* offer(delivery, numbered(3))
        yield* delivery.finish
        assert.strictEqual(calls, 1)
        assert.deepStrictEqual(lines, [
          "A hook failed hook=--hook cause=gone",
          "A hook missed events hook=--hook events=2"
        ])
      })
    )
  )

  it.effect("abandons deliveries that hang at the end, and still delivers the end of the run", () =>
    withLogs((lines) =>
      Effect.gen(function* () {
        const tried: Array<string> = []
        const delivery = yield* make((event) =>
          Effect.andThen(
            Effect.sync(() => tried.push(nameOf(event))),
            Effect.never
          )
        )
        yield* offer(delivery, numbered(5))
        yield* Effect.orDie(delivery.hook(theEnd))
        const finished = yield* Effect.forkChild(delivery.finish)
        yield* TestClock.adjust("29 seconds")
        assert.isUndefined(finished.pollUnsafe())
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(finished)
        assert.deepStrictEqual(tried, ["t0", "RunEnded"])
        assert.deepStrictEqual(lines, ["A hook missed events hook=--hook events=6"])
      })
    )
  )

  it.effect("finishes its deliveries after the run was interrupted", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const ready = yield* Deferred.make<void>()
      const run = yield* Effect.forkChild(
        Effect.gen(function* () {
          const delivery = yield* make((event) => Effect.sync(() => seen.push(nameOf(event))))
          yield* Effect.uninterruptibleMask((restore) =>
            Effect.gen(function* () {
              yield* Deferred.succeed(ready, undefined)
              yield* Effect.exit(restore(Effect.never))
              yield* offer(delivery, ["a"])
              yield* delivery.finish
            })
          )
        }).pipe(Effect.scoped)
      )
      yield* Deferred.await(ready)
      yield* Fiber.interrupt(run)
      assert.deepStrictEqual(seen, ["a"])
    })
  )
})
