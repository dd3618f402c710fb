import type { Options } from "../ClaudeCodeExecutor.ts"

/**
 * The arguments of `claude`. The prompt is not among them: it goes to standard input.
 *
 * Flags that take any number of values come first, each followed by another flag, and our own come last, where they win
 * over `args`.
 */
export const argumentsOf = (options: Options): ReadonlyArray<string> => {
  const { allowedTools = [], args = [], disallowedTools = [], jsonSchema, maxBudgetUsd, maxTurns } = options
  return [
    ...args,
    ...(allowedTools.length === 0 ? [] : ["--allowedTools", ...allowedTools]),
    ...(disallowedTools.length === 0 ? [] : ["--disallowedTools", ...disallowedTools]),
    ...valued("--model", options.model),
    ...valued("--permission-mode", options.permissionMode),
    ...valued("--append-system-prompt", options.appendSystemPrompt),
    ...valued("--json-schema", jsonSchema === undefined ? undefined : JSON.stringify(jsonSchema)),
    ...valued("--max-turns", maxTurns?.toString()),
    ...valued("--max-budget-usd", maxBudgetUsd === undefined ? undefined : decimal(maxBudgetUsd)),
    ...(options.bare === true ? ["--bare"] : []),
    "-p",
    "--output-format",
    "stream-json",
    "--verbose"
  ]
}

const valued = (flag: string, value: string | undefined) => (value === undefined ? [] : [flag, value])

/** Without an exponent, which not every parser of numbers takes. */
const decimal = (amount: number) => amount.toFixed(9).replace(/\.?0+$/, "")
