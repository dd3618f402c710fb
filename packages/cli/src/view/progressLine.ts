/** The progress of a run in one line. */
import * as Duration from "effect/Duration"
import { cost, number, elapsed } from "./quantity.ts"
import type { Paint, Style } from "./style.ts"
import { displayWidth, fit } from "./width.ts"
import type { Progress } from "./Progress.ts"

/** Other information for the line. */
export interface View {
  /** Milliseconds since the epoch. */
  readonly now: number
  /** Whether the run waits for new tasks; it then has no total. */
  readonly endless: boolean
  /** Describes what an idle run waits for. */
  readonly waiting: string | undefined
}

interface Part {
  readonly text: string
  readonly paint: Paint
  /** Parts with the highest number are dropped first if the line is too long; 0 is never dropped. */
  readonly dropOrder: number
}

const barCells = 16

/** The line for a terminal of this width. */
export const live = (progress: Progress, view: View, options: { readonly columns: number; readonly style: Style }) => {
  const { columns, style } = options
  let parts = [...bar(progress, view, style), ...figures(progress, view, style)]
  const width = () => parts.reduce((sum, part) => sum + displayWidth(part.text), 2 * (parts.length - 1))
  for (let order = Math.max(...parts.map((part) => part.dropOrder)); order > 0 && width() > columns; order--) {
    parts = parts.filter((part) => part.dropOrder !== order)
  }
  return width() > columns
    ? fit(parts.map(({ text }) => text).join("  "), columns)
    : parts.map(({ paint, text }) => paint(text)).join("  ")
}

/** The line for a log, without a limit on its length. */
export const plain = (progress: Progress, view: View, style: Style): string =>
  figures(progress, view, style)
    .map(({ text }) => text)
    .join(", ")

const bar = ({ completed, failed, total }: Progress, { endless }: View, style: Style): ReadonlyArray<Part> => {
  if (endless || total === 0) return []
  const done = Math.min(barCells, Math.floor((completed / total) * barCells))
  const dead = failed === 0 ? 0 : Math.min(barCells - done, Math.max(1, Math.floor((failed / total) * barCells)))
  return [
    {
      text: "█".repeat(done + dead) + "░".repeat(barCells - done - dead),
      paint: () =>
        style.green("█".repeat(done)) + style.red("█".repeat(dead)) + style.dim("░".repeat(barCells - done - dead)),
      dropOrder: 2
    }
  ]
}

const figures = (progress: Progress, view: View, style: Style): ReadonlyArray<Part> => {
  const { now, waiting } = view
  const { draining, failed, paused, retrying, running } = progress
  const none: Paint = (text) => text
  const parts: Array<Part> = [{ text: done(progress, view), paint: style.bold, dropOrder: 0 }]
  const add = (text: string, paint: Paint, dropOrder: number) => parts.push({ text, paint, dropOrder })
  // Tasks that are being stored are no longer running.
  const shownRunning = Math.min(running.size, progress.concurrency)
  if (shownRunning > 0) add(`${number(shownRunning)} running`, style.cyan, 0)
  if (retrying.size > 0) add(`${number(retrying.size)} retrying`, style.yellow, 0)
  if (failed > 0) add(`${number(failed)} failed`, style.red, 0)
  if (draining) add("draining", style.yellow, 0)
  else if (paused) add("paused", style.yellow, 0)
  if (waiting !== undefined) {
    add(waiting, none, 0)
    return parts
  }
  const rate = progress.ratePerSecond(now)
  if (rate > 0) add(perSecond(rate), none, 1)
  const remaining = progress.remainingMillis(now)
  if (!view.endless && !paused && !draining && remaining !== undefined) add(`ETA ${clock(remaining)}`, none, 0)
  add(clock(progress.elapsedMillis(now)), style.dim, 4)
  const { usage } = progress
  if (usage !== undefined && usage.costUsd !== 0) add(cost(usage), none, 3)
  return parts
}

const done = ({ completed, total }: Progress, { endless }: View): string =>
  endless ? `${number(completed)} done` : `${number(completed)}/${number(Math.max(total, completed))} done`

/** A rate in a unit in which it is at least one: `45/s`, `4.5/s`, `12/min`. */
export const perSecond = (rate: number): string => {
  if (rate >= 1) return `${rate < 10 ? rate.toFixed(1) : number(Math.round(rate))}/s`
  return rate * 60 >= 1 ? `${Math.round(rate * 60)}/min` : `${Math.round(rate * 3600)}/h`
}

/** A duration in whole seconds, for values that are updated continuously. */
export const clock = (millis: number): string => {
  const seconds = Math.max(0, Math.round(millis / 1000))
  return seconds < 60 ? `${seconds}s` : elapsed(Duration.seconds(seconds))
}
