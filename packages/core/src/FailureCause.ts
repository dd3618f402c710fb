/**
 * Groups failures by their cause. Fifty failures of one kind differ in request ids, numbers and paths; their cause does not.
 *
 * @since 0.1.0
 */

/** The part of a feedback that is read; an error of several megabytes has its cause in its first or last lines. */
const maxLength = 16 * 1024

const excerptOf = (feedback: string): string =>
  feedback.length <= 2 * maxLength ? feedback : `${feedback.slice(0, maxLength)}\n${feedback.slice(-maxLength)}`

const isPythonFrame = (line: string): boolean =>
  line.includes("Traceback (most recent call last):") || /^\s+File "[^"]*", line \d+/.test(line)

const isJavaScriptFrame = (line: string): boolean => /^\s+at \S/.test(line)

/**
 * The line of a feedback that names the cause: its first line, but the error of a stack trace. Python prints the error after
 * the trace and JavaScript before it.
 *
 * @category getters
 * @since 0.1.0
 */
export const line = (feedback: string): string => {
  const lines = excerptOf(feedback).split("\n")
  const first = lines.find((line) => line.trim() !== "") ?? ""
  // What Baton says about a program, such as "The command exited with code 1: ".
  const prefix =
    /^\s*((?:[^:]{1,200}: )*?)(?=Traceback \(most)/.exec(first)?.[1] ??
    /^\s*((?:[^:]{1,100}\(last: )?The [^:]{1,200}: )/.exec(first)?.[1] ??
    ""
  lines[lines.indexOf(first)] = first.trimStart().slice(prefix.length)
  const lastFrame = lines.findLastIndex(isPythonFrame)
  const frame = lines.findIndex(isJavaScriptFrame)
  const error =
    lastFrame === -1
      ? frame === -1
        ? undefined
        : lines.slice(0, frame).findLast((line) => line.trim() !== "")
      : lines.slice(lastFrame + 1).find((line) => /^[^\s^~]/.test(line))
  if (error === undefined) return first.trim()
  return prefix + error.trim()
}

// The first group is kept: exit codes, statuses of HTTP and error numbers say what happened.
const pattern = new RegExp(
  [
    /(\b(?:exit(?:ed)?(?: with)?(?: code| status)?|code|status(?: code)?|answered|returned|HTTP(?:\/[\d.]+)?|errno|error)[ :=]{1,3}-?\d+(?![\w.-]))/,
    /((?<![\w.,-])[1-5]\d\d(?= +[A-Z{]))/,
    // UUIDs, dates with their times, URLs after the host, and paths with the line and the column.
    /\b[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}\b/,
    /\b\d{4}-\d\d-\d\d(?:[T ][\d:.]+(?:Z|[+-]\d\d:?\d\d)?)?/,
    /(?<=\bhttps?:\/\/[\w.:-]{1,253})\/[^\s"'`)\]}>]*/,
    /(?<![\w/])(?:~|\.{1,2})?\/[\w.@%+~-]+(?:\/[\w.@%+~-]*)*(?::\d+)*/,
    // Ids with a prefix (`req_011CSH`), hashes, and long words of letters and digits.
    /\b[a-z]{2,12}_(?=[A-Za-z]*\d)[A-Za-z0-9]{3,}\b/,
    /\b(?=[a-f]*\d)(?=\d*[a-f])[\da-f]{7,}\b/,
    /\b(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{16,}\b/,
    /(?<=\b(?:request|trace|id)(?:[ _-]id)?[ :=#]{1,2}["']?)(?=[A-Za-z-]*\d)[\w-]+/,
    /(?<![\w.])-?\d+(?:[.,:]\d+)*(?:ms|s|%)?(?!\w)/
  ]
    .map(({ source }) => source)
    .join("|"),
  "gi"
)

const normalise = (text: string): string =>
  text.slice(0, 500).replace(pattern, (_, status?: string, phrase?: string) => status ?? phrase ?? "…")

/**
 * The cause of a failure. Request ids, numbers, hashes, paths and times, which differ between failures with the same cause,
 * are replaced by `…`. Exit codes and the status of HTTP responses stay.
 *
 * **Example**
 *
 * ```ts
 * import { FailureCause } from "@baton/core"
 *
 * FailureCause.of("The server answered 529 [req_011CSHoEeqs5C35K2]") // "The server answered 529 […]"
 * ```
 *
 * @category getters
 * @since 0.1.0
 */
export const of = (feedback: string): string => normalise(line(feedback))

/**
 * Whether a failure has this cause. The text is the line of a feedback, a cause, or a part of one of them; upper and lower
 * case are the same.
 *
 * @category predicates
 * @since 0.1.0
 */
export const matches = (feedback: string, text: string): boolean => {
  // A line that was cut for a narrow terminal ends with the sign of the cut.
  const wanted = text.trim().replace(/…$/, "").toLowerCase()
  if (wanted === "") return false
  if (line(feedback).toLowerCase().includes(wanted)) return true
  const cause = normalise(wanted)
  return /\p{L}/u.test(cause) && of(feedback).toLowerCase().includes(cause)
}
