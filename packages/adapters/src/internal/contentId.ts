/** Makes ids of tasks from their content, so that adding the same task again finds the one that exists. */
import type * as Task from "@baton/core/Task"
import * as DateTime from "effect/DateTime"
import type * as Schema from "effect/Schema"
import { hash } from "node:crypto"

/**
 * 64 bits of a SHA-256 hash, as 16 hexadecimal digits. The probability that two of a million texts share a fingerprint is
 * 1 in 37 million.
 */
export const fingerprint = (text: string): string => hash("sha256", text, "hex").slice(0, 16)

/** The fingerprint of a task's content, independent of the order of its fields. */
export const ofContent = (task: Omit<Task.NewTask, "id">): string =>
  fingerprint(
    canonicalJson([
      task.description,
      task.metadata ?? {},
      task.priority ?? 0,
      task.availableAt === undefined ? null : DateTime.formatIso(task.availableAt),
      task.dependsOn ?? [],
      // Without overrides, the ids are those of versions that had none.
      ...(task.overrides === undefined ? [] : [task.overrides as Schema.JsonObject])
    ])
  )

const isJsonObject = (value: Schema.Json): value is Schema.JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** JSON that does not depend on the order of fields. */
export const canonicalJson = (value: Schema.Json): string => {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`
  if (!isJsonObject(value)) return JSON.stringify(value)
  const fields = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key] ?? null)}`)
  return `{${fields.join(",")}}`
}
