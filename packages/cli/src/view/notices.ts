/** The permanent lines about events of a run. */
import type { Event } from "@baton/core/Event"
import type { TaskId } from "@baton/core/Task"
import { count } from "./quantity.ts"
import { pauseLines } from "./pauses.ts"
import { firstLine, reasonLine, safeText } from "./safeText.ts"
import type { Paint, Style } from "./style.ts"
import { fit } from "./width.ts"
import type { Progress } from "./Progress.ts"

/** A line of text and its mark. */
export interface Notice {
  readonly mark: "failed" | "attention" | "fine"
  readonly text: string
}

/** Limits lines that are not written to a terminal. */
const maxLength = 500

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
  return `${paint(options.style)(sign)} ${fit(safeText(text), Math.min(options.columns, maxLength) - 2)}`
}

/** The state that the text of a notice depends on. */
export interface NoticeContext {
  /** Whether keys control the run. */
  readonly hasKeys: boolean
  /** Whether a signal was received, so that the next one exits immediately. */
  readonly isSignalled: boolean
}

/** The notice for an event, before `progress` is updated with it. Most events have none. */
export const fromEvent = (event: Event, progress: Progress, context: NoticeContext): Notice | undefined => {
  switch (event._tag) {
    case "TaskFailed":
      return failed(
        `${named(event.taskId, progress)} failed after ${count(event.attempt, "attempt")}: ${reasonLine(event.feedback)}`
      )
    case "TaskCancelled":
      return attention(`${firstLine(event.taskId)} was cancelled`)
    case "LeaseLost":
      return attention(`${firstLine(event.taskId)} was taken over by another worker`)
    case "LeaseReclaimed":
      return event.status === "failed"
        ? failed(`${firstLine(event.taskId)} failed: its worker (${firstLine(event.owner)}) stopped responding`)
        : attention(`a worker (${firstLine(event.owner)}) stopped responding; its tasks are taken over`)
    case "CircuitOpened":
      return attention(`no new attempts: ${firstLine(event.reason)}`)
    case "CircuitHalfOpened":
      return attention(`trying one attempt: ${firstLine(event.reason)}`)
    case "CircuitClosed":
      return fine(`attempts continue: ${firstLine(event.reason)}`)
    case "StoreUnavailable":
      return attention(`the store is unavailable: ${firstLine(event.reason)}`)
    case "QueuePaused":
      return attention(...pauseLines([event], event.at.epochMilliseconds))
    case "QueueResumed":
      return fine(`${firstLine(event.queue)} resumes`)
    case "ConcurrencyChanged":
      return fine(`up to ${count(event.concurrency, "task")} at a time from now on`)
    case "Paused":
      return attention(context.hasKeys ? "paused; press r to resume" : "paused; run `baton resume` to resume")
    case "Resumed":
      return fine("resumed")
    case "Draining":
      return attention(
        `${firstLine(event.reason).replace(/\.$/, "")}: ${count(progress.running.size, "task")} can finish; Ctrl-C ${context.isSignalled ? "again" : "twice"} exits at once`
      )
    default:
      return undefined
  }
}

/** Adds the description, because an id made from the content means nothing to a person. */
const named = (id: TaskId, { running }: Progress): string => {
  const description = running.get(id)?.description
  return description === undefined ? firstLine(id) : `${firstLine(id)} (${fit(firstLine(description), 40)})`
}

const failed = (text: string): Notice => ({ mark: "failed", text })
const attention = (text = ""): Notice => ({ mark: "attention", text })
const fine = (text: string): Notice => ({ mark: "fine", text })
