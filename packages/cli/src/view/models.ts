/** The models that a ledger names. */
import type { Attempt } from "@baton/core/Attempt"
import * as Usage from "@baton/core/Usage"
import * as Schema from "effect/Schema"
import { firstLine } from "./safeText.ts"

/** The model that did the work of an attempt, as its executor noted it. */
export const modelOf = ({ execution }: Attempt): string | undefined => {
  const model = execution?.metadata["model"]
  return typeof model === "string" ? firstLine(model) : undefined
}

/** The models that did the work of these attempts, and those that judged it; each once. */
export const models = (history: ReadonlyArray<Attempt>): ReadonlyArray<string> => {
  const workers = history.map(modelOf).filter((model) => model !== undefined)
  return [...new Set([...workers, ...history.flatMap(({ verification }) => judgesOf(verification))])]
}

/** The models that judged. */
export const judgesOf = (verification: Attempt["verification"]): ReadonlyArray<string> =>
  (verification?.models ?? []).map(firstLine)

/** Requests to a model, and what they used. */
export const ModelUse = Schema.Struct({
  model: Schema.String,
  requests: Schema.Int,
  /** Those of `requests` that the response cache answered. */
  cached: Schema.Int,
  usage: Usage.Usage
})

export interface ModelUse extends Schema.Schema.Type<typeof ModelUse> {}
