import type { Usage } from "@baton/core/Usage"
import { VerificationError } from "@baton/core/VerificationError"
import type { ClaudeError } from "../../ClaudeError.ts"
import type { NoVerdict } from "./reading.ts"

/** What an answer that is no verdict means to the run. It was paid for all the same. */
export const noVerdict = ({ message, reason }: NoVerdict, usage: Usage | null) =>
  new VerificationError({ reason, message, ...(usage === null ? undefined : { usage }) })

/** What a request of the judge that brought no answer means to the run. */
export const unsent = (error: ClaudeError, usage: Usage | null) =>
  new VerificationError({
    reason: reasonOf(error),
    message: `The judge could not be asked: ${error.message}`,
    ...(error.retryAfter === undefined ? undefined : { retryAfter: error.retryAfter }),
    ...(usage === null ? undefined : { usage }),
    cause: error
  })

// All outputs are shown to the same model: when there is none of its name, none of them can be judged.
const reasonOf = ({ reason, status }: ClaudeError): VerificationError["reason"] => (status === 404 ? "Fatal" : reason)
