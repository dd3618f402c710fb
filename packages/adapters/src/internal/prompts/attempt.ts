import type { AttemptContext } from "@baton/core/AttemptContext"
import { fence } from "./fence.ts"

/**
 * What a model is asked in an attempt: the description alone the first time; after an answer that was not accepted, also
 * that answer and why, and nothing of the attempts before it. An attempt without an answer (the connection broke, a batch
 * expired) says nothing about the task, so the same is asked again.
 *
 * The description comes first and is left as it is, so that all attempts at a task begin with the same words.
 */
export const attemptPrompt = (description: string, previous: AttemptContext["previous"]): string =>
  previous === null || previous.output === null || previous.output === ""
    ? description
    : again(
        description,
        (around) => [
          "An earlier answer to this was not accepted. This was the answer:",
          around("answer", previous.output ?? ""),
          "This is why it was not accepted:",
          around("feedback", previous.feedback)
        ],
        previous
      )

/**
 * What an agent is asked. One that brought no answer may have done part of the work all the same, and should know why it
 * was stopped.
 */
export const agentPrompt = (description: string, previous: AttemptContext["previous"]): string =>
  previous === null || (previous.output !== null && previous.output !== "")
    ? attemptPrompt(description, previous)
    : again(
        description,
        (around) => [
          "An earlier attempt at this brought no usable answer. This is what went wrong:",
          around("feedback", previous.feedback)
        ],
        previous
      )

const again = (
  description: string,
  shown: (around: ReturnType<typeof fence>["around"]) => ReadonlyArray<string>,
  { feedback, output }: NonNullable<AttemptContext["previous"]>
): string =>
  [
    description,
    "---",
    ...shown(fence(description, output ?? "", feedback).around),
    "Answer again, in full, and put right what was wrong. Give the answer alone: whoever reads it has not seen the earlier one."
  ].join("\n\n")
