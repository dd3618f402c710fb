/**
 * Knows which requests wait for their turn, so that a person can be told why nothing seems to happen.
 *
 * @since 0.1.0
 */
import { ClaudeClient } from "@baton/adapters/claude"
import type { TaskId } from "@baton/core/Task"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/**
 * The tasks that wait, and since when, in milliseconds since the epoch.
 *
 * @category models
 * @since 0.1.0
 */
export type Turns = Map<TaskId, number>

/**
 * A client that notes what waits in another one.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (turns: Turns): Layer.Layer<ClaudeClient.ClaudeClient, never, ClaudeClient.ClaudeClient> =>
  Layer.effect(
    ClaudeClient.ClaudeClient,
    Effect.gen(function* () {
      const client = yield* ClaudeClient.ClaudeClient
      const clock = yield* Clock.Clock
      const send: ClaudeClient.ClaudeClientService["send"] = (request, about) =>
        Effect.suspend(() => {
          const over = () => {
            turns.delete(about.taskId)
            about.onSend?.()
          }
          turns.set(about.taskId, clock.currentTimeMillisUnsafe())
          return Effect.ensuring(
            client.send(request, { ...about, onSend: over }),
            Effect.sync(() => turns.delete(about.taskId))
          )
        })
      return { ...client, send }
    })
  )
