/**
 * Ids from content, so that importing a source again finds the tasks of the first time.
 *
 * @since 0.1.0
 */
import type * as Task from "@baton/core/Task"
import * as DateTime from "effect/DateTime"
import type * as Schema from "effect/Schema"
import { hash } from "node:crypto"
import { isJsonObject } from "./Entry.ts"

/**
 * 64 bits of a SHA-256, as 16 hexadecimal digits: among a million texts, two share a fingerprint once in 37 million times.
 *
 * @category getters
 * @since 0.1.0
 */
export const fingerprint = (text: string): string => hash("sha256", text, "hex").slice(0, 16)

/**
 * The fingerprint of what a task says, whatever the order in which its fields were written.
 *
 * @category getters
 * @since 0.1.0
 */
export const ofContent = (task: Omit<Task.NewTask, "id">): string =>
  fingerprint(
    canonicalJson([
      task.description,
      task.metadata ?? {},
      task.priority ?? 0,
      task.availableAt === undefined ? null : DateTime.formatIso(task.availableAt),
      task.dependsOn ?? []
    ])
  )

/**
 * The id of the nth task with the same content; the first is 1.
 *
 * @category getters
 * @since 0.1.0
 */
export const ofOccurrence = (content: string, n: number): string => (n === 1 ? content : `${content}-${n}`)

const canonicalJson = (value: Schema.Json): string => {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`
  if (!isJsonObject(value)) return JSON.stringify(value)
  const fields = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key] ?? null)}`)
  return `{${fields.join(",")}}`
}
