/** Reports for a terminal and as Markdown. */
import type { Bucket, Group, Report } from "@baton/core/Report"
import { cost, number } from "../quantity.ts"
import { type Canvas, labelledLines } from "../table.ts"
import { firstLine, markdownText, reasonLine } from "../safeText.ts"
import * as Style from "../style.ts"
import { fit, pad } from "../width.ts"
import * as Figures from "./figures.ts"

const margin = "  "
const shown = 10

/** The lines of a report for a terminal. */
export const text = (report: Report, about: Figures.About, { columns, style }: Canvas): ReadonlyArray<string> => [
  style.bold(Figures.headline(report)),
  "",
  ...labelledLines(Figures.figures(report), { style, margin }),
  ...section("Failures by cause", groups(report.causes, columns, causeCount), style),
  ...section("Time per attempt", bars(report.durations?.buckets ?? [], columns, style), style),
  ...section("Models", groups(report.models, columns, attemptCount), style),
  ...section("Workers", groups(Figures.workers(report), columns, attemptCount), style),
  ...section(
    "Next steps",
    labelledLines(Figures.nextSteps(report, about), { style: { ...Style.none, dim: style.bold }, margin }),
    style
  )
]

const section = (title: string, lines: ReadonlyArray<string>, style: Style.Style): ReadonlyArray<string> =>
  lines.length === 0 ? [] : ["", style.bold(title), ...lines]

const causeCount = ({ attempts, tasks }: Group): string =>
  tasks === 0 ? `${number(attempts)} retried` : `${number(tasks)} failed`

const attemptCount = (group: Group): string =>
  `${number(group.attempts)}${group.usage === undefined ? "" : `, ${cost(group.usage)}`}`

const groups = (all: ReadonlyArray<Group>, columns: number, count: (group: Group) => string): ReadonlyArray<string> => {
  const some = all.slice(0, shown)
  const digits = Math.max(0, ...some.map((group) => count(group).length))
  const rest = all.length - some.length
  return [
    ...some.map(
      (group) => `${margin}${pad(count(group), digits, "right")}  ${fit(firstLine(group.name), columns - digits - 4)}`
    ),
    ...(rest > 0 ? [`${margin}${pad("", digits)}  and ${number(rest)} more`] : [])
  ]
}

const bars = (buckets: ReadonlyArray<Bucket>, columns: number, style: Style.Style): ReadonlyArray<string> => {
  const most = buckets.reduce((highest, { count }) => Math.max(highest, count), 1)
  const labels = buckets.map(({ from, to }) => (from === 0 ? `< ${Figures.took(to)}` : Figures.took(from)))
  const width = Math.max(0, ...labels.map(({ length }) => length))
  const cells = Math.max(10, Math.min(columns, 100) - width - 16)
  return buckets.map(({ count }, index) => {
    const length = count === 0 ? 0 : Math.max(1, Math.round((count / most) * cells))
    return `${margin}${pad(labels[index] ?? "", width, "right")}  ${style.cyan("█".repeat(length))} ${number(count)}`.trimEnd()
  })
}

/** A report as a Markdown page. */
export const markdown = (report: Report, about: Figures.About): string =>
  [
    `# ${cell(Figures.headline(report))}`,
    "",
    `*${cell(about.store)} · ${Figures.at(report.at.epochMilliseconds)}*`,
    "",
    ...table(
      ["", ""],
      Figures.figures(report).map(([label, value]) => [label, value])
    ),
    ...markdownSection("Failures by cause", ["Cause", "Tasks", "Attempts"], report.causes.map(causeRow)),
    ...markdownSection("Models", ["Model", "Attempts", "Cost"], report.models.map(groupRow)),
    ...markdownSection("Workers", ["Worker", "Attempts", "Cost"], Figures.workers(report).map(groupRow)),
    ...markdownSection("Failed tasks", ["Task", "Attempts", "Reason"], report.failed.map(failedRow))
  ]
    .join("\n")
    .concat("\n")

const causeRow = ({ attempts, name, tasks }: Group) => [name, number(tasks), number(attempts)]

const groupRow = ({ attempts, name, usage }: Group) => [name, number(attempts), usage === undefined ? "" : cost(usage)]

const failedRow = ({ attempts, description, error, id }: Report["failed"][number]) => [
  `${firstLine(description)} (${id})`,
  number(attempts),
  reasonLine(error)
]

const markdownSection = (title: string, heads: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>) =>
  rows.length === 0 ? [] : ["", `## ${title}`, "", ...table(heads, rows)]

const table = (heads: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>) => [
  line(heads),
  line(heads.map(() => "---")),
  ...rows.map((row) => line(row.map(cell)))
]

const line = (cells: ReadonlyArray<string>): string => `| ${cells.join(" | ")} |`

/** The beginning of a text, which cannot become markup or end the cell. */
const cell = (text: string): string => markdownText(firstLine(text).slice(0, 300))
