/** A report as a self-contained HTML file without scripts, fonts or requests. */
import type { AttemptOutcome } from "@baton/core/Attempt"
import type { Bucket, Group, Report } from "@baton/core/Report"
import * as Usage from "@baton/core/Usage"
import { cost, count, number, usage, usd } from "../quantity.ts"
import * as Figures from "./figures.ts"
import { firstLine } from "../safeText.ts"
import type { AttemptLine, Details, TaskHistory } from "./Details.ts"
import { css } from "./css.ts"

/** The page. */
export const html = (report: Report, details: Details, about: Figures.About): string =>
  [
    "<!doctype html>",
    '<html lang="en">',
    "<head>",
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    // A second barrier: even if text of a task became markup, it could not load or run anything.
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`,
    `<title>Baton: ${escape(Figures.headline(report))}</title>`,
    `<style>${css}</style>`,
    "</head>",
    "<body>",
    "<main>",
    "<header>",
    `<p class="eyebrow">Baton report · ${escape(about.store)} · ${escape(Figures.at(report.at.epochMilliseconds))}</p>`,
    `<h1>${escape(Figures.headline(report))}</h1>`,
    statusBar(report),
    "</header>",
    section("Overview", definitionList(Figures.figures(report))),
    section("Failures by cause", groupTable(report.causes, "Cause", true)),
    section("Timeline", timelineChart(report, details)),
    `<div class="pair">${section("Time per attempt", durationChart(report))}${section("Cost per task", costChart(report))}</div>`,
    section("Models", groupTable(report.models, "Model")),
    section("Workers", groupTable(Figures.workers(report), "Worker")),
    section("Tasks", histories(report, details)),
    section("Next steps", steps(Figures.nextSteps(report, about))),
    "</main>",
    "</body>",
    "</html>",
    ""
  ].join("\n")

const escapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;"
}

/** Characters that HTML does not allow, and characters that change the reading order. */
// eslint-disable-next-line no-control-regex
const forbidden = /[\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\x9F\u202A-\u202E\u2066-\u2069]/g

const escape = (text: string): string =>
  text.replace(forbidden, "").replace(/[&<>"']/g, (character) => escapes[character] ?? "")

/** A section with a heading; empty if its body is empty. */
const section = (title: string, body: string): string =>
  body === "" ? "" : `<section>\n<h2>${escape(title)}</h2>\n${body}\n</section>`

const statusBar = ({ statuses, tasks }: Report): string => {
  if (tasks === 0) return ""
  const parts = (["completed", "failed", "in_progress", "in_review", "pending", "cancelled"] as const).filter(
    (status) => statuses[status] > 0
  )
  const segments = parts.map(
    (status) =>
      `<span class="${status}" style="flex-grow:${statuses[status]}" title="${number(statuses[status])} ${words(status)}"></span>`
  )
  const legend = parts.map((status) => `<li class="${status}">${number(statuses[status])} ${words(status)}</li>`)
  return `<div class="bar" role="img" aria-label="${escape(parts.map((status) => `${statuses[status]} ${words(status)}`).join(", "))}">${segments.join("")}</div>\n<ul class="legend">${legend.join("")}</ul>`
}

const words = (name: string): string => name.replace("_", " ")

const definitionList = (entries: ReadonlyArray<readonly [string, string]>): string =>
  entries.length === 0
    ? ""
    : `<dl>${entries.map(([label, value]) => `<div><dt>${escape(label)}</dt><dd>${escape(value)}</dd></div>`).join("")}</dl>`

const groupTable = (groups: ReadonlyArray<Group>, title: string, countsTasks = false): string => {
  if (groups.length === 0) return ""
  const metered = groups.some((group) => group.usage !== undefined)
  const heads = [title, ...(countsTasks ? ["Tasks"] : []), "Attempts", ...(metered ? ["Tokens", "Cost"] : [])]
  const rows = groups.map((group) => [
    escape(firstLine(group.name)),
    ...(countsTasks ? [number(group.tasks)] : []),
    number(group.attempts),
    ...(metered
      ? group.usage === undefined
        ? ["", ""]
        : [escape(Figures.tokens(group.usage).split(":")[0] ?? ""), escape(cost(group.usage))]
      : [])
  ])
  const head = heads.map((name, index) => `<th${index === 0 ? "" : ' class="number"'}>${escape(name)}</th>`).join("")
  const body = rows
    .map(
      (row) =>
        `<tr>${row.map((cell, index) => `<td${index === 0 ? "" : ' class="number"'}>${cell}</td>`).join("")}</tr>`
    )
    .join("\n")
  return `<table><thead><tr>${head}</tr></thead><tbody>\n${body}\n</tbody></table>`
}

const width = 960
const outcomesInOrder: ReadonlyArray<AttemptOutcome> = [
  "completed",
  "retried",
  "failed",
  "lease_expired",
  "cancelled",
  "released",
  "running"
]

const timelineChart = (report: Report, details: Details): string => {
  const span = Figures.spanOf(report)
  if (span === undefined) return ""
  const chart = timeline(report, details)
  const height = chart._tag === "Bars" ? Math.max(1, chart.lanes) * 14 : 160
  const marks =
    chart._tag === "Bars"
      ? chart.bars.map(
          ({ from, lane, outcome, to }) =>
            `<rect class="${outcome}" x="${round(from * width)}" y="${lane * 14 + 1}" width="${round(Math.max(1.5, (to - from) * width - 0.5))}" height="12" rx="2"/>`
        )
      : chart.slices.flatMap((slice, index) => {
          let y = height
          return outcomesInOrder.flatMap((outcome) => {
            const size = ((slice[outcome] ?? 0) / Math.max(1, chart.most)) * height
            if (size === 0) return []
            y -= size
            const step = width / chart.slices.length
            return [
              `<rect class="${outcome}" x="${round(index * step)}" y="${round(y)}" width="${round(step - 1)}" height="${round(size)}"/>`
            ]
          })
        })
  const used = outcomesInOrder.filter((outcome) => report.outcomes[outcome] !== undefined)
  const legend = used
    .map((outcome) => `<li class="${outcome}">${number(report.outcomes[outcome] ?? 0)} ${words(outcome)}</li>`)
    .join("")
  const note =
    chart._tag === "Bars"
      ? "Each bar is an attempt from its claim to its end. Attempts in different rows overlap."
      : `The attempts at the same time, as the average of each slice of ${Figures.took((span.until - span.from) / chart.slices.length)}: at most ${number(Math.ceil(chart.most))}.`
  return [
    `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="Timeline of ${count(report.attempts, "attempt")}" preserveAspectRatio="none" style="height:${height}px">`,
    ...marks,
    "</svg>",
    `<div class="axis"><span>${escape(Figures.at(span.from))}</span><span>${escape(Figures.took(span.until - span.from))}</span><span>${escape(Figures.at(span.until))}</span></div>`,
    `<ul class="legend">${legend}</ul>`,
    `<p class="note">${escape(note)}</p>`
  ].join("\n")
}

const round = (value: number): number => Math.round(value * 10) / 10

const durationChart = ({ durations }: Report): string => barChart(durations?.buckets ?? [], Figures.took)

const costChart = ({ costs, usage }: Report): string =>
  // Omitted if all tasks are free.
  usage !== undefined && Usage.minUsd(usage) > 0 ? barChart(costs, usd) : ""

const barChart = (buckets: ReadonlyArray<Bucket>, label: (value: number) => string): string => {
  if (buckets.length === 0) return ""
  const most = buckets.reduce((highest, bucket) => Math.max(highest, bucket.count), 1)
  const rows = buckets.map(
    (bucket) =>
      `<tr><th>${bucket.from === 0 ? `under ${escape(label(bucket.to))}` : `${escape(label(bucket.from))} – ${escape(label(bucket.to))}`}</th><td><span style="width:${round((bucket.count / most) * 100)}%"></span></td><td class="number">${number(bucket.count)}</td></tr>`
  )
  return `<table class="chart"><tbody>${rows.join("")}</tbody></table>`
}

const histories = (report: Report, details: Details): string => {
  const shown = details.shownHistories()
  const rest = report.tasks - shown.length
  return [
    ...shown.map(history),
    rest <= 0
      ? ""
      : `<p class="note">${count(rest, "more task")} ${rest === 1 ? "is" : "are"} not shown. Failed tasks are listed first, then the tasks with the most attempts. <code>baton export --history</code> contains all tasks.</p>`
  ].join("\n")
}

const history = (task: TaskHistory): string => {
  const details = [
    words(task.status) + (task.status === "completed" && !task.verified ? ", unverified" : ""),
    count(task.attempts.length, "attempt"),
    ...(task.usage === undefined ? [] : [cost(task.usage)])
  ]
  return [
    "<details>",
    `<summary><span class="dot ${task.status}"></span><span class="title">${escape(task.description.split("\n")[0] ?? "")}</span><span class="details">${escape(details.join(" · "))}</span></summary>`,
    `<p class="id">${escape(task.id)}</p>`,
    `<pre>${escape(task.description)}</pre>`,
    "<ol>",
    ...task.attempts.map(attemptLine),
    "</ol>",
    ...(task.result === null ? [] : ["<h3>Result</h3>", `<pre>${escape(task.result)}</pre>`]),
    "</details>"
  ].join("\n")
}

const attemptLine = (attempt: AttemptLine): string => {
  const details = [
    Figures.at(attempt.startedAt),
    ...(attempt.endedAt === null ? ["still running"] : [Figures.took(attempt.endedAt - attempt.startedAt)]),
    ...(attempt.model === null ? [] : [attempt.model]),
    ...(attempt.usage === undefined ? [] : [usage(attempt.usage)]),
    attempt.owner
  ]
  return [
    `<li><p><span class="dot ${attempt.outcome}"></span><strong>${words(attempt.outcome)}</strong> <span class="details">${escape(details.join(" · "))}</span></p>`,
    ...(attempt.error === null ? [] : [`<pre class="error">${escape(attempt.error)}</pre>`]),
    ...(attempt.output === null || attempt.output === ""
      ? []
      : [`<details><summary>output</summary><pre>${escape(attempt.output)}</pre></details>`]),
    "</li>"
  ].join("\n")
}

const steps = (entries: ReadonlyArray<readonly [string, string]>): string =>
  entries.length === 0
    ? ""
    : `<ul class="steps">${entries.map(([step, why]) => `<li><code>${escape(step)}</code> ${escape(why)}</li>`).join("")}</ul>`

/** An attempt in a lane without overlapping attempts. `from` and `to` are fractions of the whole time, from 0 to 1. */
interface Bar {
  readonly lane: number
  readonly from: number
  readonly to: number
  readonly outcome: AttemptOutcome
}

/** How many attempts were running at the same time in one slice of the time, on average, by outcome. */
type Slice = Readonly<Partial<Record<AttemptOutcome, number>>>

/** Single attempts, or how many were running in each slice of the time if they are too many. */
type Timeline =
  | { readonly _tag: "Bars"; readonly lanes: number; readonly bars: ReadonlyArray<Bar> }
  | { readonly _tag: "Slices"; readonly most: number; readonly slices: ReadonlyArray<Slice> }

const maxBars = 1500
const maxLanes = 40
const sliceCount = 160

/** The timeline of a report. */
export const timeline = (report: Report, details: Details): Timeline => {
  const span = Figures.spanOf(report)
  if (span === undefined) return { _tag: "Bars", lanes: 0, bars: [] }
  const place = (at: number) => (at - span.from) / Math.max(1, span.until - span.from)
  if (report.attempts <= maxBars) {
    const bars = inLanes(details, place)
    const lanes = bars.reduce((most, { lane }) => Math.max(most, lane + 1), 0)
    if (lanes <= maxLanes) return { _tag: "Bars", lanes, bars }
  }
  return inSlices(details, place)
}

const inLanes = (details: Details, place: (at: number) => number): ReadonlyArray<Bar> => {
  const order = details.starts
    .map((_, index) => index)
    .sort((a, b) => (details.starts[a] ?? 0) - (details.starts[b] ?? 0))
  const free: Array<number> = []
  return order.map((index) => {
    const from = details.starts[index] ?? 0
    const to = details.ends[index] ?? from
    const found = free.findIndex((until) => until <= from)
    const lane = found < 0 ? free.length : found
    free[lane] = to
    return { lane, from: place(from), to: place(to), outcome: details.ended[index] ?? "running" }
  })
}

// Counts each attempt by the part of the slice in which it was running, because thousands can end in one slice.
const inSlices = (details: Details, place: (at: number) => number): Timeline => {
  const slices = Array.from({ length: sliceCount }, (): Partial<Record<AttemptOutcome, number>> => ({}))
  details.starts.forEach((start, index) => {
    const outcome = details.ended[index] ?? "running"
    const from = place(start) * sliceCount
    const until = place(details.ends[index] ?? start) * sliceCount
    for (let at = Math.floor(from); at < until; at++) {
      const slice = slices[at]
      if (slice === undefined) continue
      slice[outcome] = (slice[outcome] ?? 0) + Math.min(until, at + 1) - Math.max(from, at)
    }
  })
  const most = slices.reduce((highest, slice) => Math.max(highest, sum(slice)), 0)
  return { _tag: "Slices", most, slices }
}

const sum = (slice: Slice): number => Object.values(slice).reduce((total, attempts) => total + attempts, 0)
