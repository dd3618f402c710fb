import { ClaudeClient } from "@baton/adapters/claude"
import { Attempt, Task } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Deferred } from "effect"
import { TestClock } from "effect/testing"
import * as meter from "../../../src/models/claude/meter.ts"

const taskId = Task.TaskId.make("a")
const about: ClaudeClient.About = {
  taskId,
  queue: "default",
  leaseToken: Attempt.LeaseToken.make(1),
  requeues: 0,
  idempotencyKey: "a/1",
  purpose: "execute",
  rejected: null
}

/** Interrupts a request that uses `send`, and returns what the meter counted. */
const counted = Effect.fnUntraced(function* (send: ClaudeClient.ClaudeClient["Service"]["send"]) {
  const counts: meter.Meter = new Map()
  const inner = Layer.succeed(ClaudeClient.ClaudeClient, {
    billing: "standard",
    send,
    countTokens: () => Effect.succeed(0),
    model: () => Effect.die("not called")
  })
  const request = { model: "claude-sonnet-5-5", max_tokens: 1, messages: [] }
  const fiber = yield* ClaudeClient.ClaudeClient.use((client) => client.send(request, about)).pipe(
    Effect.provide(Layer.provide(meter.layer(ClaudeClient.ClaudeClient, counts), inner)),
    Effect.forkChild({ startImmediately: true })
  )
  yield* Effect.yieldNow
  yield* Fiber.interrupt(fiber)
  return [...counts.values()].map(({ requests, usage }) => [requests, usage.costUsd])
})

describe("an interrupted request", () => {
  it.effect("is counted with an unknown cost, but only after it was sent", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* counted(() => Effect.never), [])
      const leaves = (_: unknown, { onSend }: ClaudeClient.About) =>
        Effect.suspend(() => {
          onSend?.()
          return Effect.never
        })
      assert.deepStrictEqual(yield* counted(leaves), [[1, null]])
    })
  )
})

describe("rate limits", () => {
  it.effect("a request counts as waiting until it is sent or interrupted", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("5 seconds")
      const slot = yield* Deferred.make<void>()
      const waiting: meter.RateLimitedSince = new Map()
      const sent: Array<string> = []
      const paced = Layer.mock(ClaudeClient.ClaudeClient, {
        billing: "standard",
        send: (_, { onSend, spend = ClaudeClient.withoutBudget }) =>
          Effect.andThen(
            Deferred.await(slot),
            spend(() =>
              Effect.andThen(
                Effect.sync(() => onSend?.()),
                Effect.never
              )
            )
          )
      })
      const send = ClaudeClient.ClaudeClient.use((client) =>
        client.send({ model: "m", max_tokens: 1, messages: [] }, { ...about, onSend: () => void sent.push("sent") })
      ).pipe(Effect.provide(meter.layerRateLimited(ClaudeClient.ClaudeClient, waiting).pipe(Layer.provide(paced))))

      const given = yield* Effect.forkChild(send, { startImmediately: true })
      assert.strictEqual(waiting.get(taskId), 5000)
      yield* Fiber.interrupt(given)
      assert.isFalse(waiting.has(taskId))

      const fiber = yield* Effect.forkChild(send, { startImmediately: true })
      assert.isTrue(waiting.has(taskId))
      yield* Deferred.succeed(slot, undefined)
      yield* TestClock.adjust(0)
      assert.deepStrictEqual([waiting.has(taskId), sent], [false, ["sent"]])
      yield* Fiber.interrupt(fiber)
    })
  )
})
