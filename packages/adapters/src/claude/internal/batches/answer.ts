import * as Schema from "effect/Schema"
import { ClaudeError } from "../../ClaudeError.ts"
import { noTokens, Reply } from "../../Reply.ts"

/** What became of one request of a batch, as the journal keeps it. */
export const Answer = Schema.Union([
  Schema.TaggedStruct("Replied", { reply: Reply }),
  Schema.TaggedStruct("Unanswered", {
    reason: Schema.Literals(["Failed", "Permanent", "Fatal"]),
    type: Schema.String,
    message: Schema.String,
    requestId: Schema.optionalKey(Schema.String),
    /** It may have been answered, and then it was paid for. */
    unmetered: Schema.optionalKey(Schema.Literal(true))
  })
])

export type Answer = typeof Answer.Type
export type Unanswered = Extract<Answer, { readonly _tag: "Unanswered" }>

export const unanswered = (fields: Omit<Unanswered, "_tag">): Answer => ({ _tag: "Unanswered", ...fields })

/** Only what was answered is paid for. */
export const toError = ({ _tag, unmetered, ...fields }: Unanswered): ClaudeError =>
  new ClaudeError({ ...fields, tokens: unmetered === true ? null : noTokens })

/** The same error with another meaning for the tasks; for requests that were never worked on, so that it cost nothing. */
export const blame = (error: ClaudeError, reason: ClaudeError["reason"], message = error.message): ClaudeError =>
  new ClaudeError({
    reason,
    type: error.type,
    message,
    ...(error.status === undefined ? undefined : { status: error.status }),
    ...(error.requestId === undefined ? undefined : { requestId: error.requestId }),
    ...(error.retryAfter === undefined ? undefined : { retryAfter: error.retryAfter }),
    tokens: noTokens,
    ...(error.cause === undefined ? undefined : { cause: error.cause })
  })
