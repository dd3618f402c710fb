import { isReadonlyArrayNonEmpty } from "effect/Array"
import * as Effect from "effect/Effect"
import type { NewTask, TaskId } from "../../Task.ts"
import * as TaskRecord from "../../TaskRecord.ts"
import type { AddResult, TaskStore } from "../../TaskStore.ts"
import type { AddReply, TaskStoreDriver } from "../../TaskStoreDriver.ts"
import { type Refusal, TasksRefused, TaskStoreError } from "../../TaskStoreError.ts"
import * as Admission from "./admission.ts"
import * as Codec from "./codec.ts"
import * as Text from "./text.ts"
import type * as Waiting from "./waiting.ts"

/** Adds tasks: new ones, and tasks of another store. */
export const make = (
  driver: TaskStoreDriver,
  { announce }: Pick<Waiting.Waiting, "announce">
): Pick<TaskStore["Service"], "add" | "restore"> => {
  const maxIdBytes = driver.limits?.idBytes ?? Infinity

  const refuseLongIds = (ids: ReadonlyArray<TaskId>): Effect.Effect<void, TaskStoreError> => {
    if (maxIdBytes === Infinity) return Effect.void
    const long = ids.find((id) => byteLength(Text.encode(id)) > maxIdBytes)
    return long === undefined
      ? Effect.void
      : Effect.fail(
          unusable(
            `The id that begins with ${JSON.stringify(long.slice(0, 40))} is too long: ${driver.place} holds ids of up to ${maxIdBytes} bytes.`
          )
        )
  }

  const add = Effect.fnUntraced(function* (
    tasks: ReadonlyArray<NewTask>
  ): Effect.fn.Return<AddResult, TaskStoreError | TasksRefused> {
    if (tasks.length === 0) return { added: [], existing: 0, different: [] }
    yield* refuseLongIds(tasks.map(({ id }) => id))
    yield* refuseInvalid(tasks)
    const distinct = Admission.distinct(tasks)
    const cycles = Admission.cycles(distinct.tasks)
    const rows = distinct.tasks.map(Codec.newTaskRow)
    if (distinct.refusals.length > 0 || cycles.length > 0) {
      // Checks the store too, so that the refusal names every problem. Existing tasks depend on nothing in this call.
      const reply = yield* driver.add(rows, { checkOnly: true })
      const existing = new Set(reply.existing.map(Text.decode))
      const refusals = [
        ...distinct.refusals,
        ...refusalsOf(reply),
        ...Admission.cycles(distinct.tasks.filter(({ id }) => !existing.has(id))).flatMap(Admission.cycleRefusals)
      ]
      if (isReadonlyArrayNonEmpty(refusals)) return yield* new TasksRefused({ refusals })
    }
    const reply = yield* driver.add(rows, { checkOnly: false })
    const refusals = refusalsOf(reply)
    if (isReadonlyArrayNonEmpty(refusals)) return yield* new TasksRefused({ refusals })
    if (reply.existing.length < rows.length) announce("work")
    const existing = new Set(reply.existing.map(Text.decode))
    const added = distinct.tasks.map(({ id }) => id)
    return {
      added: existing.size === 0 ? added : added.filter((id) => !existing.has(id)),
      existing: existing.size,
      different: differentIds(distinct.different, reply)
    }
  })

  /** Refuses tasks with a field that no task can have, and keys where the driver does not support them. */
  const refuseInvalid = (
    tasks: Parameters<typeof Admission.invalid>[0]
  ): Effect.Effect<void, TaskStoreError | TasksRefused> => {
    const keyed =
      driver.concurrencyKeys === true ? undefined : tasks.find(({ concurrencyKey = null }) => concurrencyKey !== null)
    if (keyed !== undefined) {
      return Effect.fail(
        unusable(
          `Task ${JSON.stringify(keyed.id)} has a concurrency key. ${driver.place} does not support concurrency keys: leave the key out, or use another store.`
        )
      )
    }
    const refusals = Admission.invalid(tasks)
    return isReadonlyArrayNonEmpty(refusals) ? Effect.fail(new TasksRefused({ refusals })) : Effect.void
  }

  const restore = Effect.fnUntraced(function* (
    records: ReadonlyArray<TaskRecord.TaskRecord>
  ): Effect.fn.Return<void, TaskStoreError | TasksRefused> {
    yield* Effect.fromResult(TaskRecord.validate(records, () => false))
    yield* refuseLongIds(records.map(({ task }) => task.id))
    yield* refuseInvalid(records.map(({ task }) => task))
    if (records.length === 0) return
    const inReview = driver.decide === undefined ? records.find(({ task }) => task.status === "in_review") : undefined
    if (inReview !== undefined) {
      return yield* unusable(
        `Task ${JSON.stringify(inReview.task.id)} is in review. ${driver.place} cannot hold tasks for review: decide about it first, or use another store.`
      )
    }
    const present = new Set((yield* driver.restore(records.map(Codec.restoreRow))).map(Text.decode))
    yield* Effect.fromResult(TaskRecord.validate(records, (id) => present.has(id)))
    announce("work")
  })

  return { add, restore }
}

const unusable = (message: string) => new TaskStoreError({ reason: "Unusable", message })

/** Bytes in UTF-8 of text that is valid Unicode. */
const byteLength = (text: string): number => {
  let bytes = 0
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4
  }
  return bytes
}

const differentIds = (inCall: ReadonlySet<TaskId>, { different }: AddReply): ReadonlyArray<TaskId> =>
  inCall.size === 0 ? different.map(Codec.taskId) : Array.from(new Set([...inCall, ...different.map(Codec.taskId)]))

const refusalsOf = ({ conflicts, unknown }: AddReply): ReadonlyArray<Refusal> => {
  if (conflicts.length === 0 && unknown.length === 0) return []
  const byTask = new Map<TaskId, Array<TaskId>>()
  for (const { dependency, id } of unknown) {
    const task = Codec.taskId(id)
    const dependencies = byTask.get(task)
    if (dependencies === undefined) byTask.set(task, [Codec.taskId(dependency)])
    else dependencies.push(Codec.taskId(dependency))
  }
  return [
    ...conflicts.map((id) => Admission.idInUse(Codec.taskId(id))),
    ...Array.from(byTask, ([id, dependencies]) => Admission.unknownDependency(id, dependencies))
  ]
}
