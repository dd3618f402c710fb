/** What a run will do and cost, for people. */
import type { PartEstimate, Range } from "../claude/estimate.ts"
import type { PlanReport } from "../claude/plan.ts"
import { block, type Canvas } from "./table.ts"
import { count, number, usd } from "./quantity.ts"
import { firstLine } from "./safeText.ts"
import { pad } from "./width.ts"

const margin = "  "
const linesOfPrompt = 6

/** The lines of `baton plan`. */
export const planReport = (report: PlanReport, { style }: Canvas): ReadonlyArray<string> => [
  style.bold(headline(report)),
  ...(report.prompts.length === 0 ? [] : ["", style.bold("First prompts")]),
  ...report.prompts.flatMap((prompt, index) => {
    const [first = "", ...others] = block(prompt, `${margin}   `, linesOfPrompt)
    return [`${margin}${style.dim(`${index + 1}`)}  ${first.trimStart() || "(empty)"}`, ...others]
  }),
  "",
  ...costs(report, style),
  "",
  style.dim("Nothing was written, and nothing was spent.")
]

const headline = ({ tasks }: PlanReport): string => {
  const parts = [
    `${number(tasks.new)} new`,
    ...(tasks.pending === 0 ? [] : [`${number(tasks.pending)} pending in the store`])
  ]
  const others = [
    ...(tasks.existing === 0 ? [] : [`${number(tasks.existing)} there before`]),
    ...(tasks.skipped === 0 ? [] : [`${number(tasks.skipped)} over already`])
  ]
  const beside = others.length === 0 ? "" : `; of the sources ${others.join(", ")}`
  return `${count(tasks.total, "task")} to do: ${parts.join(", ")}${beside}`
}

const costs = ({ estimate, maxCostUsd, tasks }: PlanReport, style: Canvas["style"]): ReadonlyArray<string> => {
  if (tasks.total === 0) return ["There is nothing to do, so it costs nothing."]
  if (estimate === null) {
    return ["What it costs is unknown: only --executor claude tells it beforehand."]
  }
  const rows: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
    ["Cost", ["low", "expected", "worst"]],
    ...estimate.parts.map((part) => [partName(part), cells(part.costUsd)] as const),
    ...(estimate.parts.length > 1 ? [["together", cells(estimate.costUsd)] as const] : []),
    ["with --batch", cells(estimate.batchCostUsd)]
  ]
  const labels = Math.max(...rows.map(([label]) => label.length))
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map(([, cells]) => (cells[column] ?? "").length)))
  const table = rows.map(([label, cells], index) => {
    const line = `${pad(label, labels)}${cells.map((cell, column) => `  ${pad(cell, widths[column] ?? 0, "right")}`).join("")}`
    return index === 0 ? style.bold(line) : margin.slice(2) + line
  })
  return [...table, "", ...notes(estimate, maxCostUsd)]
}

const partName = ({ model, part }: PartEstimate): string => `${part} (${firstLine(model)})`

const cells = (cost: Range | null): ReadonlyArray<string> =>
  cost === null ? ["unknown", "unknown", "unknown"] : [usd(cost.low), usd(cost.expected), usd(cost.worst)]

const notes = (estimate: NonNullable<PlanReport["estimate"]>, maxCostUsd: number | null): ReadonlyArray<string> => {
  const { answerTokens, completedTasks, inputBasis, maxAttempts, parts } = estimate
  const input = parts.reduce((sum, { inputTokens }) => sum + inputTokens.expected, 0)
  const how =
    inputBasis === "counted" ? "counted by the API on a sample" : "guessed from their length, as no API counted them"
  const answers =
    completedTasks > 0
      ? `as ${count(completedTasks, "task")} of the store had on average`
      : "which is assumed: no task of the store tells yet"
  const unpriced = parts.find(({ costUsd }) => costUsd === null)
  return [
    `Prompts: about ${count(input, "token")}, ${how}.`,
    `Expected: answers of ${count(answerTokens, "token")}, ${answers}.`,
    `Worst: every task takes ${count(maxAttempts, "attempt")}, and every answer is as long as it may be.`,
    "Calls that break off and are repeated can come on top of it.",
    ...(unpriced === undefined
      ? []
      : [
          `The price of ${firstLine(unpriced.model)} is unknown: give it with --price ${firstLine(unpriced.model)}=INPUT,OUTPUT.`
        ]),
    ...(maxCostUsd === null ? [] : [`--max-cost stops the run before it costs more than ${usd(maxCostUsd)}.`])
  ]
}
