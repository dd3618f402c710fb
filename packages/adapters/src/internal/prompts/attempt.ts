import type { AttemptContext } from "@baton/core/AttemptContext"
import { fence } from "./fence.ts"

/**
 * What a model is asked in an attempt: the description alone the first time; after that also what the last attempt
 * brought out and why it was not accepted, and nothing of the attempts before it.
 *
 * The description comes first and is left as it is, so that all attempts at a task begin with the same words.
 */
export const attemptPrompt = (description: string, previous: AttemptContext["previous"]): string => {
  if (previous === null) return description
  const { output, feedback } = previous
  const { around } = fence(description, output ?? "", feedback)
  const shown =
    output === null || output === ""
      ? ["An earlier attempt at this brought no usable answer. This is what went wrong:", around("feedback", feedback)]
      : [
          "An earlier answer to this was not accepted. This was the answer:",
          around("answer", output),
          "This is why it was not accepted:",
          around("feedback", feedback)
        ]
  return [
    description,
    "---",
    ...shown,
    "Answer again, in full, and put right what was wrong. Give the answer alone: whoever reads it has not seen the earlier one."
  ].join("\n\n")
}
