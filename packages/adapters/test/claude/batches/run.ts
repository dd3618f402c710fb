import type { ClaudeClient, ClaudeError, MessageRequest, Reply } from "@baton/adapters/claude"
import { Task } from "@baton/core"
import { Effect, Exit, Fiber, Result, Scope } from "effect"
import { TestClock } from "effect/testing"
import { join } from "node:path"
import * as Send from "../../../src/claude/internal/batches/send.ts"
import { folder } from "../../sqlite/temporary.ts"
import * as Api from "./api.ts"

type About = Parameters<ClaudeClient.ClaudeClient["Service"]["send"]>[1]

export const request = (prompt: string): MessageRequest.MessageRequest => ({
  model: "claude-haiku-5-5",
  max_tokens: 100,
  messages: [{ role: "user", content: prompt }]
})

export const about = (id: string, options: Partial<About> = {}): About => ({
  taskId: Task.TaskId.make(id),
  requeues: 0,
  idempotencyKey: `${id}/1`,
  purpose: "execute",
  rejected: null,
  ...options
})

type Sending = Fiber.Fiber<Reply.Reply, ClaudeError>

/** One run of a program that sends batches, until it is stopped. */
export interface Run {
  /** Sends a request for a task; by default the task is named as the prompt. */
  readonly ask: (prompt: string, options?: Partial<About> & { readonly id?: string }) => Effect.Effect<Sending>
  readonly stop: Effect.Effect<void>
}

/** A journal in a temporary folder, and the API's batches in memory: both outlive the runs. */
export const fixture = Effect.fnUntraced(function* (answer?: Parameters<typeof Api.make>[0]) {
  const api = yield* Api.make(answer)
  const filename = join(yield* folder, "batches.db")
  const start = Effect.fnUntraced(function* (
    options: Partial<Send.Options> = {}
  ): Effect.fn.Return<Run, ClaudeError, Scope.Scope> {
    const scope = yield* Scope.fork(yield* Scope.Scope)
    const send = yield* Scope.provide(Send.make(api.api, { filename, ...options }), scope)
    return {
      ask: (prompt, { id = prompt, ...options } = {}) =>
        Effect.forkIn(send(request(prompt), about(id, options)), scope, { startImmediately: true }),
      stop: Scope.close(scope, Exit.void)
    }
  })
  return { ...api, filename, start }
})

/** Long enough for a batch to be created. */
export const gather = TestClock.adjust("2 seconds")

/** Long enough for the next check. */
export const poll = TestClock.adjust("90 seconds")

export const text = (sending: Sending): Effect.Effect<string, ClaudeError> =>
  Effect.map(Fiber.join(sending), ({ text }) => text)

export const texts = (sendings: ReadonlyArray<Sending>) => Effect.forEach(sendings, text)

export const failure = (sending: Sending): Effect.Effect<ClaudeError | undefined> =>
  Effect.map(Effect.result(Fiber.join(sending)), (result) => (Result.isFailure(result) ? result.failure : undefined))

export const isWaiting = (sending: Sending): boolean => sending.pollUnsafe() === undefined
