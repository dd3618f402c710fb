/**
 * The batches under way, for people.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type { Snapshot } from "./snapshot.ts"
import { count } from "./quantity.ts"
import { firstLine } from "./safeText.ts"
import type { Canvas } from "./table.ts"
import { elapsed } from "./time.ts"
import { fit } from "./width.ts"

const shown = 5

/**
 * A line for each of the oldest, under a heading; none without batches.
 *
 * @category converting
 * @since 0.1.0
 */
export const batchLines = (
  { batches }: Pick<Snapshot, "batches">,
  { columns, style }: Canvas
): ReadonlyArray<string> => {
  if (batches.length === 0) return []
  const total = batches.reduce((sum, { requests }) => sum + requests, 0)
  const rest = batches.length - shown
  return [
    "",
    style.bold(
      `In ${batches.length === 1 ? "a batch" : count(batches.length, "batch", "batches")}: ${count(total, "request")}`
    ),
    ...batches.slice(0, shown).map(({ id, requests, seconds }) => {
      const name = id === null ? "nobody has heard yet that it was created" : firstLine(id)
      return fit(`  ${count(requests, "request")} for ${elapsed(Duration.seconds(seconds))}  ${name}`, columns)
    }),
    ...(rest > 0 ? [`  and ${count(rest, "more", "more")}`] : []),
    style.dim("  The run that sent them, or the same command again, takes the answers.")
  ]
}
