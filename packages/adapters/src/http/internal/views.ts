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

export const cutOrNull = (text: string | null, limit: number): Text | null => (text === null ? null : cut(text, limit))

export const listedTask = (task: Tasks.Task): ListedTask => ({
  ...task,
  description: cut(task.description, limits.listedText),
  feedback: cutOrNull(task.feedback, limits.listedText)
})

export const wholeTask = (task: Tasks.Task, limit: number): Task => ({
  ...task,
  description: cut(task.description, limit),
  feedback: cutOrNull(task.feedback, limit),
  result: cutOrNull(task.result, limit)
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
