/** Makes the tasks of a pipeline. */
import type { TaskId } from "@baton/core/Task"
import { idInQueue, localId, type Metadata, type NewTask } from "@baton/core/Task"
import { inQueues, TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Scope from "effect/Scope"
import type * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as ids from "../sources/ids.ts"
import { parseOptions, readEntries, type TaskEntry } from "../sources/readTasks.ts"
import * as Source from "../sources/Source.ts"
import { ProblemList, type SourceError } from "../sources/SourceError.ts"
import * as Template from "../sources/template.ts"
import { validateSources } from "../sources/validateSources.ts"
import type { Pipeline, Stage } from "./Pipeline.ts"

/** A task of a stage, and the place that it comes from. */
export interface StageTask {
  readonly stage: Stage
  readonly file: string
  readonly line: number
  /** With the id that it has in the store. */
  readonly task: NewTask
}

/** A task, as the stages after it see it. */
interface Item {
  readonly id: TaskId
  readonly metadata: Metadata
  readonly priority: number | undefined
  readonly concurrencyKey: string | undefined
  /** The tasks of earlier stages that its input comes from, and itself, by their stages. */
  readonly origins: ReadonlyMap<string, ReadonlyArray<TaskId>>
}

/** The name of the task of a stage that reduces all tasks of another one. */
const reduced = "all"

/**
 * The tasks of all stages: each comes after those that it depends on, except within one source. Fails with the problems of
 * all sources and templates.
 */
export const compile = Effect.fnUntraced(function* (
  pipeline: Pipeline,
  onChecked: (tasks: number) => void
): Effect.fn.Return<
  ReadonlyArray<StageTask>,
  SourceError | TaskStoreError,
  TaskStore | FileSystem.FileSystem | Stdio.Stdio | Scope.Scope
> {
  const problems = new ProblemList()
  const byStage = new Map<string, ReadonlyArray<Item>>()
  const tasks: Array<StageTask> = []
  for (const stage of pipeline.stages) {
    const { input } = stage
    if (input._tag === "Sources") {
      const read = yield* Effect.result(readStage(stage, input.sources, onChecked))
      if (read._tag === "Success") {
        for (const task of read.success) tasks.push(task)
        byStage.set(stage.name, read.success.map(itemOf))
      } else if (read.failure._tag === "SourceError") problems.addAll(read.failure)
      else return yield* read.failure
      continue
    }
    const inputs = byStage.get(input.stage)
    // Its source has problems, which are reported.
    if (inputs === undefined) continue
    const made =
      input._tag === "Each"
        ? inputs.map((item) => derive(pipeline, stage, input.stage, [item], localName(item.id, pipeline, input.stage)))
        : inputs.length === 0
          ? []
          : [derive(pipeline, stage, input.stage, inputs, reduced)]
    const missing = made.find(({ problem }) => problem !== undefined)?.problem
    if (missing !== undefined) problems.add(pipeline.file, stage.template?.line ?? stage.line, missing)
    for (const { task } of made) tasks.push(task)
    byStage.set(
      stage.name,
      made.map(({ item }) => item)
    )
    onChecked(made.length)
  }
  yield* problems.check
  return tasks
})

/** The tasks of the sources of a stage. */
const readStage = Effect.fnUntraced(function* (
  stage: Stage,
  sources: ReadonlyArray<string>,
  onChecked: (tasks: number) => void
): Effect.fn.Return<
  ReadonlyArray<StageTask>,
  SourceError | TaskStoreError,
  TaskStore | FileSystem.FileSystem | Stdio.Stdio | Scope.Scope
> {
  const template = stage.template?.text
  const reading = yield* parseOptions({ template })
  const opened = yield* Effect.forEach(sources, (source) => Source.open(source, { template }))
  const whole = yield* TaskStore
  const { isCompleted } = yield* Effect.provideService(
    validateSources(opened, reading, onChecked),
    TaskStore,
    inQueues(whole, [stage.queue])
  )
  const occurrences = new Map<string, number>()
  const idOf = ({ named, task }: Extract<TaskEntry, { readonly _tag: "Task" }>): string => {
    if (named) return task.id
    // Another template does not change what a record is called, so that its tasks in later stages stay the same.
    const isRecord = template !== undefined && Object.keys(task.metadata ?? {}).length > 0
    const content = ids.ofContent(isRecord ? { ...task, description: "" } : task)
    const occurrence = (occurrences.get(content) ?? 0) + 1
    occurrences.set(content, occurrence)
    return ids.ofOccurrence(content, occurrence)
  }
  const tasks: Array<StageTask> = []
  const seen = new Set<string>()
  for (const source of opened) {
    yield* Stream.runForEach(readEntries(source, reading), (entry) =>
      Effect.sync(() => {
        if (entry._tag !== "Task") return
        const { dependsOn, ...task } = entry.task
        const id = idInQueue(stage.queue, idOf(entry))
        if (seen.has(id)) return
        seen.add(id)
        const unfinished = dependsOn?.filter((id) => !isCompleted(id)).map((id) => idInQueue(stage.queue, id))
        tasks.push({
          stage,
          file: source.name,
          line: entry.line,
          task: {
            ...task,
            id,
            queue: stage.queue,
            ...(unfinished === undefined || unfinished.length === 0 ? undefined : { dependsOn: unfinished })
          }
        })
      })
    )
  }
  return tasks
})

const itemOf = ({ stage, task: { concurrencyKey, id, metadata = {}, priority } }: StageTask): Item => ({
  id,
  metadata,
  priority,
  concurrencyKey,
  origins: new Map([[stage.name, [id]]])
})

const localName = (id: TaskId, { stages }: Pipeline, stage: string): string =>
  localId({ id, queue: stages.find(({ name }) => name === stage)?.queue ?? "" })

/** The task of a stage that gets the outputs of these tasks of its input, and the first problem of its template. */
const derive = (
  pipeline: Pipeline,
  stage: Stage,
  input: string,
  items: ReadonlyArray<Item>,
  name: string
): { readonly task: StageTask; readonly item: Item; readonly problem: string | undefined } => {
  const [first] = items
  const isOne = items.length === 1 && stage.input._tag === "Each"
  const metadata = isOne ? (first?.metadata ?? {}) : {}
  const origins = new Map<string, Array<TaskId>>()
  for (const item of items) {
    for (const [stage, ids] of item.origins) {
      const known = origins.get(stage)
      if (known === undefined) origins.set(stage, [...ids])
      else known.push(...ids)
    }
  }
  const used = stage.template === undefined ? [] : Template.names(stage.template.parsed)
  const dependsOn = new Set(items.map(({ id }) => id))
  let problem: string | undefined
  for (const field of used) {
    const outputs = origins.get(field.split(".")[0] ?? field)
    if (outputs !== undefined) for (const id of outputs) dependsOn.add(id)
    else if (!Object.hasOwn(metadata, field) && Template.at(metadata, field.split(".")) === undefined) {
      const known = [...origins.keys(), ...Object.keys(metadata)]
      problem ??= `the template uses {{${field}}}, but there is no earlier stage and no field of this name; there are ${Template.list(known)}`
    }
  }
  const id = idInQueue(stage.queue, name)
  const { concurrencyKey, priority } = isOne && first !== undefined ? first : noOrder
  const task: NewTask = {
    id,
    queue: stage.queue,
    description: stage.template?.text ?? `{{${input}}}`,
    dependsOn: [...dependsOn],
    ...(Object.keys(metadata).length === 0 ? undefined : { metadata }),
    ...(priority === undefined ? undefined : { priority }),
    ...(concurrencyKey === undefined ? undefined : { concurrencyKey })
  }
  return {
    task: { stage, file: pipeline.file, line: stage.template?.line ?? stage.line, task },
    item: { id, metadata, priority, concurrencyKey, origins: origins.set(stage.name, [id]) },
    problem
  }
}

const noOrder = { concurrencyKey: undefined, priority: undefined }
