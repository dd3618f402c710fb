/**
 * Imports lists of work into the store.
 *
 * @since 0.1.0
 */
import type { NewTask } from "@baton/core/Task"
import { TaskStore } from "@baton/core/TaskStore"
import type { TasksRefused, TaskStoreError } from "@baton/core/TaskStoreError"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Scope from "effect/Scope"
import type * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import type { Format } from "./Format.ts"
import { ProblemList } from "./ProblemList.ts"
import { parseTemplate, readEntries, type ReadOptions, type SourceTask } from "./readTasks.ts"
import * as Source from "./Source.ts"
import * as SourceError from "./SourceError.ts"
import { validateSources } from "./validateSources.ts"

/** What an import did. */
export interface ImportResult extends ImportCounts {
  readonly perSource: ReadonlyArray<SourceResult>
  /** What a person should hear of though nothing is wrong, such as a source without tasks. */
  readonly warnings: ReadonlyArray<string>
}

/** What an import did with one source. */
export interface SourceResult extends ImportCounts {
  readonly source: string
}

interface ImportCounts {
  readonly added: number
  /** How many were in the store before, or were repeated under the same id. */
  readonly existing: number
  /** How many were over already: ticked, or saved as completed or cancelled. */
  readonly skipped: number
}

/** A batch is full when it has this many tasks or their descriptions this many characters, whichever comes first. */
const batchLimit = { tasks: 1000, characters: 4 * 1024 * 1024 }

/**
 * Adds the tasks of all sources to the store; importing the same again adds nothing. Sources are paths, or `-` for standard
 * input.
 *
 * All sources are read twice: once to find what is wrong, and once, when nothing is, to add them. So either everything is
 * added or nothing, unless the store fails on the way or a file is changed under it; importing again then adds the rest.
 * Tasks are added in the order of the sources, but one that comes before what it depends on is added at the end. Memory
 * grows with the number of ids that the sources give and of such tasks, and not with what the others say.
 *
 * @category constructors
 * @since 0.1.0
 */
export const importSources = Effect.fnUntraced(function* (
  sources: ReadonlyArray<string>,
  options: ReadOptions = {}
): Effect.fn.Return<
  ImportResult,
  SourceError.SourceError | TaskStoreError,
  TaskStore | FileSystem.FileSystem | Stdio.Stdio | Scope.Scope
> {
  const template = yield* parseTemplate(options.template)
  const opened = yield* Effect.forEach(Arr.dedupe(sources), (source) => Source.open(source, options.format))
  const validated = yield* validateSources(opened, template)
  const tallies = opened.map((source): Tally => ({ source, added: 0, existing: 0, skipped: 0, blank: [] }))
  const postponed = new Map<string, Located>()
  const batch = yield* makeBatch
  for (const tally of tallies) {
    yield* Stream.runForEachArray(
      readEntries(tally.source, template),
      Effect.fnUntraced(function* (entries) {
        for (const entry of entries) {
          if (entry._tag === "Problem") return yield* changed(tally, entry.line, entry.message)
          if (entry._tag === "Over") {
            tally.skipped++
            continue
          }
          const task = withoutMet(entry.task, validated.isCompleted)
          if (!/\S/.test(task.description)) tally.blank.push(entry.line)
          if (!validated.postponed.has(task.id)) yield* batch.add({ tally, line: entry.line, task })
          else if (postponed.has(task.id)) tally.existing++
          else postponed.set(task.id, { tally, line: entry.line, task })
        }
      })
    )
  }
  for (const id of validated.postponed) {
    const located = postponed.get(id)
    if (located !== undefined) yield* batch.add(located)
  }
  yield* batch.flush
  return summarize(tallies)
}, Effect.scoped)

interface Tally {
  readonly source: Source.Source
  added: number
  existing: number
  skipped: number
  /** The lines from which a template rendered nothing. */
  readonly blank: Array<number>
}

interface Located extends SourceTask {
  readonly tally: Tally
}

/** A task without the dependencies that were completed before, and that the store will therefore never hear of. */
const withoutMet = (task: NewTask, isCompleted: (id: string) => boolean): NewTask =>
  task.dependsOn?.some(isCompleted) === true
    ? { ...task, dependsOn: task.dependsOn.filter((id) => !isCompleted(id)) }
    : task

/** Adds tasks to the store many at a time. */
const makeBatch = Effect.map(TaskStore, (store) => {
  let batch: Array<Located> = []
  let characters = 0
  const flush = Effect.suspend(() => {
    const full = batch
    batch = []
    characters = 0
    return full.length === 0 ? Effect.void : addBatch(store, full)
  })
  const add = (located: Located) => {
    batch.push(located)
    characters += located.task.description.length
    return batch.length >= batchLimit.tasks || characters >= batchLimit.characters ? flush : Effect.void
  }
  return { add, flush }
})

const changed = (tally: Tally, line: number, what: string) =>
  Effect.fail(
    SourceError.make(tally.source.name, line, `the file changed while it was imported (${what}); import it again`)
  )

const addBatch = Effect.fnUntraced(function* (store: TaskStore["Service"], batch: ReadonlyArray<Located>) {
  const byId = new Map(batch.toReversed().map((located) => [located.task.id, located]))
  const tasks = batch.filter((located) => byId.get(located.task.id) === located).map(({ task }) => task)
  const { added } = yield* Effect.catchTag(store.add(tasks), "TasksRefused", (error) => refused(error, byId))
  const isNew = new Set(added)
  for (const located of batch) {
    if (isNew.delete(located.task.id)) located.tally.added++
    else located.tally.existing++
  }
})

/** The first reading has looked at all this, so another program was at work on the store in between. */
const refused = (error: TasksRefused, byId: ReadonlyMap<string, Located>) => {
  const problems = new ProblemList()
  for (const { message, taskId } of error.refusals) {
    const located = byId.get(taskId)
    problems.add(located?.tally.source.name ?? taskId, located?.line ?? null, message)
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

const warnings = ({ added, blank, existing, skipped, source }: Tally): ReadonlyArray<string> => {
  const found: Array<string> = []
  if (added + existing + skipped === 0)
    found.push(`${source.name}: there is no task in it${hints[source.format] ?? ""}`)
  const [line] = blank
  if (line !== undefined) {
    const others = blank.length === 1 ? "" : ` and from ${blank.length - 1} more`
    found.push(`${source.name}:${line}: the template renders an empty description from this record${others}`)
  }
  return found
}

const hints: { readonly [format in Format]?: string } = {
  md: "; a task is an open checkbox, such as - [ ] write the report"
}
