/** The plan of a run: the object that `baton plan --json` prints, and its text. */
import * as Schema from "effect/Schema"
import { block, type Canvas } from "./table.ts"
import { count, number, usd } from "./quantity.ts"
import { firstLine } from "./safeText.ts"
import { pad } from "./width.ts"

/** The bounds and the expected value. Requests that are cut off and repeated can exceed `worst`. */
export const Range = Schema.Struct({ low: Schema.Finite, expected: Schema.Finite, worst: Schema.Finite })

export interface Range extends Schema.Schema.Type<typeof Range> {}

/** A part of a run. Costs are in USD; null if the price of the model is unknown. */
export const PartEstimate = Schema.Struct({
  part: Schema.Literals(["work", "judging"]),
  model: Schema.String,
  requests: Range,
  inputTokens: Range,
  outputTokens: Range,
  costUsd: Schema.NullOr(Range),
  /** The cost with `--batch`; null where there are no batches. */
  batchCostUsd: Schema.NullOr(Range)
})

export interface PartEstimate extends Schema.Schema.Type<typeof PartEstimate> {}

/**
 * - `counted`: the API counted a sample of the prompts
 * - `guessed`: estimated from the length of the prompts
 */
export const TokenBasis = Schema.Literals(["counted", "guessed"])

export type TokenBasis = typeof TokenBasis.Type

/** The object that `baton plan --json` prints. */
export const Plan = Schema.Struct({
  tasks: Schema.Struct({
    /** Tasks of the sources that are not in the store. */
    new: Schema.Int,
    /** Tasks of the sources that are already in the store, or repeated. */
    existing: Schema.Int,
    /** Tasks that the sources mark as finished. */
    skipped: Schema.Int,
    /** Unfinished tasks in the store. */
    pending: Schema.Int,
    /** The tasks that a run would execute: `new` and `pending`. */
    total: Schema.Int
  }),
  /** The first prompts. */
  prompts: Schema.Array(Schema.String),
  /** Null if the executor is not a model's API, because the cost is unknown then. */
  estimate: Schema.NullOr(
    Schema.Struct({
      parts: Schema.Array(PartEstimate),
      /** In USD; null if a price is unknown. */
      costUsd: Schema.NullOr(Range),
      batchCostUsd: Schema.NullOr(Range),
      maxAttempts: Schema.Int,
      /** The basis for the tokens of prompts. */
      inputBasis: TokenBasis,
      /** The number of completed tasks that the length of outputs is taken from; 0 if it is assumed. */
      completedTasks: Schema.Int,
      /** The expected length of an output. */
      answerTokens: Schema.Int,
      /** The expected number of web searches in a request, with `--web-search`. */
      webSearches: Schema.Finite
    })
  ),
  /** The value of `--max-cost`. */
  maxCostUsd: Schema.NullOr(Schema.Finite)
})

export interface Plan extends Schema.Schema.Type<typeof Plan> {}

const margin = "  "
const linesOfPrompt = 6

/** The lines of `baton plan`. */
export const planLines = (plan: Plan, { style }: Canvas): ReadonlyArray<string> => [
  style.bold(headline(plan)),
  ...(plan.prompts.length === 0 ? [] : ["", style.bold("First prompts")]),
  ...plan.prompts.flatMap((prompt, index) => {
    const [first = "", ...others] = block(prompt, `${margin}   `, linesOfPrompt)
    return [`${margin}${style.dim(`${index + 1}`)}  ${first.trimStart() || "(empty)"}`, ...others]
  }),
  "",
  ...costs(plan, style),
  "",
  style.dim("Nothing was written or spent.")
]

const headline = ({ tasks }: Plan): string => {
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

const costs = ({ estimate, maxCostUsd, tasks }: Plan, style: Canvas["style"]): ReadonlyArray<string> => {
  if (tasks.total === 0) return ["There are no tasks to run, so the run costs nothing."]
  if (estimate === null) {
    return ["The cost is unknown: Baton can only estimate it for --executor claude or openai."]
  }
  const rows: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
    ["Cost", ["low", "expected", "worst"]],
    ...estimate.parts.map((part) => [partName(part), cells(part.costUsd)] as const),
    ...(estimate.parts.length > 1 ? [["total", cells(estimate.costUsd)] as const] : []),
    ...(estimate.batchCostUsd === null && estimate.costUsd !== null
      ? []
      : [["with --batch", cells(estimate.batchCostUsd)] as const])
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

const notes = (estimate: NonNullable<Plan["estimate"]>, maxCostUsd: number | null): ReadonlyArray<string> => {
  const { answerTokens, completedTasks, inputBasis, maxAttempts, parts, webSearches } = estimate
  const input = parts.reduce((sum, { inputTokens }) => sum + inputTokens.expected, 0)
  const basis = inputBasis === "counted" ? "counted by the API on a sample" : "estimated from their length"
  const outputs =
    completedTasks > 0
      ? `the average of ${count(completedTasks, "completed task")} in the store`
      : "an assumption, because the store has no completed tasks"
  const unpriced = parts.find(({ costUsd }) => costUsd === null)
  return [
    `Prompts: about ${count(input, "token")}${webSearches > 0 ? " with the results of searches" : ""}, ${basis}.`,
    `Expected: outputs of ${count(answerTokens, "token")}, ${outputs}.`,
    `Worst: every task takes ${count(maxAttempts, "attempt")}, and every output has the maximum length.`,
    "Requests that are cut off and repeated can cost extra.",
    ...(webSearches === 0
      ? []
      : [
          `Web searches: ${number(webSearches)} per request expected, ${completedTasks > 0 ? "as in the completed tasks" : "an assumption"}; the tokens of their results are estimates.`
        ]),
    ...(unpriced === undefined
      ? []
      : [
          `The price of ${firstLine(unpriced.model)} is unknown. Set it with --price ${firstLine(unpriced.model)}=INPUT,OUTPUT.`
        ]),
    ...(maxCostUsd === null ? [] : [`--max-cost stops the run before the queue costs more than ${usd(maxCostUsd)}.`])
  ]
}
