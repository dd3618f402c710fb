import type { ExecutionError } from "@baton/core/ExecutionError"
import * as Duration from "effect/Duration"
import type { ModelError } from "./ModelError.ts"

/** The longest wait that the API may ask for, unless configured otherwise. */
export const defaultMaxRetryAfter = Duration.minutes(5)

/**
 * The reason and message of an error for a run in which all requests use the same model. If that model does not exist, no
 * request can be answered. If a rate limit lasts for hours, waiting within attempts would use up every attempt of every task,
 * so it pauses the queue.
 */
export const forRun = (
  { message, reason, retryAfter, status }: ModelError,
  maxRetryAfter: Duration.Duration
): Pick<ExecutionError, "reason" | "message"> => {
  if (status === 404) return { reason: "Fatal", message }
  return status === 429 && retryAfter !== undefined && Duration.isGreaterThan(retryAfter, maxRetryAfter)
    ? {
        reason: "RateLimited",
        message: `${message} The API asks to wait ${Duration.format(retryAfter)}.`
      }
    : { reason, message }
}
