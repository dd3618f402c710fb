import type { Diagnosis } from "@baton/core"
import { assert } from "@effect/vitest"

type Diagnoses = ReadonlyArray<Diagnosis.Diagnosis>

/** The checks and their results: `["file ok", "space ok"]`. */
export const summary = (found: Diagnoses) => found.map(({ check, status }) => `${check} ${status}`)

/** A check of which there is one. */
export const of = (found: Diagnoses, name: string): Diagnosis.Diagnosis => {
  const [first, ...more] = found.filter(({ check }) => check === name)
  assert.ok(first !== undefined && more.length === 0, `${name} among ${JSON.stringify(found)}`)
  // Whatever is not as it should be comes with a way out, in sentences.
  assert.strictEqual(first.status === "ok", first.fix === undefined)
  for (const sentence of [first.message, first.fix ?? first.message]) assert.match(sentence, /^[^\n]+\.$/)
  return first
}
