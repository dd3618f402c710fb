/**
 * One attempt of a task's ledger, for people.
 *
 * @since 0.1.0
 */
import type { Attempt } from "@baton/core/Attempt"
import * as Duration from "effect/Duration"
import { block } from "./block.ts"
import { judgesOf } from "./models.ts"
import { usage } from "./quantity.ts"
import { firstLine } from "./safeText.ts"
import * as Style from "./style.ts"
import { elapsed, moment } from "./time.ts"

const margin = "     "
const mostLines = 12

/**
 * A heading with number, outcome, time and worker; below it why it ended so, and what the executor noted.
 *
 * @category converting
 * @since 0.1.0
 */
export const attemptReport = (
  attempt: Attempt,
  options: { readonly style: Style.Style; readonly now: number }
): ReadonlyArray<string> => {
  const { style } = options
  const end = attempt.endedAt?.epochMilliseconds ?? options.now
  const took = elapsed(Duration.millis(end - attempt.startedAt.epochMilliseconds))
  const heading = [
    `${style.bold(`#${attempt.number}`)} ${Style.ofOutcome(style, attempt.outcome)(attempt.outcome.replace("_", " "))}`,
    style.dim(`${moment(attempt.startedAt)}, ${attempt.endedAt === null ? `for ${took} now` : took}`),
    style.dim(`by ${firstLine(attempt.owner)}`)
  ]
  return [
    `  ${heading.join("  ")}`,
    ...labelled("Error", attempt.error ?? "", style),
    ...verdict(attempt, style),
    ...labelled("Used", attempt.usage === null ? "" : usage(attempt.usage), style),
    ...labelled("Judging", judging(attempt), style),
    ...noted(attempt, style)
  ]
}

/** Who judged, and its part of what was used. */
const judging = ({ verification }: Attempt): string => {
  const used = verification === null || verification.usage === null ? [] : [`${usage(verification.usage)} of it`]
  return [...judgesOf(verification), ...used].join(", ")
}

/** One line beside its label, several below it, nothing when there is nothing to say. */
const labelled = (label: string, text: string, style: Style.Style): ReadonlyArray<string> => {
  const [first = "", ...others] = block(text, `${margin}  `, mostLines)
  if (others.length > 0) return [`${margin}${style.dim(`${label}:`)}`, first, ...others]
  return first === "" ? [] : [`${margin}${style.dim(`${label}:`)} ${first.trimStart()}`]
}

const verdict = ({ error, verification }: Attempt, style: Style.Style): ReadonlyArray<string> => {
  if (verification === null) return []
  const word = verification.passed ? style.green("accepted") : style.red("rejected")
  const sureness = verification.confidence === 1 ? "" : `, ${Math.round(verification.confidence * 100)}% sure`
  return [
    `${margin}${style.dim("Verdict:")} ${word}${sureness}`,
    // A rejection's feedback is the attempt's error as well.
    ...(verification.feedback === error ? [] : labelled("Feedback", verification.feedback, style)),
    ...verification.issues.flatMap((issue) => block(`- ${issue}`, `${margin}  `, mostLines))
  ]
}

/** Short values share a line; texts of several lines (the end of what a program printed, say) keep theirs, the last ones. */
const noted = ({ error, execution }: Attempt, style: Style.Style): ReadonlyArray<string> => {
  const values = Object.entries(execution?.metadata ?? {}).flatMap(([name, value]) => {
    const text = typeof value === "string" ? value.trim() : value === null ? "" : JSON.stringify(value)
    // The end of what a program printed is often its error, word for word.
    const isSaid = text === "" || (typeof value === "string" && error?.includes(text) === true)
    return isSaid ? [] : [[firstLine(name), text] as const]
  })
  const isLong = (text: string) => text.length > 100 || text.includes("\n")
  const short = values.filter(([, text]) => !isLong(text)).map(([name, text]) => `${name} ${firstLine(text)}`)
  return [
    ...labelled("Noted", short.join(", "), style),
    ...values.filter(([, text]) => isLong(text)).flatMap(([name, text]) => labelled(name, lastLines(text), style))
  ]
}

const lastLines = (text: string): string => {
  const lines = text.split("\n")
  return lines.length <= mostLines ? text : ["…", ...lines.slice(-mostLines)].join("\n")
}
