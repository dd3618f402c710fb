/**
 * The models that a ledger names.
 *
 * @since 0.1.0
 */
import type { Attempt } from "@baton/core/Attempt"
import { firstLine } from "./safeText.ts"

/**
 * The models that did the work of these attempts, as their executors noted them; each once.
 *
 * @category getters
 * @since 0.1.0
 */
export const models = (history: ReadonlyArray<Attempt>): ReadonlyArray<string> => {
  const names = history.flatMap(({ execution }) => {
    const model = execution?.metadata["model"]
    return typeof model === "string" ? [firstLine(model)] : []
  })
  return [...new Set(names)]
}
