/** Imports the tasks of sources into the store. */
import type { NewTask } from "@baton/core/Task"
import { inQueues, TaskStore } from "@baton/core/TaskStore"
import type { TasksRefused, TaskStoreError } from "@baton/core/TaskStoreError"
import * as Arr from "effect/Array"
import type { Environment } from "effect/cli/Prompt"
import * as Effect from "effect/Effect"
import { constVoid } from "effect/Function"
import * as Result from "effect/Result"
import type * as FileSystem from "effect/FileSystem"
import type * as Scope from "effect/Scope"
import type * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import type { CommandFailed, EndedWith } from "../system/CommandFailed.ts"
import * as Changes from "./changes.ts"
import type { Format } from "./Format.ts"
import * as SourceError from "./SourceError.ts"
import { parseOptions, readEntries, type Reading, type ReadOptions, type SourceTask } from "./readTasks.ts"
import * as Source from "./Source.ts"
import { type Validated, validateSources } from "./validateSources.ts"

/** The result of an import. */
export interface ImportResult extends ImportCounts {
  readonly perSource: ReadonlyArray<SourceResult>
  /** Warnings for the user, such as a source without tasks. */
  readonly warnings: ReadonlyArray<string>
}

/** The result for one source. */
export interface SourceResult extends ImportCounts {
  readonly source: string
}

interface ImportCounts {
  readonly added: number
  /** Tasks that were already in the store, or repeated under the same id. */
  readonly existing: number
  /** Tasks that were already finished: checked off, or saved as completed or cancelled. */
  readonly skipped: number
}

/** A batch is full when it reaches one of these limits; `characters` counts the descriptions. */
interface BatchLimit {
  readonly tasks: number
  readonly characters: number
}

/** Most lists are one batch, so that a kill leaves all of a list in the store, or nothing. Other writes wait for seconds. */
const wholeLists: BatchLimit = { tasks: 200_000, characters: 256 * 1024 * 1024 }

const batchCharacters = 4 * 1024 * 1024

/**
 * Adds the tasks of all sources to the store. Importing a source again adds nothing. Sources are paths, or `-` for
 * standard input.
 *
 * Every source is read twice: first to find problems, then, if there are none, to add the tasks. The tasks of a queue are
 * added in one write, if the store can take it and there are at most 200,000. When the import of a longer list is cut off,
 * importing again adds the rest.
 *
 * Tasks are added in the order of the sources, except that a task listed before one of its dependencies is added at the
 * end. Memory grows with the size of the sources up to a batch, and beyond it with the number of explicit ids and of such
 * postponed tasks.
 */
export const importSources = Effect.fnUntraced(function* (
  sources: ReadonlyArray<string>,
  options: ImportOptions
): Effect.fn.Return<
  ImportResult,
  SourceError.SourceError | TaskStoreError | ChangesRefused,
  TaskStore | FileSystem.FileSystem | Stdio.Stdio | Scope.Scope | Environment
> {
  const reading = yield* parseOptions(options)
  const lists = yield* openLists(sources, options)
  const { onProgress = constVoid } = options
  const validated = yield* validateLists(lists, reading, counting("checking", onProgress))
  const kept = yield* resolveChanges(lists, validated, options)
  const onAdded = counting("adding", onProgress)
  const tallies = yield* Effect.forEach(lists, ({ opened, store }, index) =>
    Effect.provideService(
      importList(opened, reading, validated[index] ?? nothingFound, { kept: kept[index] ?? new Set(), onAdded }),
      TaskStore,
      store
    )
  )
  return summarize(tallies.flat())
}, Effect.scoped)

export interface ListOptions extends ReadOptions {
  /** The queue of each source. Left out, all tasks go where the store puts tasks without a queue. */
  readonly queueOf?: ((source: string) => string) | undefined
  /** Called with the number of tasks of all sources that were checked, and then added, so far. */
  readonly onProgress?: ((progress: ImportProgress) => void) | undefined
}

export interface ImportOptions extends ListOptions {
  /** Decides what to do with tasks whose text changed. */
  readonly decide: (comparison: Changes.Comparison) => Effect.Effect<Changes.OnChanged, ChangesRefused, Environment>
}

/** How far an import is. */
export interface ImportProgress {
  readonly step: "checking" | "adding"
  readonly tasks: number
}

/** The sources of one queue, and the part of the store that is in it. */
interface List {
  readonly opened: ReadonlyArray<Source.Source>
  readonly store: TaskStore["Service"]
}

