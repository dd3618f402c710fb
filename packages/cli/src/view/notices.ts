/** What is worth a line that stays, while a run goes on. */
import type { Event } from "@baton/core/Event"
import type { TaskId } from "@baton/core/Task"
import { count } from "./quantity.ts"
import { firstLine } from "./safeText.ts"
import type { Paint, Style } from "./style.ts"
import { fit } from "./width.ts"
import type { Progress } from "./Progress.ts"

/** A mark that says at a glance how things stand, and a line of text. */
export interface Notice {
  readonly mark: "failed" | "attention" | "fine"
  readonly text: string
}

/** Where nothing limits a line, a feedback of kilobytes still has no place in it. */
const longest = 500

const marks: Readonly<Record<Notice["mark"], readonly [sign: string, paint: (style: Style) => Paint]>> = {
  failed: ["✗", ({ red }) => red],
  attention: ["!", ({ yellow }) => yellow],
  fine: ["✓", ({ green }) => green]
}

/** A notice as a line. */
export const toLine = (
  { mark, text }: Notice,
  options: { readonly style: Style; readonly columns: number }
): string => {
  const [sign, paint] = marks[mark]
  return `${paint(options.style)(sign)} ${fit(text, Math.min(options.columns, longest) - 2)}`
}

/** Who reads a notice, and what can be done about it. */
export interface Reader {
  /** Whether keys steer the run. */
  readonly hasKeys: boolean
  /** Whether a signal has come: the next one ends the process at once. */
  readonly isSignalled: boolean
}

/** The notice for an event that `progress` has not taken in yet; undefined for most. */
export const fromEvent = (event: Event, progress: Progress, reader: Reader): Notice | undefined => {
  switch (event._tag) {
    case "TaskFailed":
      return failed(
        `${named(event.taskId, progress)} failed after ${count(event.attempt, "attempt")}: ${firstLine(event.feedback)}`
      )
    case "TaskCancelled":
      return attention(`${firstLine(event.taskId)} was cancelled`)
    case "LeaseLost":
      return attention(`${firstLine(event.taskId)} was taken over by another worker`)
    case "LeaseReclaimed":
      return event.status === "failed"
        ? failed(`${firstLine(event.taskId)} failed: its worker stopped answering (${firstLine(event.owner)})`)
        : attention(`the tasks of a worker are taken over: it stopped answering (${firstLine(event.owner)})`)
    case "CircuitOpened":
      return attention(`no new attempts for now: ${firstLine(event.reason)}`)
    case "CircuitHalfOpened":
      return attention(`trying one attempt: ${firstLine(event.reason)}`)
    case "CircuitClosed":
      return fine(`going on: ${firstLine(event.reason)}`)
    case "StoreUnavailable":
      return attention(`the store does not answer: ${firstLine(event.reason)}`)
    case "Paused":
      return attention(reader.hasKeys ? "paused; r goes on" : "paused; `baton resume` goes on")
    case "Resumed":
      return fine("resumed")
    case "Draining":
      return attention(
        `${firstLine(event.reason).replace(/\.$/, "")}: ${count(progress.running.size, "task")} may finish; Ctrl-C ${reader.isSignalled ? "again" : "twice"} ends at once`
      )
    default:
      return undefined
  }
}

/** An id that was made from a task's content says nothing to a person. */
const named = (id: TaskId, { running }: Progress): string => {
  const description = running.get(id)?.description
  return description === undefined ? firstLine(id) : `${firstLine(id)} (${fit(firstLine(description), 40)})`
}

const failed = (text: string): Notice => ({ mark: "failed", text })
const attention = (text: string): Notice => ({ mark: "attention", text })
const fine = (text: string): Notice => ({ mark: "fine", text })
