import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { noTokens } from "../../Reply.ts"
import { fromMessage, Message } from "../reply.ts"
import { stated } from "../transport/failure.ts"
import { type Answer, unanswered } from "./answer.ts"

const decodeMessage = Schema.decodeUnknownOption(Message)

const decodeItem = Schema.decodeUnknownOption(
  Schema.Struct({
    custom_id: Schema.String,
    result: Schema.StructWithRest(Schema.Struct({ type: Schema.String }), [
      Schema.Record(Schema.String, Schema.Unknown)
    ])
  })
)

/** One line of a batch's results. Undefined when it cannot be read: the request then has no result. */
export const itemOf = (line: unknown): readonly [key: string, answer: Answer] | undefined => {
  const item = Option.getOrUndefined(decodeItem(line))
  return item === undefined ? undefined : [item.custom_id, answerOf(item.result)]
}

const answerOf = (result: { readonly type: string; readonly [field: string]: unknown }): Answer => {
  switch (result.type) {
    case "succeeded":
      return Option.match(decodeMessage(result.message), {
        onNone: () =>
          unanswered({
            reason: "Failed",
            type: "malformed",
            message: "The batch brought a message that cannot be read.",
            unmetered: true
          }),
        onSome: (message) => ({ _tag: "Replied", reply: fromMessage(message, { billing: "batch", requestId: null }) })
      })
    case "errored": {
      const { message, reason, requestId, type } = stated({
        status: undefined,
        body: result.error,
        headers: undefined,
        nowMillis: 0,
        tokens: noTokens
      })
      return unanswered({
        // Tried again within the attempt it would cost another day, and for no attempt at all.
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
        message: "The batch expired before the request was worked on; it cost nothing."
      })
    case "canceled":
      return unanswered({
        reason: "Failed",
        type: "canceled",
        message: "The batch was canceled before the request was worked on; it cost nothing."
      })
    default:
      return unanswered({
        reason: "Failed",
        type: result.type,
        message: `The batch brought no answer (${result.type}).`,
        unmetered: true
      })
  }
}
