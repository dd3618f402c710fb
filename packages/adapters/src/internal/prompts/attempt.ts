import type { AttemptContext } from "@baton/core/AttemptContext"
import { fence } from "./fence.ts"

/**
 * The prompt of an attempt for a model: the description alone the first time; after a rejected answer, also that answer and
 * the reason, but not the attempts before it. An attempt without an answer, because the connection broke for instance, says
 * nothing about the task, so its prompt is repeated.
 *
 * The description comes first and unchanged, so that all attempts of a task have a common prefix.
 */
export const attemptPrompt = (description: string, previous: AttemptContext["previous"]): string =>
  previous?.output === undefined || previous.output === ""
    ? description
    : retryPrompt(
        description,
        (around) => [
          "An earlier answer to this was rejected. This was the answer:",
          around("answer", previous.output ?? ""),
          "This is why it was rejected:",
          around("feedback", previous.feedback)
        ],
        previous
      )

/**
 * The prompt of an attempt for an agent. An agent without an answer may have done part of the work, so it gets the reason why
 * it was stopped.
 */
export const agentPrompt = (description: string, previous: AttemptContext["previous"]): string =>
  previous === undefined || (previous.output !== undefined && previous.output !== "")
    ? attemptPrompt(description, previous)
    : retryPrompt(
        description,
        (around) => [
          "An earlier attempt at this gave no usable answer. This is what went wrong:",
          around("feedback", previous.feedback)
        ],
        previous
      )

const retryPrompt = (
  description: string,
  shown: (around: ReturnType<typeof fence>["around"]) => ReadonlyArray<string>,
  { feedback, output }: NonNullable<AttemptContext["previous"]>
): string =>
  [
    description,
    "---",
    ...shown(fence(description, output ?? "", feedback).around),
    "Answer again, in full, and fix the mistakes. Give only the answer: its reader has not seen the earlier one."
  ].join("\n\n")
