import * as AnthropicStructuredOutput from "effect/ai/AnthropicStructuredOutput"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { Verdict } from "../../../internal/prompts/verdict.ts"
import * as verdictText from "../../../internal/prompts/verdictText.ts"
import type { MessageRequest } from "../../MessageRequest.ts"
import type { Reply } from "../../Reply.ts"

const { codec, jsonSchema } = AnthropicStructuredOutput.toCodecAnthropic(Verdict)

const decodeJson = Schema.decodeUnknownResult(Schema.fromJsonString(codec))

type OutputFormat = NonNullable<NonNullable<MessageRequest["output_config"]>["format"]>

/** The schema that the API holds the judge to. It knows fewer rules than ours, which is why the answer is decoded again. */
export const outputFormat: OutputFormat = {
  type: "json_schema",
  schema: Schema.decodeUnknownSync(Schema.JsonObject)(jsonSchema)
}

/** Why an answer is no verdict, and whether asking the same again can bring one. */
export interface NoVerdict {
  readonly reason: "Failed" | "Permanent"
  readonly message: string
}

/** What a judge's answer says. Only a whole answer counts: what was cut off may have been about to say the opposite. */
export const read = (format: "json" | "text", reply: Reply): Result.Result<Verdict, NoVerdict> => {
  switch (reply.stopReason) {
    case "end_turn":
    case "stop_sequence":
      break
    case "refusal":
      return noVerdict("Permanent", `The judge refused to look at this output${because(reply.refusal)}`)
    case "model_context_window_exceeded":
      return noVerdict("Permanent", "Task and output together are too long for the judge's model")
    case "max_tokens":
      return noVerdict(
        "Failed",
        "The judge's answer was cut off at its token limit: raise the judge's maximum of tokens"
      )
    default:
      return noVerdict("Failed", `The judge stopped in the middle (${reply.stopReason})`)
  }
  return format === "json" ? Result.mapError(decodeJson(reply.text), notJson) : readText(reply.text)
}

const readText = (text: string) =>
  Result.mapError(verdictText.parse(text), (why): NoVerdict => ({
    reason: "Failed",
    message: `The judge gave no clear verdict: ${why}.`
  }))

// The decoder's own words quote the answer, and with it the output, at any length.
const notJson = (): NoVerdict => ({
  reason: "Failed",
  message:
    'The judge\'s answer is not a verdict in JSON; for a model or gateway without structured output, use the format "text".'
})

const noVerdict = (reason: NoVerdict["reason"], sentence: string) =>
  Result.fail<NoVerdict>({ reason, message: `${sentence}.` })

const because = (refusal: string | null) => (refusal === null ? "" : `: ${refusal.replace(/\.$/, "")}`)
