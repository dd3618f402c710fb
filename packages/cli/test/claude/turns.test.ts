import { ClaudeClient } from "@baton/adapters/claude"
import { Task } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as turns from "../../src/claude/turns.ts"

const taskId = Task.TaskId.make("a")
const about = { taskId, requeues: 0, idempotencyKey: "a", purpose: "execute", rejected: null } as const

describe("rate limits", () => {
  it.effect("a request counts as waiting until it is sent or interrupted", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("5 seconds")
      const turn = yield* Deferred.make<void>()
      const waiting: turns.Turns = new Map()
      const told: Array<string> = []
      const paced = Layer.mock(ClaudeClient.ClaudeClient, {
        billing: "standard",
        send: (_, { onSend }) =>
          Effect.andThen(
            Deferred.await(turn),
            Effect.andThen(
              Effect.sync(() => onSend?.()),
              Effect.never
            )
          )
      })
      const send = ClaudeClient.ClaudeClient.use((client) =>
        client.send({ model: "m", max_tokens: 1, messages: [] }, { ...about, onSend: () => void told.push("sent") })
      ).pipe(Effect.provide(turns.layer(waiting).pipe(Layer.provide(paced))))

      const given = yield* Effect.forkChild(send, { startImmediately: true })
      assert.strictEqual(waiting.get(taskId), 5000)
      yield* Fiber.interrupt(given)
      assert.isFalse(waiting.has(taskId))

      const fiber = yield* Effect.forkChild(send, { startImmediately: true })
      assert.isTrue(waiting.has(taskId))
      yield* Deferred.succeed(turn, undefined)
      yield* TestClock.adjust(0)
      assert.deepStrictEqual([waiting.has(taskId), told], [false, ["sent"]])
      yield* Fiber.interrupt(fiber)
    })
  )
})
