import * as Effect from "effect/Effect"
import type { TaskId, TaskStatus } from "../../Task.ts"
import * as TaskState from "../../TaskState.ts"
import type { PruneOptions, ReviseOptions, Revision, Selection, TaskStore } from "../../TaskStore.ts"
import type { ChangeReply, SelectionRow, TaskStoreDriver } from "../../TaskStoreDriver.ts"
import { TaskStoreError } from "../../TaskStoreError.ts"
import * as Admission from "./admission.ts"
import * as Codec from "./codec.ts"
import { charactersOfRevision, parts } from "./splitBatch.ts"
import type { TaskWaiters } from "./taskWaiters.ts"
import * as Text from "./text.ts"
import type * as Waiting from "./waiting.ts"

const cancelReason = "The task was cancelled while it ran."

/** What changing tasks needs of its store. */
export interface StoreParts extends Pick<Waiting.Waiting, "announce">, Pick<TaskWaiters, "changed"> {
  readonly maxRows: number
  readonly maxCharacters: number
  readonly maxSelected: number
}

/** The changes of tasks that people ask for. */
export const make = (
  driver: TaskStoreDriver,
  { announce, changed, maxCharacters, maxRows, maxSelected }: StoreParts
): Pick<TaskStore["Service"], "requeue" | "revise" | "failWaiting" | "cancel" | "prune"> => {
  /** Changes the selected tasks, a part at a time: other processes write in between. */
  const change = Effect.fnUntraced(function* (
    selection: Selection,
    act: (selection: SelectionRow) => Effect.Effect<ChangeReply, TaskStoreError>
  ): Effect.fn.Return<{ readonly ids: ReadonlyArray<TaskId>; readonly interrupted: number }, TaskStoreError> {
    const ids: Array<TaskId> = []
    let interrupted = 0
    const note = (reply: ChangeReply) => {
      for (const id of reply.ids) ids.push(Codec.taskId(id))
      interrupted += reply.interrupted
      return reply.last
    }
    if ("ids" in selection) {
      const selected = Array.from(new Set(selection.ids), Text.encode)
      for (let from = 0; from < selected.length; from += maxSelected) {
        note(yield* act({ ids: selected.slice(from, from + maxSelected) }))
      }
      return { ids, interrupted }
    }
    let after: number | null = 0
    while (after !== null) {
      after = note(yield* act({ status: selection.status, queue: selection.queue ?? null, after, limit: maxSelected }))
      if (after !== null) yield* Effect.yieldNow
    }
    return { ids, interrupted }
  })

  const requeue = Effect.fnUntraced(function* (selection: Selection) {
    const from = TaskState.statusesBefore("Requeued")
    if ("status" in selection && !from.includes(selection.status)) return []
    const { ids } = yield* change(selection, (part) => driver.requeue(part, { from }))
    if (ids.length > 0) announce("work")
    return ids
  })

  const revise = Effect.fnUntraced(function* (
    revisions: ReadonlyArray<Revision>,
    options?: ReviseOptions
  ): Effect.fn.Return<ReadonlyArray<TaskId>, TaskStoreError> {
    const legal = TaskState.statusesBefore("Revised")
    const from = options?.from?.filter((status) => legal.includes(status)) ?? legal
    if (driver.revise === undefined) {
      return yield* unusable(
        `${driver.place} does not support changing stored tasks: cancel and prune them, and add them again.`
      )
    }
    if (revisions.length === 0 || from.length === 0) return []
    const [invalid] = Admission.invalid(revisions.map(({ taskId: id, work }) => ({ id, ...work })))
    if (invalid !== undefined) return yield* unusable(invalid.message)
    const ids: Array<TaskId> = []
    for (const { rows } of parts(revisions.map(Codec.revisionRow), charactersOfRevision, maxRows, maxCharacters)) {
      for (const id of yield* driver.revise(rows, { from })) ids.push(Codec.taskId(id))
    }
    if (ids.length > 0) announce("work")
    return ids
  })

  const failWaiting = Effect.fnUntraced(function* (
    selected: ReadonlyArray<string>,
    reason: string
  ): Effect.fn.Return<ReadonlyArray<TaskId>, TaskStoreError> {
    const { failWaiting: write } = driver
    if (write === undefined) {
      return yield* unusable(
        `${driver.place} does not support failing the dependents of failed tasks: let them wait, or cancel them.`
      )
    }
    const from = TaskState.statusesBefore("DependencyFailed")
    const encoded = Array.from(new Set(selected), Text.encode)
    const ids: Array<TaskId> = []
    for (let at = 0; at < encoded.length; at += maxSelected) {
      const part = yield* write(encoded.slice(at, at + maxSelected), { from, feedback: Text.encode(reason) })
      for (const id of part) ids.push(Codec.taskId(id))
    }
    if (ids.length === 0) return ids
    changed(() => ids.map(Text.encode))
    announce("settled")
    announce("work")
    return ids
  })

  const cancel = Effect.fnUntraced(function* (selection: Selection) {
    const from = TaskState.statusesBefore("Cancelled")
    if ("status" in selection && !from.includes(selection.status)) return []
    const { ids, interrupted } = yield* change(selection, (part) => driver.cancel(part, { from, reason: cancelReason }))
    if (interrupted > 0) announce("control")
    if (ids.length > 0) {
      announce("settled")
      announce("work")
    }
    changed(() => ids.map(Text.encode))
    return ids
  })

  const prune = Effect.fnUntraced(function* ({ ids, olderThan, queue, statuses }: PruneOptions) {
    const unchangedMillis = olderThan === undefined ? null : Codec.toMillis(olderThan)
    const selections: ReadonlyArray<Selection> =
      ids === undefined ? statuses.map((status) => ({ status, queue })) : [{ ids }]
    let count = 0
    for (const selection of selections) {
      const from: ReadonlyArray<TaskStatus> = "status" in selection ? [selection.status] : statuses
      const pruned = yield* change(selection, (part) => driver.prune(part, { from, unchangedMillis }))
      count += pruned.ids.length
      changed(() => pruned.ids.map(Text.encode))
    }
    if (count > 0) announce("settled")
    return count
  })

  return { requeue, revise, failWaiting, cancel, prune }
}

const unusable = (message: string) => new TaskStoreError({ reason: "Unusable", message })
