import { Buffer } from "node:buffer"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { TaskId } from "@baton/core/Task"
import type { TaskRecord } from "@baton/core/TaskRecord"
import { type Document, type Fields, savedSettings, type Settings } from "./document.ts"
import { extensionOf, isLimit, labStatus } from "./savedTask.ts"

/** How a file is written. */
export interface Style {
  /** Escapes other characters than ASCII, as Python does by default. */
  readonly isAscii: boolean
  /** Writes every attempt of every task. */
  readonly history: boolean
}

/** A change that is ready to be written. */
export interface Prepared {
  /** The whole file with the change. */
  readonly contents: Iterable<Uint8Array>
  /** Call it once the contents are written. */
  readonly commit: () => void
}

/** The contents of a file, of which each change affects a small part. */
export interface Rendering {
  readonly prepare: (changes: {
    readonly removed: ReadonlyArray<TaskId>
    readonly written: ReadonlyArray<TaskRecord>
    readonly settings: Settings
  }) => Prepared
}

/** The text of a task, and of its fields when it was read. */
interface Text {
  readonly text: string
  readonly fields: Fields | undefined
}

/** Tasks in their order, whose bytes are cached together: one by one there could be a million, all at once is slow. */
interface Segment {
  readonly tasks: ReadonlyMap<TaskId, Text>
  readonly bytes: Uint8Array
}

const segmentSize = 256

const separator = ",\n    "

/** Starts with the contents of a document. */
export const make = ({ ending, entries, fields, settings: initial }: Document, style: Style): Rendering => {
  const encode = (text: string) => Buffer.from(text, style.isAscii ? "latin1" : "utf8")
  const segmentOf = (tasks: ReadonlyMap<TaskId, Text>): Segment => ({
    tasks,
    bytes: encode(Array.from(tasks.values(), ({ text }) => text).join(separator))
  })

  let segments: ReadonlyArray<Segment> = []
  /** The segment of each task. */
  const places = new Map<TaskId, number>()
  let settings = initial
  let frame = frameOf(fields, ending, style)

  const prepareTasks = (removed: Iterable<TaskId>, written: Iterable<readonly [TaskId, Text]>) => {
    const changed = new Map<number, Map<TaskId, Text>>()
    const edit = (place: number) => {
      const found = changed.get(place) ?? new Map(segments[place]?.tasks)
      changed.set(place, found)
      return found
    }
    const moved = new Map<TaskId, number | undefined>()
    for (const id of removed) {
      const place = places.get(id)
      if (place === undefined) continue
      edit(place).delete(id)
      moved.set(id, undefined)
    }
    let last = Math.max(0, segments.length - 1)
    for (const [id, text] of written) {
      let place = moved.has(id) ? moved.get(id) : places.get(id)
      if (place === undefined) {
        if ((changed.get(last) ?? segments[last]?.tasks)?.size === segmentSize) last++
        place = last
        moved.set(id, place)
      }
      edit(place).set(id, text)
    }
    const next = Array.from({ length: last + 1 }, (_, place) => {
      const tasks = changed.get(place)
      return tasks === undefined ? (segments[place] ?? segmentOf(new Map())) : segmentOf(tasks)
    })
    const commit = () => {
      segments = next
      for (const [id, place] of moved) {
        if (place === undefined) places.delete(id)
        else places.set(id, place)
      }
    }
    return { parts: next.flatMap(({ bytes, tasks }) => (tasks.size === 0 ? [] : [bytes])), commit }
  }

  prepareTasks(
    [],
    entries.map((entry) => [entry.record.task.id, entry] as const)
  ).commit()

  return {
    prepare: (changes) => {
      const removed = new Set(changes.removed)
      const written = changes.written.map((record) => {
        const { id } = record.task
        const before = removed.has(id) ? undefined : segments[places.get(id) ?? -1]?.tasks.get(id)?.fields
        return [id, { text: taskText(record, before, style), fields: before }] as const
      })
      const { commit, parts } = prepareTasks(removed, written)
      const isSame =
        changes.settings.paused === settings.paused &&
        changes.settings.tokenFloor === settings.tokenFloor &&
        changes.settings.budgets === settings.budgets &&
        changes.settings.pauses === settings.pauses &&
        changes.settings.batches === settings.batches
      const nextFrame = isSame ? frame : frameOf(withSettings(fields, changes.settings, style), ending, style)
      return {
        contents: join(nextFrame, parts, encode),
        commit: () => {
          commit()
          frame = nextFrame
          settings = changes.settings
        }
      }
    }
  }
}

