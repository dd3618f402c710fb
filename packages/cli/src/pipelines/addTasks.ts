/** Adds the tasks of a pipeline to the store. */
import type { Task } from "@baton/core/Task"
import { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import type { Environment } from "effect/cli/Prompt"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Changes from "../sources/changes.ts"
import type { ChangesRefused, SourceResult } from "../sources/importSources.ts"
import { ProblemList, type SourceError } from "../sources/SourceError.ts"
import type { StageTask } from "./compile.ts"
import type { Pipeline } from "./Pipeline.ts"

/** Stores answer these from an index; more concurrent lookups would only queue up. */
const lookups = { concurrency: 16 }

/**
 * Adds the tasks that are new. Returns the numbers of each stage.
 *
 * A task with another text or another input than in the store is handled as `decide` says, and with it the tasks that get
 * their input from it. A pending task that only has another input, because its source has more records, gets that input.
 */
export const addTasks = Effect.fnUntraced(function* (
  pipeline: Pipeline,
  tasks: ReadonlyArray<StageTask>,
  decide: (comparison: Changes.Comparison) => Effect.Effect<Changes.OnChanged, ChangesRefused, Environment>
): Effect.fn.Return<
  ReadonlyArray<SourceResult>,
  SourceError | TaskStoreError | ChangesRefused,
  TaskStore | Environment
> {
  const store = yield* TaskStore
  const { waiting: _, ...counts } = yield* store.counts
  const isEmpty = Object.values(counts).every((count) => count === 0)
  const found = isEmpty
    ? []
    : yield* Effect.forEach(tasks, ({ task }) => Effect.map(store.get(task.id), Option.getOrUndefined), lookups)

  const changes = tasks.map((task, index) => compare(task, found[index]))
  const asked = changes.flatMap((change) => (change === undefined || change.isSilent ? [] : change.shown))
  const decided = asked.length === 0 ? "update" : yield* decide(comparisonOf(tasks, found, asked))
  const replaced = new Map<string, Changes.Change>()
  const kept = new Set<string>()
  for (const [index, { file, line, task }] of tasks.entries()) {
    const stored = found[index]
    if (stored === undefined) continue
    const change = changes[index]
    const hasNewInput = task.dependsOn?.some((id) => replaced.has(id)) === true
    if (change === undefined && !hasNewInput) continue
    const difference = { source: file, line, task, stored: Changes.remember(stored) }
    if (change?.isSilent === true || Changes.isReplaced(difference, decided)) replaced.set(task.id, difference)
    else kept.add(task.id)
  }
  yield* Changes.replace([...replaced.values()], decided)

  const { added } = yield* store.add(tasks.flatMap(({ task }) => (kept.has(task.id) ? [] : [task]))).pipe(
    Effect.catchTag("TasksRefused", ({ refusals }) => {
      const problems = new ProblemList()
      const places = new Map(tasks.map((each) => [each.task.id, each]))
      for (const { message, taskId } of refusals) {
        const place = places.get(taskId)
        problems.add(place?.file ?? pipeline.file, place?.line ?? null, message)
      }
      return Effect.andThen(problems.check, Effect.die(new Error("tasks were refused without a reason")))
    })
  )
  const isNew = new Set<string>(added)
  return pipeline.stages.map(({ name }) => {
    const ofStage = tasks.filter(({ stage }) => stage.name === name)
    const fresh = ofStage.filter(({ task }) => isNew.has(task.id)).length
    return { source: `${pipeline.file}: ${name}`, added: fresh, existing: ofStage.length - fresh, skipped: 0 }
  })
})

/** How a task differs from the stored one. Silent when the user has nothing to decide. */
const compare = (
  { file, line, task }: StageTask,
  stored: Task | undefined
): { readonly shown: Changes.Change; readonly isSilent: boolean } | undefined => {
  if (stored === undefined) return undefined
  const inputs = task.dependsOn ?? []
  const known = new Set<string>(stored.dependsOn)
  const hasSameInput = known.size === new Set(inputs).size && inputs.every((id) => known.has(id))
  const hasSameText = stored.description === task.description
  if (hasSameInput && hasSameText) return undefined
  const withInputs = (text: string, count: number) => (hasSameInput ? text : `${text} (${count} inputs)`)
  const remembered = Changes.remember(stored)
  return {
    isSilent: hasSameText && stored.status === "pending",
    shown: {
      source: file,
      line,
      task: { ...task, description: withInputs(task.description, inputs.length) },
      stored: { ...remembered, beginning: withInputs(remembered.beginning, known.size) }
    }
  }
}

const comparisonOf = (
  tasks: ReadonlyArray<StageTask>,
  found: ReadonlyArray<Task | undefined>,
  changed: ReadonlyArray<Changes.Change>
): Changes.Comparison => {
  const added = found.filter((stored) => stored === undefined).length
  return { ...Changes.nothing, added, unchanged: tasks.length - added - changed.length, changed }
}
