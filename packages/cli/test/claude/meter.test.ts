import { ClaudeClient } from "@baton/adapters/claude"
import { Task } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import * as meter from "../../src/claude/meter.ts"

const about: ClaudeClient.About = {
  taskId: Task.TaskId.make("a"),
  requeues: 0,
  idempotencyKey: "a/1",
  purpose: "execute",
  rejected: null
}

/** What is counted for a request that is interrupted, after `send` did with it what it does. */
const counted = Effect.fnUntraced(function* (send: ClaudeClient.ClaudeClient["Service"]["send"]) {
  const counts: meter.Meter = new Map()
  const inner = Layer.succeed(ClaudeClient.ClaudeClient, {
    billing: "standard",
    send,
    countTokens: () => Effect.succeed(0),
    model: () => Effect.die("not asked")
  })
  const request = { model: "claude-sonnet-5-5", max_tokens: 1, messages: [] }
  const fiber = yield* ClaudeClient.ClaudeClient.use((client) => client.send(request, about)).pipe(
    Effect.provide(Layer.provide(meter.layer(counts), inner)),
    Effect.forkChild({ startImmediately: true })
  )
  yield* Effect.yieldNow
  yield* Fiber.interrupt(fiber)
  return [...counts.values()].map(({ requests, usage }) => [requests, usage.costUsd])
})

describe("a request that is interrupted", () => {
  it.effect("is counted, at a cost that nobody knows, once it has left, and not before", () =>
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
