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
    Effect.provide(Layer.provide(meter.layer(counts), inner)),
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
