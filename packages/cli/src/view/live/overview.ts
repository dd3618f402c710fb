/** The upper part of the live view: the bar, the number of tasks by state, time, cost, and limits. */
import * as Usage from "@baton/core/Usage"
import { cost, number, usd } from "../quantity.ts"
import { firstLine } from "../safeText.ts"
import type { Paint, Style } from "../style.ts"
import { pad, displayWidth, fit } from "../width.ts"
import { clock, perSecond } from "../progressLine.ts"
import type { SafetyView, View } from "./View.ts"

/** Options for drawing. */
export interface Canvas {
  readonly columns: number
  readonly style: Style
  /** Whether there is no room for labels. */
  readonly isNarrow: boolean
}

const labelCells = 7
const gap = "  "

/** The lines, the most important first. */
export const overview = (view: View, canvas: Canvas): ReadonlyArray<string> => {
  const labelled = (label: string, parts: ReadonlyArray<Part>) =>
    canvas.isNarrow
      ? line(parts, canvas.columns, gap)
      : `${canvas.style.dim(pad(label, labelCells))}${gap}${line(parts, canvas.columns - labelCells - gap.length)}`
  const usage = usageParts(view, canvas.style)
  const limits = view.safety === undefined ? [] : safety(view.safety, view, canvas.style)
  return [
    bar(view, canvas),
    labelled("tasks", tasks(view, canvas.style)),
    labelled("time", time(view, canvas.style)),
    ...(usage.length === 0 ? [] : [labelled("used", usage)]),
    ...(limits.length === 0 ? [] : [labelled("limits", limits)])
  ]
}

const statePaint = ({ state }: View, { bold, yellow }: Style): Paint =>
  state === "paused" || state === "draining" ? (text) => bold(yellow(text)) : bold

const bar = (view: View, { columns, isNarrow, style }: Canvas): string => {
  const { completed, failed, state, total } = view
  const label = statePaint(view, style)(isNarrow ? state : pad(state, labelCells))
  if (total === undefined) return `${label}${gap}${style.dim("until stopped")}`
  const ended = completed + failed
  const all = Math.max(total, ended)
  const share = `${String(all === 0 ? 0 : Math.floor((ended / all) * 100)).padStart(3)}%`
  const figures = `${share}${gap}${pad(number(ended), number(all).length, "right")}/${number(all)}`
  const cells = columns - Math.max(state.length, isNarrow ? 0 : labelCells) - figures.length - 2 * gap.length
  if (cells < 4) return `${label}${gap}${figures}`
  const red = failed === 0 ? 0 : Math.max(1, Math.floor((failed / all) * cells))
  const green = Math.min(cells - red, Math.floor((completed / Math.max(1, all)) * cells))
  const rest = cells - green - red
  return [
    label,
    style.green("█".repeat(green)) + style.red("▓".repeat(red)) + style.dim("░".repeat(rest)),
    figures
  ].join(gap)
}

const tasks = (view: View, style: Style): ReadonlyArray<Part> => {
  const { completed, failed, pending, retrying, running, total } = view
  const part = (value: number, digits: number, what: string, paint: Paint): Part => ({
    text: `${pad(number(value), digits, "right")} ${what}`,
    paint: value === 0 ? style.dim : paint
  })
  const all = number(total ?? completed).length
  return [
    part(completed, all, "completed", style.green),
    part(failed, 3, "failed", style.red),
    part(running, 3, "running", style.cyan),
    ...(retrying === undefined ? [] : [part(retrying, 3, "retrying", style.yellow)]),
    ...(total === undefined ? [] : [part(pending, all, "pending", unpainted)])
  ]
}

