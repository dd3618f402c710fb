/** Reports for a terminal and as Markdown. */
import { cost, number } from "../quantity.ts"
import { type Canvas, labelledLines } from "../table.ts"
import { firstLine, markdownText, reasonLine, safeText } from "../safeText.ts"
import * as Style from "../style.ts"
import { fit, pad } from "../width.ts"
import * as Figures from "./figures.ts"
import { type Bucket, histogram } from "./figures.ts"
import type { Group, Report, TaskHistory } from "./Report.ts"

const margin = "  "
const shown = 10

/** The lines of a report for a terminal. */
export const text = (report: Report, about: Figures.About, { columns, style }: Canvas): ReadonlyArray<string> => [
  style.bold(Figures.headline(report)),
  "",
  ...labelledLines(Figures.figures(report), { style, margin }),
  ...section("Failures by cause", groups(Figures.causes(report), columns, causeCount), style),
  ...section("Time per attempt", bars(durations(report), columns, style), style),
  ...section("Models", groups(Figures.models(report), columns, attemptCount), style),
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
  `${number(group.attempts)}${group.usage === null ? "" : `, ${cost(group.usage)}`}`

const groups = (all: ReadonlyArray<Group>, columns: number, count: (group: Group) => string): ReadonlyArray<string> => {
  const some = all.slice(0, shown)
  const digits = Math.max(0, ...some.map((group) => count(group).length))
  const rest = all.length - some.length
  return [
    ...some.map(
      (group) => `${margin}${pad(count(group), digits, "right")}  ${fit(safeText(group.name), columns - digits - 4)}`
    ),
    ...(rest > 0 ? [`${margin}${pad("", digits)}  and ${number(rest)} more`] : [])
  ]
}

const durations = ({ ended, ends, starts }: Report) =>
  histogram(
    starts.flatMap((start, index) => (ended[index] === "running" ? [] : [(ends[index] ?? start) - start])),
    1
  )

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

const maxFailedTasks = 50

/** A report as a Markdown page. */
export const markdown = (report: Report, about: Figures.About): string =>
  [
    `# ${cell(Figures.headline(report))}`,
    "",
    `*${cell(about.store)} · ${Figures.at(report.now)}*`,
    "",
    ...table(
      ["", ""],
      Figures.figures(report).map(([label, value]) => [label, value])
    ),
    ...markdownSection("Failures by cause", ["Cause", "Tasks", "Attempts"], Figures.causes(report).map(causeRow)),
    ...markdownSection("Models", ["Model", "Attempts", "Cost"], Figures.models(report).map(groupRow)),
    ...markdownSection("Workers", ["Worker", "Attempts", "Cost"], Figures.workers(report).map(groupRow)),
    ...markdownSection(
      "Failed tasks",
      ["Task", "Attempts", "Reason"],
      report
        .shownHistories()
        .filter(({ status }) => status === "failed")
        .slice(0, maxFailedTasks)
        .map(failedRow)
    )
  ]
    .join("\n")
    .concat("\n")

const causeRow = ({ attempts, name, tasks }: Group) => [name, number(tasks), number(attempts)]

const groupRow = ({ attempts, name, usage }: Group) => [name, number(attempts), usage === null ? "" : cost(usage)]

const failedRow = ({ attempts, description, id }: TaskHistory) => [
  `${firstLine(description)} (${id})`,
  number(attempts.length),
  reasonLine(attempts.at(-1)?.error ?? "")
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
