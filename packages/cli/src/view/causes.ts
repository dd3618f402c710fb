/** Failures grouped by their cause. */
import * as FailureCause from "@baton/core/FailureCause"
import { reasonLine, safeText, type SafeText } from "./safeText.ts"

/** Failures with one cause. */
export interface CauseGroup {
  /** The line that all of them have, or the cause without the ids, numbers and paths in which they differ. */
  readonly text: SafeText
  readonly tasks: number
}

interface Group {
  /** Undefined if the failures have different lines. */
  line: SafeText | undefined
  tasks: number
}

/** Counts failures by cause, up to a number of causes that limits memory. */
export class Causes {
  private readonly groups = new Map<string, Group>()
  private readonly maxGroups: number

  constructor(maxGroups = 1000) {
    this.maxGroups = maxGroups
  }

  add(feedback: string): void {
    const line = reasonLine(feedback)
    const cause = FailureCause.of(line)
    const group = this.groups.get(cause)
    if (group === undefined) {
      if (this.groups.size < this.maxGroups) this.groups.set(cause, { line, tasks: 1 })
      return
    }
    group.tasks++
    if (group.line !== line) group.line = undefined
  }

  /** The causes, the most frequent first. */
  ranked(): ReadonlyArray<CauseGroup> {
    return Array.from(this.groups, ([cause, { line, tasks }]) => ({ text: line ?? safeText(cause), tasks })).sort(
      (a, b) => b.tasks - a.tasks
    )
  }
}
