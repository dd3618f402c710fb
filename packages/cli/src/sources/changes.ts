/**
 * Compares the tasks of sources with those in the store, so that an edited template or an added column does not run a list
 * again by surprise.
 *
 * A task is recognised by its id. One whose id was made from its content gets another id when its text changes; it is
 * recognised by the fields of its record instead: a stored task that is in no source, and whose fields the record still has,
 * is the same one with another text.
 */
import type { NewTask, Task, TaskId, TaskStatus } from "@baton/core/Task"
import { type ReviseOptions, type Revision, TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { pages } from "@baton/core/TaskPages"
import { canonicalJson, fingerprint } from "./ids.ts"
import type { SourceTask } from "./readTasks.ts"

/** What to do with tasks whose text changed. */
export type OnChanged = "update" | "keep" | "rerun"

/** A task of a source whose text is another one than that in the store. */
export interface Change {
  readonly source: string
  readonly line: number
  readonly task: NewTask
  readonly stored: Stored
}

/** The part of a stored task that is kept in memory. */
export interface Stored extends Pick<Task, "id" | "status"> {
  /** The beginning of its description. */
  readonly beginning: string
  /** The fingerprint of its description. */
  readonly text: string
}

/** The part of a description that a message shows. */
const shownCharacters = 100

/** A stored task, to be compared. */
export const remember = ({ description, id, status }: Task): Stored => ({
  id,
  status,
  beginning: description.slice(0, shownCharacters),
  text: fingerprint(description)
})

/** The tasks of the sources of a queue, compared with those in the store. */
export interface Comparison {
  readonly added: number
  readonly unchanged: number
  readonly changed: ReadonlyArray<Change>
  /** Stored tasks that are in no source; null if they were not counted. */
  readonly gone: number | null
  /** Tasks of the sources that are stored under another id with the same text. */
  readonly renamed: ReadonlySet<string>
}

/** Nothing to compare with. */
export const nothing: Comparison = { added: 0, unchanged: 0, changed: [], gone: null, renamed: new Set() }

/** Two comparisons as one. */
export const both = (left: Comparison, right: Comparison): Comparison => ({
  added: left.added + right.added,
  unchanged: left.unchanged + right.unchanged,
  changed: [...left.changed, ...right.changed],
  gone: left.gone === null ? right.gone : left.gone + (right.gone ?? 0),
  renamed: new Set([...left.renamed, ...right.renamed])
})

/** With more stored tasks, records are not recognised by their fields: that would take too long. */
const maxStored = 50_000

const hasMadeId = (id: string): boolean => /^[0-9a-f]{16}(?:-\d+)?$/.test(id)

/** Compares tasks one after the other, and the rest at the end. */
export class Comparing {
  /** All tasks of the store; undefined if there are too many. */
  readonly stored: StoredTasks | undefined
  private readonly seen = new Set<string>()
  private readonly changes: Array<Change> = []
  private readonly candidates: Array<{ readonly source: string } & SourceTask> = []
  private unchanged = 0
  private added = 0

  constructor(stored: StoredTasks | undefined) {
    this.stored = stored
  }

  /** Adds a task, and the one with the same id in the store. */
  add(source: string, { line, task }: SourceTask, stored: Stored | undefined): void {
    if (stored === undefined) {
      this.added++
      if (this.stored?.like(task) !== undefined) this.candidates.push({ source, line, task })
      return
    }
    if (this.stored !== undefined) this.seen.add(task.id)
    if (stored.text === fingerprint(task.description)) this.unchanged++
    else this.changes.push({ source, line, task, stored })
  }

  result(): Comparison {
    const renamed = new Set<string>()
    const found = this.candidates.map(({ task }) => this.stored?.like(task))
    const times = new Map<Stored | undefined, number>()
    for (const stored of found) times.set(stored, (times.get(stored) ?? 0) + 1)
    for (const [index, { line, source, task }] of this.candidates.entries()) {
      const stored = found[index]
      if (stored === undefined || this.seen.has(stored.id) || times.get(stored) !== 1) continue
      if (stored.text === fingerprint(task.description)) renamed.add(task.id)
      else this.changes.push({ source, line, task, stored })
    }
    const recognised = this.unchanged + this.changes.length + renamed.size
    return {
      added: this.added - renamed.size - this.changes.filter(({ stored, task }) => stored.id !== task.id).length,
      unchanged: this.unchanged + renamed.size,
      changed: this.changes,
      gone: this.stored === undefined ? null : this.stored.total - recognised,
      renamed
    }
  }
}

/** The stored tasks, by their ids and, if those were made from their content, by the fields of their records. */
export class StoredTasks {
  private readonly byId = new Map<string, Stored>()
  private readonly byFields = new Map<string, Stored | "several">()
  /** The names of the fields of records, each combination once. */
  private readonly shapes = new Map<string, ReadonlyArray<string>>()

  get total(): number {
    return this.byId.size
  }

  get(id: string): Stored | undefined {
    return this.byId.get(id)
  }

  add(task: Task): void {
    const { id, metadata } = task
    const stored = remember(task)
    this.byId.set(id, stored)
    const names = Object.keys(metadata).toSorted()
    if (names.length === 0 || !hasMadeId(id)) return
    this.shapes.set(JSON.stringify(names), names)
    const key = keyOf(metadata, names)
    this.byFields.set(key, this.byFields.has(key) ? "several" : stored)
  }

  /** The stored task with the fields of this one, if there is exactly one. */
  like({ metadata = {} }: NewTask): Stored | undefined {
    for (const names of this.shapes.values()) {
      if (!names.every((name) => Object.hasOwn(metadata, name))) continue
      const found = this.byFields.get(keyOf(metadata, names))
      if (found !== undefined && found !== "several") return found
    }
    return undefined
  }
}

const keyOf = (metadata: Schema.JsonObject, names: ReadonlyArray<string>): string =>
  fingerprint(canonicalJson(names.map((name) => [name, metadata[name] ?? null])))

/** Reads the stored tasks, unless there are too many. */
export const readStored: Effect.Effect<StoredTasks | undefined, TaskStoreError, TaskStore> = Effect.gen(function* () {
  const { waiting: _, ...counts } = yield* (yield* TaskStore).counts
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0)
  if (total === 0 || total > maxStored) return undefined
  const stored = new StoredTasks()
  yield* Stream.runForEachArray(pages({ results: false }), (tasks) =>
    Effect.sync(() => tasks.forEach((task) => stored.add(task)))
  )
  return stored
})

