import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Dependency } from "../../AttemptContext.ts"
import type { Task, TaskId } from "../../Task.ts"
import type { TaskStoreError } from "../../TaskStoreError.ts"
import type { RunParts } from "./parts.ts"
import { storeCall } from "./storeCall.ts"

/** How many tasks are read at the same time. */
const reads = 16

/** How many tasks are listed at a time. */
const pageSize = 1000

const none = Effect.succeed<ReadonlyArray<Dependency>>([])

/** The outputs of the tasks that a task depends on. A store that cannot read one of them is a defect, and fails the attempt. */
export const outputs = (parts: RunParts, { dependsOn }: Task): Effect.Effect<ReadonlyArray<Dependency>> =>
  dependsOn.length === 0
    ? none
    : Effect.orDie(
        Effect.forEach(
          dependsOn,
          (id) =>
            Effect.map(storeCall(parts, "get", parts.store.get(id)), (task) => ({
              id,
              ...(Option.isSome(task) && task.value.result !== undefined ? { output: task.value.result } : undefined)
            })),
          { concurrency: reads }
        )
      )

/** Carries out `onDependencyFailed` for the dependents of tasks that have just failed. */
export const onFailed = (parts: RunParts, failed: ReadonlyArray<TaskId>): Effect.Effect<void> =>
  failed.length === 0 || parts.config.onDependencyFailed === "wait"
    ? Effect.void
    : logged(endDependents(parts, () => Effect.succeed(failed)))

/**
 * The same for tasks that failed before this run: in a run with another setting, in one that died before it was done, or
 * before a dependent was added.
 */
export const onStart = (parts: RunParts): Effect.Effect<void> =>
  parts.config.onDependencyFailed === "wait"
    ? Effect.void
    : logged(endDependents(parts, () => Effect.map(listAll(parts, "failed"), (tasks) => tasks.map(({ id }) => id))))

/** Cancels or fails the pending tasks that depend on failed ones, directly or through others. */
const endDependents = Effect.fnUntraced(function* (
  parts: RunParts,
  failed: () => Effect.Effect<ReadonlyArray<TaskId>, TaskStoreError>
) {
  const { store } = parts
  const { waiting } = yield* storeCall(parts, "counts", store.counts)
  if (waiting === 0) return
  const dependents = dependentsOf(yield* failed(), yield* listAll(parts, "pending"))
  if (dependents.length === 0) return
  const isCancel = parts.config.onDependencyFailed === "cancel"
  const ending = isCancel ? store.cancel({ ids: dependents }) : store.failWaiting(dependents, dependencyFailed)
  const ended = yield* storeCall(parts, isCancel ? "cancel" : "failWaiting", ending, { size: dependents.length })
  if (ended.length === 0) return
  yield* Effect.logInfo(
    isCancel
      ? "Tasks were cancelled, because a task that they depend on failed"
      : "Tasks failed, because a task that they depend on failed"
  ).pipe(Effect.annotateLogs({ module: "Orchestrator", tasks: ended.length }))
})

/** All tasks with a status that depend on others, or all that failed. */
const listAll = Effect.fnUntraced(function* (parts: RunParts, status: "failed" | "pending") {
  const found: Array<Pick<Task, "id" | "dependsOn">> = []
  let cursor: string | undefined
  do {
    const page = yield* storeCall(parts, "list", parts.store.list({ status, limit: pageSize, cursor }))
    for (const { dependsOn, id } of page.tasks) {
      if (status === "failed" || dependsOn.length > 0) found.push({ id, dependsOn })
    }
    cursor = page.next
  } while (cursor !== undefined)
  return found
})

const dependentsOf = (
  failed: ReadonlyArray<TaskId>,
  tasks: ReadonlyArray<Pick<Task, "id" | "dependsOn">>
): ReadonlyArray<TaskId> => {
  const dependents = new Map<TaskId, Array<TaskId>>()
  for (const { dependsOn, id } of tasks) {
    for (const dependency of dependsOn) {
      const known = dependents.get(dependency)
      if (known === undefined) dependents.set(dependency, [id])
      else known.push(id)
    }
  }
  const found = new Set<TaskId>()
  const next = [...failed]
  for (let id = next.pop(); id !== undefined; id = next.pop()) {
    for (const dependent of dependents.get(id) ?? []) {
      if (found.has(dependent)) continue
      found.add(dependent)
      next.push(dependent)
    }
  }
  return Array.from(found)
}

/** The feedback of a dependent that fails. */
const dependencyFailed = "A task that this one depends on failed."

/** The dependents wait, as without the setting; the next run tries again. */
const logged = (effect: Effect.Effect<void, TaskStoreError>): Effect.Effect<void> =>
  Effect.catch(effect, (error) =>
    Effect.logWarning("The dependents of failed tasks were left waiting", error.message).pipe(
      Effect.annotateLogs({ module: "Orchestrator" })
    )
  )
