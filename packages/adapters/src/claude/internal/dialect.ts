import * as AnthropicStructuredOutput from "effect/ai/AnthropicStructuredOutput"
import type { Dialect } from "../../internal/chat/Dialect.ts"

export const dialect: Dialect = {
  who: "Claude",
  provider: "anthropic",
  marksCache: true,
  toCodec: AnthropicStructuredOutput.toCodecAnthropic
}
