/** The plan of a run, for people. */
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
  style.dim("Nothing was written or spent.")
]

const headline = ({ tasks }: PlanReport): string => {
  const parts = [
    `${number(tasks.new)} new`,
    ...(tasks.pending === 0 ? [] : [`${number(tasks.pending)} pending in the store`])
  ]
  const others = [
    ...(tasks.existing === 0 ? [] : [`${number(tasks.existing)} already in the store`]),
    ...(tasks.skipped === 0 ? [] : [`${number(tasks.skipped)} skipped: already completed`])
  ]
  const note = others.length === 0 ? "" : ` (in the sources: ${others.join(", ")})`
  return `${count(tasks.total, "task")} to run: ${parts.join(", ")}${note}`
}

const costs = ({ estimate, maxCostUsd, tasks }: PlanReport, style: Canvas["style"]): ReadonlyArray<string> => {
  if (tasks.total === 0) return ["There are no tasks to run, so the run costs nothing."]
  if (estimate === null) {
    return ["The cost is unknown: Baton can only estimate it for --executor claude."]
  }
  const rows: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
    ["Cost", ["low", "expected", "worst"]],
    ...estimate.parts.map((part) => [partName(part), cells(part.costUsd)] as const),
    ...(estimate.parts.length > 1 ? [["total", cells(estimate.costUsd)] as const] : []),
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
  const basis = inputBasis === "counted" ? "counted by the API on a sample" : "estimated from their length"
  const outputs =
    completedTasks > 0
      ? `the average of ${count(completedTasks, "completed task")} in the store`
      : "an assumption, because the store has no completed tasks"
  const unpriced = parts.find(({ costUsd }) => costUsd === null)
  return [
    `Prompts: about ${count(input, "token")}, ${basis}.`,
    `Expected: outputs of ${count(answerTokens, "token")}, ${outputs}.`,
    `Worst: every task takes ${count(maxAttempts, "attempt")}, and every output has the maximum length.`,
    "Requests that are cut off and repeated can cost extra.",
    ...(unpriced === undefined
      ? []
      : [
          `The price of ${firstLine(unpriced.model)} is unknown. Set it with --price ${firstLine(unpriced.model)}=INPUT,OUTPUT.`
        ]),
    ...(maxCostUsd === null ? [] : [`--max-cost stops the run before it costs more than ${usd(maxCostUsd)}.`])
  ]
}
