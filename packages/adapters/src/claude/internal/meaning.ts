import * as Duration from "effect/Duration"
import type { ClaudeError } from "../ClaudeError.ts"

/** The longest wait that the API may ask for where nothing is said. */
export const defaultMaxRetryAfter = Duration.minutes(5)

/**
 * What an error means to a run in which all requests ask the same model. Where there is none of its name, none of them can
 * be answered; nor can they for hours once a limit is reached that long. Waiting would use up every attempt at every task,
 * so the run ends, and goes on when it is started again.
 */
export const toRun = (
  { message, reason, retryAfter, status }: ClaudeError,
  maxRetryAfter: Duration.Duration
): Pick<ClaudeError, "reason" | "message"> => {
  if (status === 404) return { reason: "Fatal", message }
  return status === 429 && retryAfter !== undefined && Duration.isGreaterThan(retryAfter, maxRetryAfter)
    ? {
        reason: "Fatal",
        message: `${message} It asks to wait ${Duration.format(retryAfter)}: run this again after that.`
      }
    : { reason, message }
}