const time = (view: View, style: Style): ReadonlyArray<Part> => {
  const { elapsedMillis, ratePerSecond, remainingMillis, state } = view
  const hasEnd = remainingMillis !== undefined && (state === "running" || state === "waiting")
  return [
    ...(elapsedMillis === undefined ? [] : [{ text: pad(clock(elapsedMillis), 6), paint: unpainted }]),
    { text: pad(ratePerSecond > 0 ? perSecond(ratePerSecond) : "", 8), paint: unpainted },
    { text: hasEnd ? `${clock(remainingMillis)} left` : "", paint: style.bold }
  ]
}

const usageParts = ({ safety, usage }: View, style: Style): ReadonlyArray<Part> => {
  const { maxCostUsd, maxTokens } = safety?.limits ?? {}
  if (usage === undefined && maxCostUsd === undefined && maxTokens === undefined) return []
  const used = usage ?? Usage.zero
  const tokens = number(Usage.totalTokens(used))
  return [
    {
      text: maxCostUsd === undefined ? cost(used) : `${cost(used)} of ${usd(maxCostUsd)}`,
      paint: used.costUsd === null ? style.yellow : unpainted
    },
    {
      text: maxTokens === undefined ? `${tokens} tokens` : `${tokens} of ${number(maxTokens)} tokens`,
      paint: unpainted
    }
  ]
}

/** Highlights a limit that is nearly reached. */
const near = (left: number, all: number, style: Style): Paint => (left < all * 0.1 ? style.yellow : unpainted)

const safety = (safety: SafetyView, { elapsedMillis, usage }: View, style: Style): ReadonlyArray<Part> => {
  const { attempts, breaker, failuresInARow, limits } = safety
  const { maxConsecutiveFailures, maxCostUsd, maxDurationMillis, maxIterations, maxTokens } = limits
  const parts: Array<Part> = []
  const add = (text: string, paint: Paint) => parts.push({ text, paint })
  if (breaker !== undefined && breaker.state !== "closed") {
    add(`breaker ${breaker.state}: ${firstLine(breaker.reason)}`, breaker.state === "open" ? style.red : style.yellow)
  } else if (maxConsecutiveFailures !== undefined) {
    add(
      `breaker closed, ${number(failuresInARow)}/${number(maxConsecutiveFailures)} failed in a row`,
      near(maxConsecutiveFailures - failuresInARow - 1, maxConsecutiveFailures, style)
    )
  } else if (breaker !== undefined) {
    add("breaker closed", unpainted)
  }
  if (maxCostUsd !== undefined) {
    // The budget counts the upper bound of an uncertain cost as spent.
    const most = usage === undefined ? 0 : Usage.maxUsd(usage)
    const left = Math.max(0, maxCostUsd - (most ?? 0))
    if (most !== null) add(`${usd(left)} left`, near(left, maxCostUsd, style))
  }
  if (maxTokens !== undefined) {
    const left = Math.max(0, maxTokens - (usage === undefined ? 0 : Usage.totalTokens(usage)))
    add(`${number(left)} tokens left`, near(left, maxTokens, style))
  }
  if (maxDurationMillis !== undefined && elapsedMillis !== undefined) {
    const left = Math.max(0, maxDurationMillis - elapsedMillis)
    add(`ends in ${clock(left)}`, near(left, maxDurationMillis, style))
  }
  if (maxIterations !== undefined) {
    add(
      `${number(attempts)} of ${number(maxIterations)} attempts`,
      near(maxIterations - attempts, maxIterations, style)
    )
  }
  return parts
}

/** A part of a line and its colour. */
export interface Part {
  readonly text: string
  readonly paint: Paint
}

/** Text without a colour. */
export const unpainted: Paint = (text) => text

/** Joins as many parts as fit, in order. The first part is cut if it is too long. */
export const line = (parts: ReadonlyArray<Part>, columns: number, gap = "   "): string => {
  let room = columns
  const shown: Array<string> = []
  for (const { paint, text } of parts) {
    const width = displayWidth(text) + (shown.length === 0 ? 0 : gap.length)
    if (width > room && shown.length > 0) break
    shown.push(paint(fit(text, room)))
    room -= width
  }
  return shown.join(gap)
}
