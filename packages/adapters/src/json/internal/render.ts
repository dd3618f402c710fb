import type { TaskRecord } from "@baton/core/TaskRecord"
import type { Fields, Shared } from "./document.ts"
import { write } from "./extension.ts"
import { separator } from "./texts.ts"

/** How a file is written. */
export interface Manner {
  /** Only ASCII, as Python does by default. */
  readonly isAscii: boolean
  /** With every attempt of every task. */
  readonly history: boolean
}

/** A value as Python's `json.dump(value, file, indent=2)` writes it, at so many levels' depth. */
const json = (value: unknown, depth: number, { isAscii }: Manner): string => {
  const text = JSON.stringify(value, null, 2).replaceAll("\n", `\n${"  ".repeat(depth)}`)
  return isAscii ? text.replace(/[\x7f-\uffff]/g, escape) : text
}

const escape = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`

/** The text of a task. Fields that it had before keep their place, and those that never change, or are not ours, their text. */
export const task = (record: TaskRecord, before: Fields | undefined, manner: Manner): string => {
  const { task } = record
  const text = (value: unknown) => json(value, 3, manner)
  const fields = new Map(before)
  const keep = (name: string, value: unknown) => {
    if (!fields.has(name)) fields.set(name, text(value))
  }
  keep("id", task.id)
  keep("description", task.description)
  fields.set("status", text(task.status === "cancelled" ? "failed" : task.status))
  fields.set("result", text(task.result))
  fields.set("attempts", text(task.attempts))
  keep("metadata", task.metadata)
  fields.set("baton", text(write(record, manner)))
  const lines = Array.from(fields, ([name, text]) => `\n      ${json(name, 0, manner)}: ${text}`)
  return `{${lines.join(",")}\n    }`
}

/** What comes before the texts of the tasks, between two, and after them. */
export interface Frame {
  readonly start: string
  readonly between: string
  readonly end: string
  /** Stands in for all of it where there are no tasks. */
  readonly empty: string
}

export const frame = (fields: Fields, ending: string, manner: Manner): Frame => {
  const names = Array.from(fields.keys())
  const place = fields.has("tasks") ? names.indexOf("tasks") : names.length
  const name = (name: string) => `\n  ${json(name, 0, manner)}: `
  const lines = (names: ReadonlyArray<string>) => names.map((each) => name(each) + (fields.get(each) ?? ""))
  const before = `{${[...lines(names.slice(0, place)), name("tasks")].join(",")}`
  const after = `${["", ...lines(names.slice(place + 1))].join(",")}\n}${ending}`
  return {
    start: `${before}[\n    `,
    between: separator,
    end: `\n  ]${after}`,
    empty: `${before}[]${after}`
  }
}

/** The fields of a file, with what is kept for all tasks together. */
export const withShared = (fields: Fields, { paused, tokenFloor }: Shared, manner: Manner): Fields => {
  const changed = new Map(fields)
  const saved = { ...(paused ? { paused } : undefined), ...(tokenFloor > 0 ? { tokenFloor } : undefined) }
  if (Object.keys(saved).length > 0) changed.set("baton", json(saved, 1, manner))
  else changed.delete("baton")
  return changed
}
