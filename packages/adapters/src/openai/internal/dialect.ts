import * as OpenAiStructuredOutput from "effect/ai/OpenAiStructuredOutput"
import type { Dialect } from "../../internal/chat/Dialect.ts"

export const dialect: Dialect = {
  who: "The model",
  provider: "openai",
  // These servers cache prompts by themselves.
  marksCache: false,
  toCodec: OpenAiStructuredOutput.toCodecOpenAI
}
