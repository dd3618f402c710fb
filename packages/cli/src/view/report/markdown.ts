/**
 * A report as Markdown, to be pasted into an issue or a wiki.
 *
 * @since 0.1.0
 */
import { cost, number } from "../quantity.ts"
import { firstLine } from "../safeText.ts"
import * as Facts from "./facts.ts"
import type { Group, Report, Story } from "./Report.ts"

const storiesTold = 50

/**
 * The page.
 *
 * @category converting
 * @since 0.1.0
 */
export const markdown = (report: Report, about: Facts.About): string =>
  [
    `# ${cell(Facts.headline(report))}`,
    "",
    `*${cell(about.store)} · ${Facts.at(report.now)}*`,
    "",
    ...table(
      ["", ""],
      Facts.facts(report).map(([label, value]) => [label, value])
    ),
    ...section("Why attempts failed", ["Cause", "Tasks", "Attempts"], Facts.causes(report).map(causeRow)),
    ...section("Models", ["Model", "Attempts", "Cost"], Facts.models(report).map(groupRow)),
    ...section("Workers", ["Worker", "Attempts", "Cost"], Facts.workers(report).map(groupRow)),
    ...section(
      "Failed tasks",
      ["Task", "Attempts", "Why"],
      report
        .told()
        .filter(({ status }) => status === "failed")
        .slice(0, storiesTold)
        .map(failedRow)
    )
  ]
    .join("\n")
    .concat("\n")

const causeRow = ({ attempts, name, tasks }: Group) => [name, number(tasks), number(attempts)]

const groupRow = ({ attempts, name, usage }: Group) => [name, number(attempts), usage === null ? "" : cost(usage)]

const failedRow = ({ attempts, description, id }: Story) => [
  `${firstLine(description)} (${id})`,
  number(attempts.length),
  firstLine(attempts.at(-1)?.error ?? "")
]

const section = (title: string, heads: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>) =>
  rows.length === 0 ? [] : ["", `## ${title}`, "", ...table(heads, rows)]

const table = (heads: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>) => [
  line(heads),
  line(heads.map(() => "---")),
  ...rows.map((row) => line(row.map(cell)))
]

const line = (cells: ReadonlyArray<string>): string => `| ${cells.join(" | ")} |`

/** Text of a task stays text: no markup, no end of the cell. */
const cell = (text: string): string =>
  firstLine(text)
    .slice(0, 300)
    .replace(/[\\`*_{}[\]<>|#~]/g, (character) => `\\${character}`)