/** Opens the sources, grouped by their queues. */
export const openLists = Effect.fnUntraced(function* (
  sources: ReadonlyArray<string>,
  { format, queueOf, template }: ListOptions
): Effect.fn.Return<
  ReadonlyArray<List>,
  SourceError.SourceError,
  TaskStore | FileSystem.FileSystem | Stdio.Stdio | Scope.Scope
> {
  const store = yield* TaskStore
  const opened = yield* Effect.forEach(Arr.dedupe(sources), (source) =>
    Effect.map(Source.open(source, { format, template }), (opened) => ({ source, opened }))
  )
  if (queueOf === undefined) return [{ store, opened: opened.map(({ opened }) => opened) }]
  return Array.from(
    Map.groupBy(opened, ({ source }) => queueOf(source)),
    ([queue, ofQueue]) => ({ store: inQueues(store, [queue]), opened: ofQueue.map(({ opened }) => opened) })
  )
})

/** Adds up counts, and reports the sum. */
const counting = (step: ImportProgress["step"], onProgress: (progress: ImportProgress) => void) => {
  let tasks = 0
  return (more: number) => {
    tasks += more
    onProgress({ step, tasks })
  }
}

/** Fails with the problems of all lists. */
export const validateLists = Effect.fnUntraced(function* (
  lists: ReadonlyArray<List>,
  reading: Reading,
  onChecked: (tasks: number) => void = constVoid
): Effect.fn.Return<ReadonlyArray<Validated>, SourceError.SourceError | TaskStoreError, FileSystem.FileSystem> {
  const problems = new SourceError.ProblemList()
  const validated: Array<Validated> = []
  for (const { opened, store } of lists) {
    const validating = Effect.provideService(validateSources(opened, reading, onChecked), TaskStore, store)
    const found = yield* Effect.result(validating)
    if (Result.isSuccess(found)) validated.push(found.success)
    else if (found.failure._tag === "SourceError") problems.addAll(found.failure)
    else return yield* found.failure
  }
  yield* problems.check
  return validated
})

const nothingFound: Validated = {
  postponed: new Set(),
  isCompleted: () => false,
  comparison: Changes.nothing
}

/** The import was not decided on, or the user did not want it. */
export type ChangesRefused = CommandFailed | EndedWith

/**
 * Revises the changed tasks, as `decide` says for all lists together. Returns the ids of each list that are not to be added:
 * their tasks are in the store, maybe under another id.
 */
const resolveChanges = Effect.fnUntraced(function* (
  lists: ReadonlyArray<List>,
  validated: ReadonlyArray<Validated>,
  { decide }: ImportOptions
): Effect.fn.Return<ReadonlyArray<ReadonlySet<string>>, ChangesRefused | TaskStoreError, Environment> {
  const all = validated.map(({ comparison }) => comparison)
  const comparison = all.reduce(Changes.both, Changes.nothing)
  const kept = all.map(({ changed, renamed }) => new Set([...renamed, ...changed.map(({ task }) => task.id)]))
  if (comparison.changed.length === 0) return kept
  const decided = yield* decide(comparison)
  for (const [index, { store }] of lists.entries()) {
    yield* Effect.provideService(Changes.revise(all[index]?.changed ?? [], decided), TaskStore, store)
  }
  return kept
})

/** Adds the tasks of the sources of one queue. */
const importList = Effect.fnUntraced(function* (
  opened: ReadonlyArray<Source.Source>,
  reading: Reading,
  validated: Validated,
  { kept, onAdded }: { readonly kept: ReadonlySet<string>; readonly onAdded: (tasks: number) => void }
): Effect.fn.Return<ReadonlyArray<Tally>, SourceError.SourceError | TaskStoreError, TaskStore | FileSystem.FileSystem> {
  const tallies = opened.map((source): Tally => ({ source, added: 0, existing: 0, skipped: 0, emptyLines: [] }))
  const postponed = new Map<string, PendingTask>()
  const batch = yield* makeBatch
  for (const tally of tallies) {
    yield* Stream.runForEachArray(
      readEntries(tally.source, reading),
      Effect.fnUntraced(function* (entries) {
        for (const entry of entries) {
          if (entry._tag === "Problem") return yield* fileChanged(tally, entry.line, entry.message)
          if (entry._tag === "Finished") {
            tally.skipped++
            continue
          }
          if (kept.has(entry.task.id)) {
            tally.existing++
            continue
          }
          const task = withoutCompletedDependencies(entry.task, validated.isCompleted)
          if (!/\S/.test(task.description)) tally.emptyLines.push(entry.line)
          if (!validated.postponed.has(task.id)) yield* batch.add({ tally, line: entry.line, task })
          else if (postponed.has(task.id)) tally.existing++
          else postponed.set(task.id, { tally, line: entry.line, task })
        }
        onAdded(entries.length)
      })
    )
  }
  for (const id of validated.postponed) {
    const pending = postponed.get(id)
    if (pending !== undefined) yield* batch.add(pending)
  }
  yield* batch.flush
  return tallies
})

