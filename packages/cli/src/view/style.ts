/** Colours and weights for text on a terminal. */
import type { AttemptOutcome } from "@baton/core/Attempt"
import type { TaskStatus } from "@baton/core/Task"

/** Adds colour or weight to text. */
export type Paint = (text: string) => string

/** The colours and weights that Baton uses. */
export interface Style {
  readonly bold: Paint
  readonly dim: Paint
  readonly red: Paint
  readonly green: Paint
  readonly yellow: Paint
  readonly cyan: Paint
}

const sgr =
  (on: number, off: number): Paint =>
  (text) =>
    text === "" ? text : `\u001B[${on}m${text}\u001B[${off}m`

const plain: Paint = (text) => text

/** Without colours and weights, for pipes, files and `NO_COLOR`. */
export const none: Style = { bold: plain, dim: plain, red: plain, green: plain, yellow: plain, cyan: plain }

/** Standard terminal colours, which follow the user's palette. */
export const colored: Style = {
  bold: sgr(1, 22),
  dim: sgr(2, 22),
  red: sgr(31, 39),
  green: sgr(32, 39),
  yellow: sgr(33, 39),
  cyan: sgr(36, 39)
}

/** The colour of a status. */
export const ofStatus = (style: Style, status: TaskStatus): Paint => {
  switch (status) {
    case "pending":
      return plain
    case "in_progress":
      return style.cyan
    case "in_review":
      return style.yellow
    case "completed":
      return style.green
    case "failed":
      return style.red
    case "cancelled":
      return style.dim
  }
}

/** The colour of an attempt's outcome. */
export const ofOutcome = (style: Style, outcome: AttemptOutcome): Paint => {
  switch (outcome) {
    case "running":
      return style.cyan
    case "completed":
      return style.green
    case "retried":
    case "lease_expired":
    case "in_review":
      return style.yellow
    case "failed":
      return style.red
    case "claimed":
    case "released":
    case "cancelled":
      return style.dim
  }
}
