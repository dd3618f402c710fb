/** Tasks and attempts as the API returns them. */
import type * as Attempts from "@baton/core/Attempt"
import type * as Tasks from "@baton/core/Task"
import { type Attempt, limits, type ListedTask, type Task, type Text } from "./model.ts"

/** The beginning of a text. A pair of surrogates is not divided. */
export const cut = (text: string, limit: number): Text => {
  if (text.length <= limit) return { text, length: text.length, cut: false }
  const last = text.charCodeAt(limit - 1)
  const isHighSurrogate = last >= 0xd800 && last <= 0xdbff
  return { text: text.slice(0, isHighSurrogate ? limit - 1 : limit), length: text.length, cut: true }
}

export const listedTask = ({ description, feedback, ...rest }: Tasks.Task): ListedTask => ({
  ...rest,
  description: cut(description, limits.listedText),
  ...(feedback === undefined ? undefined : { feedback: cut(feedback, limits.listedText) })
})

export const wholeTask = ({ description, feedback, result, ...rest }: Tasks.Task, limit: number): Task => ({
  ...rest,
  description: cut(description, limit),
  ...(feedback === undefined ? undefined : { feedback: cut(feedback, limit) }),
  ...(result === undefined ? undefined : { result: cut(result, limit) })
})

export const attempt = ({ error, execution, verification, ...rest }: Attempts.Attempt, limit: number): Attempt => ({
  ...rest,
  ...(execution === undefined ? undefined : { output: cut(execution.output, limit), confidence: execution.confidence }),
  ...(execution?.usage === undefined ? undefined : { executionUsage: execution.usage }),
  executionMetadata: execution?.metadata ?? {},
  ...(verification === undefined
    ? undefined
    : { verification: { ...verification, feedback: cut(verification.feedback, limit) } }),
  ...(error === undefined ? undefined : { error: cut(error, limit) })
})
