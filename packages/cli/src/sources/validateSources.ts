/**
 * The first of the two readings of an import: finds all that is wrong before anything is added.
 *
 * @since 0.1.0
 */
import type { NewTask, TaskId } from "@baton/core/Task"
import { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as dependencies from "./dependencies.ts"
import { FingerprintTable } from "./FingerprintTable.ts"
import { ProblemList } from "./ProblemList.ts"
import { readEntries, type SourceTask, type TaskEntry } from "./readTasks.ts"
import type { Source } from "./Source.ts"
import type { SourceError } from "./SourceError.ts"
import { fingerprint, ofContent } from "./stableId.ts"
import type { Template } from "./template.ts"

/** What the second reading needs to know of the first. */
export interface Validated {
  /** The ids of the tasks that come before one they depend on, in an order in which they can be added after all others. */
  readonly postponed: ReadonlySet<string>
  /** Whether a task with this id is in the sources, but was completed before. */
  readonly isCompleted: (id: string) => boolean
}

/** Stores answer these from an index; more at once would only queue up. */
const lookUps = { concurrency: 16 }

/**
 * Reads the sources and fails with everything that is wrong with them, together or with what the store has already.
 *
 * Of a task only the id that its author gave it is kept, in compact form; of one that comes before what it depends on, the
 * dependencies as well. One that depends on nothing but earlier ones can neither be in a cycle nor lack anything.
 *
 * @category constructors
 * @since 0.1.0
 */
export const validateSources = Effect.fnUntraced(function* (
  sources: ReadonlyArray<Source>,
  template: Template | undefined
): Effect.fn.Return<Validated, SourceError | TaskStoreError, TaskStore | FileSystem.FileSystem> {
  const store = yield* TaskStore
  const problems = new ProblemList()
  const named = new NamedTasks()
  const over = new FingerprintTable()
  const postponed = new Map<string, Postponed>()
  const { waiting: _, ...counts } = yield* store.counts
  const storeIsEmpty = Object.values(counts).every((count) => count === 0)

  const statusOf = (id: string) => over.get(fingerprint(id))
  const isAhead = (id: string) => (named.has(id) && !postponed.has(id)) || statusOf(id) === completed

  const checkChunk = Effect.fnUntraced(function* (source: Source, entries: ReadonlyArray<TaskEntry>) {
    const fresh: Array<SourceTask> = []
    for (const entry of entries) {
      if (entry._tag === "Problem") problems.add(source.name, entry.line, entry.message)
      else if (entry._tag === "Over") {
        if (entry.id !== undefined)
          over.set(fingerprint(entry.id), entry.status === "completed" ? completed : cancelled)
      } else {
        const { dependsOn, id } = entry.task
        // Before its own id is known, as it may depend on itself.
        if (dependsOn?.every(isAhead) === false) postponed.set(id, { source, line: entry.line, dependsOn })
        if (!entry.named) continue
        const earlier = named.add(source, entry)
        if (earlier === "new") fresh.push(entry)
        else if (earlier !== "same") problems.add(source.name, entry.line, duplicateId(id, earlier, source))
      }
    }
    if (storeIsEmpty || !problems.isEmpty) return
    const taken = yield* Effect.filter(fresh, ({ task }) => isTaken(store, task), lookUps)
    for (const { line, task } of taken) problems.add(source.name, line, idInUse(task.id))
  })

  for (const source of sources) {
    yield* Stream.runForEachArray(readEntries(source, template), (entries) => checkChunk(source, entries))
  }
  // A record that could not be read may be the very one that others depend on.
  yield* problems.check

  const isKnown = (id: string) => named.has(id) || postponed.has(id) || statusOf(id) === completed
  const elsewhere = new Set([...postponed.values()].flatMap(({ dependsOn }) => dependsOn.filter((id) => !isKnown(id))))
  const missing = new Set(yield* Effect.filter(elsewhere, (id) => Effect.map(store.get(id), Option.isNone), lookUps))
  for (const { dependsOn, line, source } of postponed.values()) {
    for (const id of dependsOn.filter((id) => missing.has(id))) {
      problems.add(source.name, line, unknownDependency(id, statusOf(id) === cancelled))
    }
  }
  const { cycles, order } = dependencies.sort(new Map([...postponed].map(([id, { dependsOn }]) => [id, dependsOn])))
  for (const cycle of cycles) {
    const first = postponed.get(cycle[0] ?? "")
    if (first !== undefined) problems.add(first.source.name, first.line, dependencyCycle(cycle))
  }
  yield* problems.check
  return { postponed: new Set(order), isCompleted: completedIn(over) }
})

interface Postponed {
  readonly source: Source
  readonly line: number
  readonly dependsOn: ReadonlyArray<TaskId>
}

const completed = 1
const cancelled = 2

/** Made out here so that it holds on to nothing else of the first reading while the second one goes on. */
const completedIn = (over: FingerprintTable) => (id: string) => over.get(fingerprint(id)) === completed

/** The tasks that their author gave an id: where each is, and whether another one says the same. */
class NamedTasks {
  /** By id the line, counted on from one source to the next; by id and content together whether it was seen. */
  private readonly table = new FingerprintTable()
  private readonly starts: Array<{ readonly source: Source; readonly before: number }> = []
  private last = 0

  has(id: string): boolean {
    return this.table.get(fingerprint(id)) !== 0
  }

  /** Where the id was before with another content, or that it is new or the same. */
  add(source: Source, { line, task }: SourceTask): "new" | "same" | Place {
    if (this.starts.at(-1)?.source !== source) this.starts.push({ source, before: this.last })
    this.last = (this.starts.at(-1)?.before ?? 0) + line
    const byId = fingerprint(task.id)
    const byContent = fingerprint(`${byId}${ofContent(task)}`)
    const earlier = this.table.get(byId)
    if (earlier === 0) {
      this.table.set(byId, this.last)
      this.table.set(byContent, 1)
      return "new"
    }
    return this.table.get(byContent) === 1 ? "same" : this.place(earlier)
  }

  private place(position: number): Place {
    const start = this.starts.findLast(({ before }) => before < position)
    return { source: start?.source, line: position - (start?.before ?? 0) }
  }
}

interface Place {
  readonly source: Source | undefined
  readonly line: number
}

const isTaken = (store: TaskStore["Service"], { description, id }: NewTask) =>
  Effect.map(
    store.get(id),
    Option.exists((task) => task.description !== description)
  )

const duplicateId = (id: string, { line, source }: Place, current: Source) => {
  const place = source === current || source === undefined ? `line ${line}` : `${source.name}:${line}`
  return `the id "${id}" is already that of another task, on ${place}; give each task an id of its own`
}

const idInUse = (id: string) =>
  `the id "${id}" belongs to a task with another description in the store; give this one an id of its own`

const unknownDependency = (id: string, isCancelled: boolean) =>
  isCancelled
    ? `depends on "${id}", which was cancelled; take it out of dependsOn, or set its status to pending`
    : `depends on "${id}", which is neither in the import nor in the store`

const dependencyCycle = (cycle: ReadonlyArray<string>) => {
  const [first] = cycle
  if (cycle.length === 1) return `"${first}" depends on itself, so it can never start; take it out of its dependsOn`
  const shown = cycle.length > 8 ? [...cycle.slice(0, 8), "…"] : cycle
  return `these tasks wait for each other, so none can start: ${[...shown, first].join(" → ")}; take one dependency out`
}
