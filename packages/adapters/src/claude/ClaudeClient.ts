/**
 * The client of Claude's API that executor, judge and `plan` share: one place for pacing, and one service to decorate.
 *
 * The response cache and the batches are layers that take a `ClaudeClient` and provide another one, so an executor does
 * not know whether its request was sent at once, answered from the cache, or sent with a thousand others.
 *
 * @since 0.1.0
 */
import type { TaskId } from "@baton/core/Task"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { ClaudeError } from "./ClaudeError.ts"
import type { MessageRequest } from "./MessageRequest.ts"
import type { Billing, Reply } from "./Reply.ts"

/**
 * The client service.
 *
 * @category services
 * @since 0.1.0
 */
export class ClaudeClient extends Context.Service<ClaudeClient, ClaudeClientService>()(
  "@baton/adapters/claude/ClaudeClient"
) {}

/** @since 0.1.0 */
export interface ClaudeClientService {
  /** How its calls are paid for: a budget reserves at this price. */
  readonly billing: Billing
  /** Sends one request and returns the whole answer. Never tries again by itself; interrupting it aborts the request. */
  readonly send: (request: MessageRequest, about: About) => Effect.Effect<Reply, ClaudeError>
  /** An estimate of the input tokens of a request; free of charge. */
  readonly countTokens: (request: MessageRequest) => Effect.Effect<number, ClaudeError>
  /** What the API knows of a model; fails with `Permanent` when there is none of this name. */
  readonly model: (id: string) => Effect.Effect<ModelInfo, ClaudeError>
}

/** What a request is for. */
export interface About {
  readonly taskId: TaskId
  /** How often the task was requeued: an answer from before is not served again after that. */
  readonly requeues: number
  /** The attempt's key, with a suffix where an attempt makes several requests. */
  readonly idempotencyKey: string
  readonly purpose: "execute" | "judge"
  /** An answer that was rejected already, and must not come out of the cache again. */
  readonly rejected: string | null
}

/** A model, as the API describes it. Prices are not part of it: see `Pricing`. */
export interface ModelInfo {
  readonly id: string
  readonly lifecycle: "active" | "deprecated" | "retired"
  /** The day it goes away, as `2026-11-30`. */
  readonly retiresAt: string | null
  readonly maxInputTokens: number | null
  readonly maxOutputTokens: number | null
}
