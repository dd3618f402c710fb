import * as Result from "effect/Result"
import type { Verdict } from "./verdict.ts"

/**
 * Reads a verdict out of lines, for models that cannot be held to a schema:
 *
 * ```text
 * PASSED: yes or no
 * CONFIDENCE: 0.0 to 1.0
 * FEEDBACK: brief explanation
 * ISSUES: comma-separated list of issues
 * ```
 *
 * Labels count at the start of a line, in any case and order, in Markdown's bold or list marks or without; the text before
 * them is the reasoning. A verdict is read only where there is no doubt, because a wrong one completes a task: `PASSED`
 * has to be there and say `yes` and nothing else to pass, and where there are several, as when a judge quotes what it
 * judges, all have to agree. Without a confidence that can be read it is 0.5, and with several the lowest counts.
 */
export const parse = (text: string): Result.Result<Verdict, string> => {
  const found: Record<Label, Array<string>> = { passed: [], confidence: [], feedback: [], issues: [] }
  const reasoning = [""]
  let open = reasoning
  for (const line of text.split(/\r\n|\n|\r/)) {
    const [, label, value] = labelled.exec(line) ?? []
    if (label !== undefined && value !== undefined) {
      open = found[labels[label.toLowerCase()] ?? "feedback"]
      open.push(value)
    } else {
      open.push(`${open.pop()}\n${line}`)
    }
  }
  const [first, ...others] = found.passed.map(passedOf)
  if (first === undefined) return Result.fail("it has no line that begins with PASSED:")
  if (first === "unclear" || others.includes("unclear")) return Result.fail("its line PASSED: does not say yes or no")
  if (others.some((other) => other !== first)) return Result.fail("its lines PASSED: contradict each other")
  return Result.succeed({
    reasoning: plain(reasoning.join("")),
    passed: first === "yes",
    confidence: found.confidence.length === 0 ? unsaid : found.confidence.map(confidenceOf).reduce(lower),
    feedback: plain(found.feedback.at(-1) ?? ""),
    issues: issuesOf(found.issues.at(-1) ?? "")
  })
}

type Label = "passed" | "confidence" | "feedback" | "issues"

const labels: Readonly<Record<string, Label>> = {
  passed: "passed",
  confidence: "confidence",
  feedback: "feedback",
  issues: "issues"
}

const labelled = /^[ \t*_#-]*(passed|confidence|feedback|issues)[ \t*_]*:(.*)$/i

const unsaid = 0.5

/** What stands on the label's own line; only feedback and issues go on below it. */
const ownLine = (value: string): string => plain(value.split("\n", 1)[0] ?? "")

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
  const said = ownLine(value).toLowerCase().replace(/[.!]$/, "")
  if (said === "yes" || said === "true") return "yes"
  return said === "false" || /^no(?! or )(?:$|[,.;:( ])/.test(said) ? "no" : "unclear"
}

const lower = (left: number, right: number) => Math.min(left, right)

const confidenceOf = (value: string): number => {
  const [, digits, percent] = /^(\d{1,3}(?:\.\d{1,20})?|\.\d{1,20})\s?(%?)\.?$/.exec(ownLine(value)) ?? []
  const number = digits === undefined ? unsaid : Number(digits) / (percent === "%" ? 100 : 1)
  return number <= 1 ? number : unsaid
}

const issuesOf = (value: string): ReadonlyArray<string> =>
  value
    .split(/[,\n]/)
    .map((issue) => plain(issue.trimStart().replace(/^(?:[-*•]|\d{1,3}[.)])\s/, "")))
    .filter((issue) => issue !== "" && !/^(?:none|no issues|n\/a|-)\.?$/i.test(issue))
