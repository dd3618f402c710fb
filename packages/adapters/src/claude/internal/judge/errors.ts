import type { Usage } from "@baton/core/Usage"
import { VerificationError } from "@baton/core/VerificationError"
import type * as Duration from "effect/Duration"
import type { ClaudeError } from "../../ClaudeError.ts"
import { toRun } from "../meaning.ts"
import type { NoVerdict } from "./reading.ts"

/** What an answer that is no verdict means to the run. It was paid for all the same. */
export const noVerdict = ({ message, reason }: NoVerdict, usage: Usage | null) =>
  new VerificationError({ reason, message, ...(usage === null ? undefined : { usage }) })

/** What a request of the judge that brought no answer means to the run. */
export const unsent = (error: ClaudeError, usage: Usage | null, maxRetryAfter: Duration.Duration) => {
  const { message, reason } = toRun(error, maxRetryAfter)
  return new VerificationError({
    reason,
    message: `The judge could not be asked: ${message}`,
    ...(error.retryAfter === undefined ? undefined : { retryAfter: error.retryAfter }),
    ...(usage === null ? undefined : { usage }),
    cause: error
  })
}