interface Tally {
  readonly source: Source.Source
  added: number
  existing: number
  skipped: number
  /** Lines for which the template rendered an empty description. */
  readonly emptyLines: Array<number>
}

interface PendingTask extends SourceTask {
  readonly tally: Tally
}

/** Removes dependencies that the source marks as completed: they are not added to the store. */
const withoutCompletedDependencies = (task: NewTask, isCompleted: (id: string) => boolean): NewTask =>
  task.dependsOn?.some(isCompleted) === true
    ? { ...task, dependsOn: task.dependsOn.filter((id) => !isCompleted(id)) }
    : task

/** Adds tasks to the store in batches. */
const makeBatch = Effect.map(TaskStore, (store) => {
  const limit: BatchLimit =
    store.addLimit === undefined ? wholeLists : { tasks: store.addLimit, characters: batchCharacters }
  let batch: Array<PendingTask> = []
  let characters = 0
  const flush = Effect.suspend(() => {
    const full = batch
    batch = []
    characters = 0
    return full.length === 0 ? Effect.void : addBatch(store, full)
  })
  const add = (pending: PendingTask) => {
    batch.push(pending)
    characters += pending.task.description.length
    return batch.length >= limit.tasks || characters >= limit.characters ? flush : Effect.void
  }
  return { add, flush }
})

const fileChanged = (tally: Tally, line: number, problem: string) =>
  Effect.fail(
    SourceError.make(tally.source.name, line, `the file changed during the import (${problem}); import it again`)
  )

const addBatch = Effect.fnUntraced(function* (store: TaskStore["Service"], batch: ReadonlyArray<PendingTask>) {
  const byId = new Map(batch.toReversed().map((pending) => [pending.task.id, pending]))
  const tasks = batch.filter((pending) => byId.get(pending.task.id) === pending).map(({ task }) => task)
  const { added } = yield* Effect.catchTag(store.add(tasks), "TasksRefused", (error) => refused(error, byId))
  const isNew = new Set(added)
  for (const { tally, task } of batch) {
    if (isNew.delete(task.id)) tally.added++
    else tally.existing++
  }
})

/** Reports refused tasks. Validation found no problem with them, so another program changed the store in the meantime. */
const refused = (error: TasksRefused, byId: ReadonlyMap<string, PendingTask>) => {
  const problems = new SourceError.ProblemList()
  for (const { message, taskId } of error.refusals) {
    const pending = byId.get(taskId)
    problems.add(pending?.tally.source.name ?? taskId, pending?.line ?? null, message)
  }
  return Effect.andThen(problems.check, Effect.die(error))
}

const summarize = (tallies: ReadonlyArray<Tally>): ImportResult => {
  const sum = (count: (tally: Tally) => number) => tallies.reduce((total, tally) => total + count(tally), 0)
  return {
    added: sum((tally) => tally.added),
    existing: sum((tally) => tally.existing),
    skipped: sum((tally) => tally.skipped),
    perSource: tallies.map(({ added, existing, skipped, source }) => ({
      source: source.name,
      added,
      existing,
      skipped
    })),
    warnings: tallies.flatMap(warnings)
  }
}

const warnings = ({ added, emptyLines, existing, skipped, source }: Tally): ReadonlyArray<string> => {
  const found: Array<string> = []
  if (added + existing + skipped === 0) found.push(`${source.name}: found no tasks${hints[source.format] ?? ""}`)
  const [line] = emptyLines
  if (line !== undefined) {
    const others = emptyLines.length === 1 ? "" : ` and ${emptyLines.length - 1} more`
    found.push(`${source.name}:${line}: the template renders an empty description for this record${others}`)
  }
  return found
}

const hints: { readonly [format in Format]?: string } = {
  md: "; write each task as a checkbox, such as - [ ] write the report"
}
