import * as Usage from "@baton/core/Usage"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { ClaudeError } from "../../ClaudeError.ts"
import * as ApiErrors from "../apiErrors.ts"
import { ApiMessage } from "../apiMessage.ts"

/** The result of one request of a batch, as the journal keeps it. */
export const BatchResult = Schema.Union([
  Schema.TaggedStruct("Replied", { message: ApiMessage }),
  Schema.TaggedStruct("Unanswered", {
    reason: Schema.Literals(["Failed", "Transient", "Permanent", "Fatal"]),
    type: Schema.String,
    message: Schema.String,
    requestId: Schema.optionalKey(Schema.String),
    /** The request may have been answered, and is billed if it was. */
    unmetered: Schema.optionalKey(Schema.Literal(true))
  })
])

export type BatchResult = typeof BatchResult.Type
type Unanswered = Extract<BatchResult, { readonly _tag: "Unanswered" }>

export const unanswered = (fields: Omit<Unanswered, "_tag">): BatchResult => ({ _tag: "Unanswered", ...fields })

/** Only answered requests are billed. */
export const toError = ({ _tag, unmetered, ...fields }: Unanswered): ClaudeError =>
  new ClaudeError({ ...fields, usage: unmetered === true ? undefined : Usage.zero })

/** The same error with another reason, for requests that were never processed and so cost nothing. */
export const withReason = (error: ClaudeError, reason: ClaudeError["reason"], message = error.message): ClaudeError =>
  error.with({ reason, message, usage: Usage.zero })

const decodeMessage = Schema.decodeUnknownOption(ApiMessage)

const decodeLine = Schema.decodeUnknownOption(
  Schema.Struct({
    custom_id: Schema.String,
    result: Schema.StructWithRest(Schema.Struct({ type: Schema.String }), [
      Schema.Record(Schema.String, Schema.Unknown)
    ])
  })
)

/** One line of a batch's results. Undefined when it cannot be read: the request then has no result. */
export const resultOf = (line: unknown): readonly [key: string, result: BatchResult] | undefined => {
  const decoded = Option.getOrUndefined(decodeLine(line))
  return decoded === undefined ? undefined : [decoded.custom_id, fromApi(decoded.result)]
}

const fromApi = (result: { readonly type: string; readonly [field: string]: unknown }): BatchResult => {
  switch (result.type) {
    case "succeeded":
      return Option.match(decodeMessage(result.message), {
        onNone: () =>
          unanswered({
            reason: "Failed",
            type: "malformed",
            message: "The batch returned a message that cannot be read.",
            unmetered: true
          }),
        onSome: (message) => ({ _tag: "Replied", message })
      })
    case "errored": {
      const { message, reason, requestId, type } = ApiErrors.fromApi({
        status: undefined,
        body: result.error,
        headers: undefined,
        nowMillis: 0,
        usage: Usage.zero
      })
      return unanswered({
        // A retry within the attempt would take another day and spend no attempt.
        reason: reason === "Permanent" || reason === "Fatal" ? reason : "Failed",
        type,
        message,
        ...(requestId === undefined ? undefined : { requestId })
      })
    }
    case "expired":
      return unanswered({
        reason: "Failed",
        type: "expired",
        message: "The batch expired before it processed the request, which cost nothing."
      })
    case "canceled":
      // The request is sent again in the same attempt.
      return unanswered({
        reason: "Transient",
        type: "canceled",
        message: "The batch was canceled before it processed the request, which cost nothing."
      })
    default:
      return unanswered({
        reason: "Failed",
        type: result.type,
        message: `The batch returned no answer (${result.type}).`,
        unmetered: true
      })
  }
}
