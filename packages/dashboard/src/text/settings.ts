/** The texts of the fields of the settings, and what they mean. */
import * as QueueBudget from "@baton/core/Budget"
import type { ChangeSettings, Settings } from "../schema.ts"

export type Field = "maxCostUsd" | "maxTokens" | "concurrency"
export type Texts = Readonly<Record<Field, string>>

const textOf = (value: number | undefined): string => (value === undefined ? "" : String(value))

export const textsOf = ({ budget, concurrency }: Pick<Settings, "budget" | "concurrency">): Texts => {
  const cost = budget?.limit.nanoUsd
  return {
    maxCostUsd: textOf(cost === undefined ? undefined : QueueBudget.toUsd(cost)),
    maxTokens: textOf(budget?.limit.tokens),
    concurrency: textOf(concurrency)
  }
}

const money = { pattern: /^\$?\s*(\d+(?:\.\d+)?)$/, expected: "Expected an amount of dollars above 0, such as 12.50." }
const whole = { pattern: /^(\d+)$/, expected: "Expected a whole number above 0." }
const kinds = { maxCostUsd: money, maxTokens: whole, concurrency: whole } as const satisfies Record<Field, object>

/** The number that a text means; null for an empty text, and undefined for one that means nothing. */
const valueOf = (field: Field, text: string): number | null | undefined => {
  const bare = text.trim().replaceAll(/,(?=\d{3})/g, "")
  if (bare === "") return null
  const value = Number(kinds[field].pattern.exec(bare)?.[1])
  return value > 0 && (field === "maxCostUsd" || Number.isSafeInteger(value)) ? value : undefined
}

/** What the texts change, and what is wrong with them. */
export const changeOf = (
  saved: Texts,
  texts: Texts
): {
  readonly change: Omit<ChangeSettings, "queue">
  readonly problems: Readonly<Partial<Record<Field, string>>>
} => {
  const change: Partial<Record<Field, number | null>> = {}
  const problems: Partial<Record<Field, string>> = {}
  for (const field of ["maxCostUsd", "maxTokens", "concurrency"] as const) {
    const value = valueOf(field, texts[field])
    if (value === undefined) problems[field] = kinds[field].expected
    else if (value !== valueOf(field, saved[field])) change[field] = value
  }
  return { change, problems }
}
