/**
 * Tasks as a Markdown report, to be read or pasted: a section a task, with what was asked and what came out.
 *
 * @since 0.1.0
 */
import * as Stream from "effect/Stream"
import { count, usage } from "./quantity.ts"
import { models } from "./models.ts"
import { firstLine, safeText } from "./safeText.ts"
import type { TaskRecord } from "./taskJson.ts"
import { statusWord } from "./taskTable.ts"

/**
 * The sections.
 *
 * @category streams
 * @since 0.1.0
 */
export const markdown = <E, R>(tasks: Stream.Stream<TaskRecord, E, R>): Stream.Stream<string, E, R> =>
  tasks.pipe(Stream.map(section), Stream.prepend(["# Tasks\n"]))

const section = (task: TaskRecord): string => {
  const facts = [
    statusWord(task),
    ...(task.status === "completed" ? [task.verified ? "verified" : "not verified"] : []),
    count(task.attempts, "attempt"),
    ...(task.usage === null ? [] : [usage(task.usage)]),
    ...models(task.history ?? [])
  ]
  return [
    "",
    `## ${codeSpan(firstLine(task.id))}`,
    "",
    `*${facts.join(" · ")}*`,
    "",
    quote(task.description),
    ...(task.result === null ? [] : ["", "Result:", "", fence(task.result)]),
    ...(task.feedback === null ? [] : ["", "Feedback:", "", fence(task.feedback)]),
    ""
  ].join("\n")
}

/** The description may hold Markdown of its own, which stays inside its quote. */
const quote = (text: string): string =>
  safeText(text)
    .trimEnd()
    .split("\n")
    .map((line) => `> ${line}`.trimEnd())
    .join("\n")

/** A fence longer than any run of backticks in the text, so that nothing in it ends the block. */
const fence = (text: string): string => {
  const marks = "`".repeat(Math.max(3, longestRun(text) + 1))
  return `${marks}\n${safeText(text).replace(/\n$/, "")}\n${marks}`
}

const codeSpan = (text: string): string => {
  const marks = "`".repeat(longestRun(text) + 1)
  return text.includes("`") ? `${marks} ${text} ${marks}` : marks + text + marks
}

const longestRun = (text: string): number =>
  (text.match(/`+/g) ?? []).reduce((longest, run) => Math.max(longest, run.length), 0)
