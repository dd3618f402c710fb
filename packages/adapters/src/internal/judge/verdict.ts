import { Confidence } from "@baton/core/Execution"
import type { Usage } from "@baton/core/Usage"
import * as Verification from "@baton/core/Verification"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/**
 * A judge's verdict, in the order in which the judge writes it: a model that gives its reasons first does not have to defend
 * a verdict that came first.
 */
export const Verdict = Schema.Struct({
  reasoning: Schema.String.annotate({
    description: "What the task asks for, point by point, and whether the answer does it"
  }),
  passed: Schema.Boolean.annotate({ description: "Whether the answer does what the task asks for" }),
  confidence: Confidence.annotate({ description: "How sure you are of this verdict, from 0.0 to 1.0" }),
  feedback: Schema.String.annotate({
    description: "For the next attempt: what to do differently. Empty when nothing is wrong"
  }),
  issues: Schema.Array(Schema.String).annotate({ description: "Each thing that is wrong, in a few words" })
})

export interface Verdict extends Schema.Schema.Type<typeof Verdict> {}

/** A rejection always has feedback, because the next attempt gets nothing else. */
export const toVerification = (
  { confidence, feedback, issues, passed, reasoning }: Verdict,
  usage: Usage | undefined
): Verification.Verification => {
  if (passed) return Verification.pass({ confidence, feedback: feedback.trim(), issues, usage })
  const why = [feedback, issues.join("; "), reasoning].map((text) => text.trim()).find((text) => text !== "")
  return Verification.reject(why ?? "The judge did not say why.", { confidence, issues, usage })
}

/**
 * Reads a verdict from labelled lines, for models without structured output:
 *
 * ```text
 * PASSED: yes or no
 * CONFIDENCE: 0.0 to 1.0
 * FEEDBACK: brief explanation
 * ISSUES: comma-separated list of issues
 * ```
 *
 * A label counts at the start of a line, in any case and order, with or without Markdown's bold or list marks. The text
 * before the labels is the reasoning.
 *
 * A wrong pass completes a task, so a text passes only without doubt. `PASSED` must be present, must say `yes` and nothing
 * else, and all lines with this label must agree. No other text may follow it, because the judge may have quoted these lines
 * from the output before it gave its own verdict in other words. A missing confidence is 0.5; of several, the lowest counts.
 */
export const parseText = (text: string): Result.Result<Verdict, string> => {
  const { reasoning, sections } = sectionsOf(text)
  const valuesOf = (label: Label) => sections.filter((section) => section.label === label)
  const [first, ...others] = valuesOf("passed").map(({ value }) => passedOf(value))
  if (first === undefined) return Result.fail("it has no line that begins with PASSED:")
  if (first === "unclear" || others.includes("unclear")) return Result.fail("its line PASSED: does not say yes or no")
  if (others.some((other) => other !== first)) return Result.fail("its lines PASSED: contradict each other")
  const last = sections.slice(sections.findLastIndex(({ label }) => label === "passed"))
  if (first === "yes" && !last.every(isOnlyVerdict)) return Result.fail("other text follows its line PASSED:")
  const confidences = valuesOf("confidence").map(({ value }) => confidenceOf(value))
  return Result.succeed({
    reasoning: plain(reasoning.join("\n")),
    passed: first === "yes",
    confidence: confidences.length === 0 ? defaultConfidence : confidences.reduce(lower),
    feedback: plain(textOf(valuesOf("feedback").at(-1))),
    issues: issuesOf(textOf(valuesOf("issues").at(-1)))
  })
}

type Label = "passed" | "confidence" | "feedback" | "issues"

const labels: Readonly<Record<string, Label>> = {
  passed: "passed",
  confidence: "confidence",
  feedback: "feedback",
  issues: "issues"
}

/** A label, the rest of its line, and the lines up to the next label. */
interface Section {
  readonly label: Label
  readonly value: string
  readonly further: Array<string>
}

const labelled = /^[ \t*_#-]*(passed|confidence|feedback|issues)[ \t*_]*:(.*)$/i

const sectionsOf = (text: string) => {
  const reasoning: Array<string> = []
  const sections: Array<Section> = []
  let open = reasoning
  for (const line of text.split(/\r\n|\n|\r/)) {
    const [, name = "", value = ""] = labelled.exec(line) ?? []
    const label = labels[name.toLowerCase()]
    if (label === undefined) open.push(line)
    else {
      open = []
      sections.push({ label, value, further: open })
    }
  }
  return { reasoning, sections }
}

/** Whether the lines of a section belong to its label: feedback may continue up to the next label, and issues are a list. */
const isOnlyVerdict = ({ further, label }: Section, index: number, { length }: ReadonlyArray<Section>): boolean =>
  (label === "feedback" && index < length - 1) ||
  further.every((line) => line.trim() === "" || (label === "issues" && listItem.test(line.trimStart())))

const listItem = /^(?:[-*•]|\d{1,3}[.)])\s/

const textOf = (section: Section | undefined): string =>
  section === undefined ? "" : [section.value, ...section.further].join("\n")

const lower = (left: number, right: number) => Math.min(left, right)

const defaultConfidence = 0.5

/** Without the marks of bold, italic and code around it. */
const plain = (value: string): string => {
  const marks = " \t\n*_`"
  let start = 0
  let end = value.length
  while (start < end && marks.includes(value.charAt(start))) start++
  while (end > start && marks.includes(value.charAt(end - 1))) end--
  return value.slice(start, end)
}

const passedOf = (value: string): "yes" | "no" | "unclear" => {
  const said = plain(value).toLowerCase().replace(/[.!]$/, "")
  if (said === "yes" || said === "true") return "yes"
  return said === "false" || /^no(?! or )(?:$|[,.;:( ])/.test(said) ? "no" : "unclear"
}

const confidenceOf = (value: string): number => {
  const [, digits, percent] = /^(\d{1,3}(?:\.\d{1,20})?|\.\d{1,20})\s?(%?)\.?$/.exec(plain(value)) ?? []
  const number = digits === undefined ? defaultConfidence : Number(digits) / (percent === "%" ? 100 : 1)
  return number <= 1 ? number : defaultConfidence
}

const issuesOf = (value: string): ReadonlyArray<string> =>
  value
    .split(/[,\n]/)
    .map((issue) => plain(issue.trimStart().replace(listItem, "")))
    .filter((issue) => issue !== "" && !/^(?:none|no issues|n\/a|-)\.?$/i.test(issue))