const join = function* (
  frame: Frame,
  parts: ReadonlyArray<Uint8Array>,
  encode: (text: string) => Uint8Array
): Generator<Uint8Array, void> {
  if (parts.length === 0) return void (yield encode(frame.empty))
  const between = encode(separator)
  yield encode(frame.start)
  for (const [index, part] of parts.entries()) {
    if (index > 0) yield between
    yield part
  }
  yield encode(frame.end)
}

/** A value as Python's `json.dump(value, file, indent=2)` writes it, at this depth. */
const json = (value: unknown, depth: number, { isAscii }: Style): string => {
  const text = JSON.stringify(value, null, 2).replaceAll("\n", `\n${"  ".repeat(depth)}`)
  return isAscii ? text.replace(/[\x7f-\uffff]/g, escape) : text
}

const escape = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`

const parse = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Json))

/** Whether a text in the file says this. A metadata of null is empty. */
const says = (text: string, value: unknown): boolean =>
  Option.exists(parse(text), (found) => Equal.equals(found ?? {}, value))

/** The text of a task. The fields that it had before keep their places, and those that still say the same keep their texts. */
const taskText = (record: TaskRecord, before: Fields | undefined, style: Style): string => {
  const { task } = record
  const text = (value: unknown) => json(value, 3, style)
  const fields = new Map(before)
  const keep = (name: string, value: unknown) => {
    const found = fields.get(name)
    if (found === undefined || (found !== text(value) && !says(found, value))) fields.set(name, text(value))
  }
  keep("id", task.id)
  keep("description", task.description)
  fields.set("status", text(labStatus(task.status)))
  // The lab writes null for a task without a result.
  fields.set("result", text(task.result ?? null))
  fields.set("attempts", text(task.attempts))
  keep("metadata", task.metadata)
  const { history } = style
  const { maxAttempts } = task.overrides
  const hasLabLimit = Option.exists(parse(fields.get("max_attempts") ?? ""), isLimit)
  if (hasLabLimit && maxAttempts === undefined) fields.delete("max_attempts")
  else if (hasLabLimit) keep("max_attempts", maxAttempts)
  fields.set("baton", text(extensionOf(record, { history, hasLabLimit })))
  const lines = Array.from(fields, ([name, text]) => `\n      ${json(name, 0, style)}: ${text}`)
  return `{${lines.join(",")}\n    }`
}

/** The texts before and after the tasks. */
interface Frame {
  readonly start: string
  readonly end: string
  /** The whole file when there are no tasks. */
  readonly empty: string
}

const frameOf = (fields: Fields, ending: string, style: Style): Frame => {
  const names = Array.from(fields.keys())
  const place = fields.has("tasks") ? names.indexOf("tasks") : names.length
  const name = (name: string) => `\n  ${json(name, 0, style)}: `
  const lines = (names: ReadonlyArray<string>) => names.map((each) => name(each) + (fields.get(each) ?? ""))
  const before = `{${[...lines(names.slice(0, place)), name("tasks")].join(",")}`
  const after = `${["", ...lines(names.slice(place + 1))].join(",")}\n}${ending}`
  return { start: `${before}[\n    `, end: `\n  ]${after}`, empty: `${before}[]${after}` }
}

/** The fields of a document, with these settings. */
const withSettings = (fields: Fields, settings: Settings, style: Style): Fields => {
  const changed = new Map(fields)
  const saved = savedSettings(settings)
  if (Object.keys(saved).length > 0) changed.set("baton", json(saved, 1, style))
  else changed.delete("baton")
  return changed
}
