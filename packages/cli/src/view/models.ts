/** The models in a task's history. */
import type { Attempt } from "@baton/core/Attempt"
import * as Usage from "@baton/core/Usage"
import * as Schema from "effect/Schema"
import { firstLine } from "./safeText.ts"

/** The model that executed an attempt, from the metadata of its executor. */
export const modelOf = ({ execution }: Attempt): string | undefined => {
  const model = execution?.metadata["model"]
  return typeof model === "string" ? firstLine(model) : undefined
}

/** The distinct models that executed or judged these attempts. */
export const models = (history: ReadonlyArray<Attempt>): ReadonlyArray<string> => {
  const executors = history.map(modelOf).filter((model) => model !== undefined)
  return [...new Set([...executors, ...history.flatMap(({ verification }) => judgesOf(verification))])]
}

/** The models that judged an attempt. */
export const judgesOf = (verification: Attempt["verification"]): ReadonlyArray<string> =>
  (verification?.models ?? []).map(firstLine)

/** The requests to a model and their usage. */
export const ModelUse = Schema.Struct({
  model: Schema.String,
  requests: Schema.Int,
  /** The number of `requests` answered by the response cache. */
  cached: Schema.Int,
  usage: Usage.Usage
})

export interface ModelUse extends Schema.Schema.Type<typeof ModelUse> {}
