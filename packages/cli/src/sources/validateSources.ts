/** The first of the two passes of an import: finds all problems before anything is added. */
import type { TaskId } from "@baton/core/Task"
import { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Changes from "./changes.ts"
import { FingerprintTable, fingerprint, ofContent } from "./ids.ts"
import { ProblemList, type SourceError } from "./SourceError.ts"
import { type Reading, readEntries, type SourceTask, type TaskEntry } from "./readTasks.ts"
import type { Source } from "./Source.ts"

/** Information from the first pass for the second one. */
export interface Validated {
  /** The ids of the tasks listed before one of their dependencies, in the order in which to add them at the end. */
  readonly postponed: ReadonlySet<string>
  /** Whether the sources contain a task with this id that is already completed. */
  readonly isCompleted: (id: string) => boolean
  /** How the tasks differ from those in the store. */
  readonly comparison: Changes.Comparison
}

/** Stores answer these from an index; more concurrent lookups would only queue up. */
const lookups = { concurrency: 16 }

/**
 * Reads the sources and fails with all problems: in a source, between sources, and with tasks in the store.
 *
 * Only explicit ids are kept in memory, as fingerprints, and the dependencies of tasks that are listed before one of them. A
 * task whose dependencies are all listed before it cannot be part of a cycle or miss a dependency.
 */
export const validateSources = Effect.fnUntraced(function* (
  sources: ReadonlyArray<Source>,
  reading: Reading,
  onChecked: (tasks: number) => void
): Effect.fn.Return<Validated, SourceError | TaskStoreError, TaskStore | FileSystem.FileSystem> {
  const store = yield* TaskStore
  const problems = new ProblemList()
  const named = new NamedTasks()
  const finished = new FingerprintTable()
  const postponed = new Map<string, Postponed>()
  const { waiting: _, ...counts } = yield* store.counts
  const storeIsEmpty = Object.values(counts).every((count) => count === 0)

  const comparing = storeIsEmpty ? undefined : new Changes.Comparing(yield* Changes.readStored)

  const statusOf = (id: string) => finished.get(fingerprint(id))
  const isEarlier = (id: string) => (named.has(id) && !postponed.has(id)) || statusOf(id) === completed

  const checkChunk = Effect.fnUntraced(function* (source: Source, entries: ReadonlyArray<TaskEntry>) {
    const tasks: Array<SourceTask> = []
    for (const entry of entries) {
      if (entry._tag === "Problem") problems.add(source.name, entry.line, entry.message)
      else if (entry._tag === "Finished") {
        if (entry.id !== undefined)
          finished.set(fingerprint(entry.id), entry.status === "completed" ? completed : cancelled)
      } else {
        const { dependsOn, id } = entry.task
        // Checked before its own id is added, because it may depend on itself.
        if (dependsOn?.every(isEarlier) === false) postponed.set(id, { source, line: entry.line, dependsOn })
        if (!entry.named) {
          if (comparing?.stored !== undefined) comparing.add(source.name, entry, comparing.stored.get(id))
          continue
        }
        const earlier = named.add(source, entry)
        if (earlier === "new") tasks.push(entry)
        else if (earlier !== "same") problems.add(source.name, entry.line, duplicateId(id, earlier, source))
      }
    }
    if (comparing === undefined || !problems.isEmpty) return
    const { stored } = comparing
    const lookUp = (id: string) =>
      stored === undefined
        ? Effect.map(store.get(id), (task) => Option.getOrUndefined(Option.map(task, Changes.remember)))
        : Effect.succeed(stored.get(id))
    const found = yield* Effect.forEach(tasks, ({ task }) => lookUp(task.id), lookups)
    for (const [index, task] of tasks.entries()) comparing.add(source.name, task, found[index])
  })

  for (const source of sources) {
    yield* Stream.runForEachArray(readEntries(source, reading), (entries) => {
      onChecked(entries.length)
      return checkChunk(source, entries)
    })
  }
  // Other tasks may depend on a record that could not be read, so dependencies are checked only without problems.
  yield* problems.check

  const isKnown = (id: string) => named.has(id) || postponed.has(id) || statusOf(id) === completed
  const elsewhere = new Set([...postponed.values()].flatMap(({ dependsOn }) => dependsOn.filter((id) => !isKnown(id))))
  const missing = new Set(yield* Effect.filter(elsewhere, (id) => Effect.map(store.get(id), Option.isNone), lookups))
  for (const { dependsOn, line, source } of postponed.values()) {
    for (const id of dependsOn.filter((id) => missing.has(id))) {
      problems.add(source.name, line, unknownDependency(id, statusOf(id) === cancelled))
    }
  }
  const { cycles, order } = sortByDependency(new Map([...postponed].map(([id, { dependsOn }]) => [id, dependsOn])))
  for (const cycle of cycles) {
    const first = postponed.get(cycle[0] ?? "")
    if (first !== undefined) problems.add(first.source.name, first.line, dependencyCycle(cycle))
  }
  yield* problems.check
  const comparison = comparing?.result() ?? Changes.nothing
  return { postponed: new Set(order), isCompleted: completedIn(finished), comparison }
})

interface Postponed {
  readonly source: Source
  readonly line: number
  readonly dependsOn: ReadonlyArray<TaskId>
}

const completed = 1
const cancelled = 2

/** A separate function, so that the closure does not retain the other data of the first pass during the second one. */
const completedIn = (finished: FingerprintTable) => (id: string) => finished.get(fingerprint(id)) === completed

/** The tasks with explicit ids: finds the position and duplicates of each. */
class NamedTasks {
  /** Maps an id to its line, counted across all sources, and the id with its content to 1 if it occurred. */
  private readonly table = new FingerprintTable()
  private readonly starts: Array<{ readonly source: Source; readonly before: number }> = []
  private last = 0

  has(id: string): boolean {
    return this.table.get(fingerprint(id)) !== 0
  }

  /** Returns the place of an earlier task with the same id and different content, or whether the task is new or the same. */
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

const duplicateId = (id: string, { line, source }: Place, current: Source) => {
  const place = source === current || source === undefined ? `line ${line}` : `${source.name}:${line}`
  return `the id "${id}" is already used by another task on ${place}; give each task a different id`
}

const unknownDependency = (id: string, isCancelled: boolean) =>
  isCancelled
    ? `depends on "${id}", which was cancelled; remove it from dependsOn, or set its status to pending`
    : `depends on "${id}", which does not exist in the sources or the store; add it, or remove it from dependsOn`

const dependencyCycle = (cycle: ReadonlyArray<string>) => {
  const [first] = cycle
  if (cycle.length === 1) return `"${first}" depends on itself, so it can never start; remove it from its dependsOn`
  const shown = cycle.length > 8 ? [...cycle.slice(0, 8), "…"] : cycle
  return `these tasks depend on each other, so none can start: ${[...shown, first].join(" → ")}; remove one dependency`
}

/** The order in which to add tasks, and the cycles that prevent one. */
export interface Ordering {
  /** Each id comes after its dependencies. */
  readonly order: ReadonlyArray<string>
  /** Each id of a cycle depends on the next one, and the last id on the first. */
  readonly cycles: ReadonlyArray<ReadonlyArray<string>>
}

/**
 * Sorts ids so that each comes after its dependencies. Ids that are not in the graph count as already added. It does not
 * recurse, so the length of a chain is not limited by the stack.
 */
export const sortByDependency = (graph: ReadonlyMap<string, ReadonlyArray<string>>): Ordering => {
  const order: Array<string> = []
  const cycles: Array<ReadonlyArray<string>> = []
  const done = new Set<string>()
  for (const root of graph.keys()) {
    if (done.has(root)) continue
    /** The path from the root to the current id; `next` is the index of the dependency to visit next. */
    const path: Array<{ readonly id: string; next: number }> = [{ id: root, next: 0 }]
    const onPath = new Map([[root, 0]])
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const dependency = graph.get(top.id)?.[top.next]
      top.next++
      if (dependency === undefined) {
        order.push(top.id)
        done.add(top.id)
        onPath.delete(top.id)
        path.pop()
        continue
      }
      const start = onPath.get(dependency)
      if (start !== undefined) cycles.push(path.slice(start).map(({ id }) => id))
      else if (graph.has(dependency) && !done.has(dependency)) {
        onPath.set(dependency, path.length)
        path.push({ id: dependency, next: 0 })
      }
    }
  }
  return { order, cycles }
}
