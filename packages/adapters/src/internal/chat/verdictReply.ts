import type { Usage } from "@baton/core/Usage"
import { VerificationError } from "@baton/core/VerificationError"
import type * as Duration from "effect/Duration"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { parseText, Verdict } from "../judge/verdict.ts"
import type { ModelError } from "./ModelError.ts"
import type { OutputFormat } from "./MessageRequest.ts"
import type { Reply } from "./Reply.ts"
import type { Dialect } from "./Dialect.ts"
import { forRun } from "./forRun.ts"

/** How a judge asks for a verdict and reads it. */
export interface VerdictForm {
  /** What the API constrains the judge to. It supports fewer rules than our schema, so the answer is decoded again. */
  readonly outputFormat: OutputFormat
  /** The verdict in a judge's reply. Only a complete reply counts: the missing part of another could say the opposite. */
  readonly read: (format: "json" | "text", reply: Reply) => Result.Result<Verdict, NoVerdict>
}

export const makeForm = ({ toCodec }: Dialect): VerdictForm => {
  const { codec, jsonSchema } = toCodec(Verdict)
  const decodeJson = Schema.decodeUnknownResult(Schema.fromJsonString(codec))
  return {
    outputFormat: { type: "json_schema", schema: Schema.decodeUnknownSync(Schema.JsonObject)(jsonSchema) },
    read: (format, reply) =>
      Result.flatMap(textOf(reply), (text) =>
        format === "json" ? Result.mapError(decodeJson(text), notJson) : readText(text)
      )
  }
}

/** Why a reply contains no verdict. The reason says whether repeating the request can help. */
export interface NoVerdict {
  readonly reason: "Failed" | "Permanent"
  readonly message: string
}

/** The text of a complete reply. */
const textOf = (reply: Reply): Result.Result<string, NoVerdict> => {
  switch (reply.stopReason) {
    case "end_turn":
    case "stop_sequence":
      return Result.succeed(reply.text)
    case "refusal":
      return noVerdict("Permanent", `The judge refused to judge this output${because(reply.refusal)}`)
    case "model_context_window_exceeded":
      return noVerdict("Permanent", "The task and the output together exceed the context window of the judge's model")
    case "max_tokens":
      return noVerdict(
        "Failed",
        "The judge's answer was cut off at its token limit: raise the judge's maximum of tokens"
      )
    default:
      return noVerdict("Failed", `The judge stopped in the middle (${reply.stopReason})`)
  }
}

const readText = (text: string) =>
  Result.mapError(parseText(text), (why): NoVerdict => ({
    reason: "Failed",
    message: `The judge gave no clear verdict: ${why}.`
  }))

// The decoder's message quotes the answer, and with it the output, at any length.
const notJson = (): NoVerdict => ({
  reason: "Failed",
  message:
    'The judge\'s answer is not a verdict in JSON: for a model or gateway without structured output, use the format "text".'
})

const noVerdict = (reason: NoVerdict["reason"], sentence: string) =>
  Result.fail<NoVerdict>({ reason, message: `${sentence}.` })

const because = (refusal: string | null) => (refusal === null ? "" : `: ${refusal.replace(/\.$/, "")}`)

/** The error for a reply without a verdict, which was paid for. */
export const toVerificationError = ({ message, reason }: NoVerdict, usage: Usage | undefined) =>
  new VerificationError({ reason, message, ...(usage === undefined ? undefined : { usage }) })

/** The error for a request of the judge without a reply. */
export const fromError = (error: ModelError, maxRetryAfter: Duration.Duration) => {
  const { message, reason } = forRun(error, maxRetryAfter)
  return new VerificationError({
    reason,
    message: `The judge could not be reached: ${message}`,
    ...(error.retryAfter === undefined ? undefined : { retryAfter: error.retryAfter }),
    ...(error.usage === undefined ? undefined : { usage: error.usage }),
    cause: error
  })
}
