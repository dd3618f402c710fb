/** The parts of a client that executors and judges use, for any API. */
import type { LeaseToken } from "@baton/core/Attempt"
import type { Hold } from "@baton/core/Safety"
import type { SafetyStop } from "@baton/core/SafetyStop"
import type { TaskId } from "@baton/core/Task"
import * as Usage from "@baton/core/Usage"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import type { MessageRequest } from "./MessageRequest.ts"
import type { ModelError } from "./ModelError.ts"
import type * as Pacing from "./Pacing.ts"
import type { Billing, Reply } from "./Reply.ts"

/** The response headers; the web's `Headers` and similar types. */
export interface Headers {
  readonly get: (name: string) => string | null
}

/** A client of a model's API. */
export interface ClientService {
  /** How its requests are billed: a budget reserves at this price. */
  readonly billing: Billing
  /**
   * Sends one request with `about.spend` and returns the whole answer. It never retries; interrupting it aborts the request.
   */
  readonly send: (request: MessageRequest, about: About) => Effect.Effect<Reply, ModelError | SafetyStop>
  /** Whether a request is in a batch, or has an answer that was not delivered: then nothing is to be reserved for it. */
  readonly isInBatch?: ((request: MessageRequest, about: About) => Effect.Effect<boolean, ModelError>) | undefined
  /** An estimate of the input tokens of a request; free of charge. */
  readonly countTokens: (request: MessageRequest) => Effect.Effect<number, ModelError>
  /** What the API knows about a model; fails with `Permanent` for an unknown model. */
  readonly model: (id: string) => Effect.Effect<ModelInfo, ModelError>
}

/** The options that all clients have in common. */
export interface ClientOptions {
  /** How long the server may send nothing, not even a ping, once its answer has begun. Default 90 seconds; at most 5 minutes. */
  readonly idleTimeout?: Duration.Input | undefined
  /** How long a whole request may take, by purpose, not counting the wait for its turn. Default no limit. */
  readonly requestTimeout?: { readonly [purpose in About["purpose"]]?: Duration.Input } | undefined
  /** Limits to keep in addition to those that the server states. */
  readonly pacing?: Pacing.Options | undefined
}

/** Limits how long requests take, by purpose. */
export const within =
  ({ requestTimeout }: ClientOptions, tookLongerThan: (duration: string) => ModelError) =>
  (
    purpose: About["purpose"]
  ): (<A, R>(request: Effect.Effect<A, ModelError, R>) => Effect.Effect<A, ModelError, R>) => {
    const limit = requestTimeout?.[purpose]
    if (limit === undefined) return identity
    const duration = Duration.fromInputUnsafe(limit)
    const orElse = () => Effect.fail(tookLongerThan(Duration.format(duration)))
    return Effect.timeoutOrElse({ duration, orElse })
  }

/** The default of `idleTimeout`. */
export const defaultIdleTimeout = Duration.seconds(90)

/** The context of a request. */
export interface About {
  readonly taskId: TaskId
  readonly queue: string
  /** The lease of the attempt. */
  readonly leaseToken: LeaseToken
  /**
   * Reserves what the request can cost, and sends it. Every client has to send its requests with it, after all other waits:
   * what a process has reserved when it is killed counts as spent. Default: there is no budget.
   */
  readonly spend?: Spend | undefined
  /** Nothing is reserved for the request, because it is in a batch. If it turns out not to be, it fails. */
  readonly isResumed?: boolean | undefined
  /** One request is sent for all tasks with the same one. */
  readonly isShared?: boolean | undefined
  /** How often the task was requeued: an answer from before a requeue is not served again. */
  readonly requeues: number
  /** The attempt's key, with a suffix where an attempt makes several requests. */
  readonly idempotencyKey: string
  readonly purpose: "execute" | "judge"
  /** The answer that was rejected, and must not be served from the cache again. */
  readonly rejected: string | null
  /**
   * Called when the request is sent or becomes part of a batch. Until then it waits for its turn, and interrupting it costs
   * nothing. Every client has to call it.
   */
  readonly onSend?: (() => void) | undefined
  /**
   * Called when the answer begins: from then on, other requests can read the common prefix from the prompt cache. A
   * batch does not call it.
   */
  readonly onStart?: (() => void) | undefined
  /** Called with the text of the answer so far, as it arrives. A batch and a cache do not call it. */
  readonly onText?: ((text: string) => void) | undefined
}

/**
 * What the budgets grant for a request.
 *
 * @category models
 * @since 0.2.0
 */
export interface Grant {
  /** The `max_tokens` that the request has to keep to; undefined: its own. */
  readonly maxTokens?: number | undefined
  /** The reservation in the budget of the queue. A batch moves it to the journal. */
  readonly hold?: Hold | undefined
}

/**
 * Reserves what a request can cost, waits until the budgets have it, and calls `send`. If that returns null, because the request
 * has to wait for something else first, nothing was sent, and the reservation is given back.
 *
 * @category models
 * @since 0.2.0
 */
export type Spend = <A extends Reply | null>(
  send: (grant: Grant) => Effect.Effect<A, ModelError>
) => Effect.Effect<A, ModelError | SafetyStop>

/**
 * Sends a request without a budget.
 *
 * @category running
 * @since 0.2.0
 */
export const withoutBudget: Spend = (send) => send({})

/**
 * The request, with the `max_tokens` that it was granted.
 *
 * @category combinators
 * @since 0.2.0
 */
export const granted = (request: MessageRequest, { maxTokens }: Grant): MessageRequest =>
  maxTokens === undefined || maxTokens === request.max_tokens ? request : { ...request, max_tokens: maxTokens }

/** A model, as the API describes it. It does not state prices: see `Pricing`. */
export interface ModelInfo {
  readonly id: string
  readonly lifecycle: "active" | "deprecated" | "retired"
  /** The day on which it is retired, as `2026-11-30`. */
  readonly retiresAt: string | null
  readonly maxInputTokens: number | null
  readonly maxOutputTokens: number | null
}

/**
 * The usage of a request, from its exit; undefined when it is unknown, because the request was cut off after it was sent.
 *
 * @category getters
 * @since 0.1.0
 */
export const usageOf = (exit: Exit.Exit<Reply, ModelError | SafetyStop>): Usage.Usage | undefined => {
  if (Exit.isSuccess(exit)) return exit.value.usage
  const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
  // A budget refused it.
  if (error?._tag === "SafetyStop") return Usage.zero
  return error?.usage
}
