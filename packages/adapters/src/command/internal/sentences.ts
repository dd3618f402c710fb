import * as Duration from "effect/Duration"
import type { Ended, Options } from "../Program.ts"

/** How a program ended, without a full stop: what it printed may follow. */
export const exitSentence = (
  subject: string,
  options: Pick<Options, "idleTimeout" | "timeout">,
  ended: Ended
): string => {
  switch (ended.by) {
    case "timeout":
      return `${subject} took longer than ${format(options.timeout)} and was stopped`
    case "idleTimeout":
      return `${subject} printed nothing for ${format(options.idleTimeout)} and was stopped`
    default:
      return ended.signal === null
        ? `${subject} exited with code ${ended.exitCode}${hints.get(ended.exitCode) ?? ""}`
        : `${subject} was killed by ${ended.signal}`
  }
}

/** What a program printed last, as the end of a sentence about it. */
export const lastLines = (printed: string): string => {
  const text = printed.trim()
  return text === "" ? "" : `: ${end(text.split("\n").slice(-10).join("\n"))}`
}

// A word that is cut in two is left out: half a secret is no longer known as one.
const end = (text: string): string =>
  text.length <= 2048
    ? text
    : text
        .slice(-2048)
        .replace(/^[\w.~+/=-]+/, "")
        .toWellFormed()

// What shells, `env`, `nice` and the like mean by these.
const hints = new Map<number | null, string>([
  [126, " (not executable)"],
  [127, " (not found)"]
])

const format = (input: Duration.Input | undefined) => Duration.format(Duration.fromInputUnsafe(input ?? 0))