/** The statuses from which a changed task gets its new text. */
const revisedFrom = {
  update: ["pending"],
  keep: [],
  rerun: ["pending", "completed", "failed", "cancelled"]
} as const satisfies { readonly [Decision in OnChanged]: ReviseOptions["from"] }

/** Gives the stored tasks their new text, in their places. A task that a worker holds keeps its text. */
export const revise = Effect.fnUntraced(function* (
  changes: ReadonlyArray<Change>,
  onChanged: OnChanged
): Effect.fn.Return<void, TaskStoreError, TaskStore> {
  const store = yield* TaskStore
  const revisions = changes.map(({ stored, task }): Revision => ({ taskId: stored.id, work: task }))
  yield* store.revise(revisions, { from: revisedFrom[onChanged] })
})

/** Whether a changed task is put in the place of the stored one. */
export const isReplaced = ({ stored: { status } }: Change, onChanged: OnChanged): boolean =>
  onChanged !== "keep" &&
  (status === "pending" || (onChanged === "rerun" && status !== "in_progress" && status !== "in_review"))

const finished: ReadonlySet<TaskStatus> = new Set(["completed", "failed", "cancelled"])

const chunk = 500

/**
 * Deletes the stored tasks that are replaced, for tasks whose dependencies change too; the caller then adds the new ones. If it
 * is interrupted in between, adding them again completes the work.
 */
export const replace = Effect.fnUntraced(function* (
  changes: ReadonlyArray<Change>,
  onChanged: OnChanged
): Effect.fn.Return<void, TaskStoreError, TaskStore> {
  const store = yield* TaskStore
  const replaced = changes.filter((change) => isReplaced(change, onChanged)).map(({ stored }) => stored)
  for (let at = 0; at < replaced.length; at += chunk) {
    const part = replaced.slice(at, at + chunk)
    const pending: ReadonlyArray<TaskId> = part.filter(({ status }) => !finished.has(status)).map(({ id }) => id)
    if (pending.length > 0) yield* store.cancel({ ids: pending })
    yield* store.prune({ statuses: ["completed", "failed", "cancelled"], ids: part.map(({ id }) => id) })
  }
})
