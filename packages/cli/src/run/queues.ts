/** Which queues of a store a command works on. */
import { defaultQueue } from "@baton/core/Task"
import { inQueues, type QueueCounts, TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Effect from "effect/Effect"
import type * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Arr from "effect/Array"
import { QueueFlag } from "../settings/flags.ts"
import { queueOf } from "../sources/queueOf.ts"
import { CommandFailed } from "../system/CommandFailed.ts"
import { nearest } from "../system/nearest.ts"
import { count } from "../view/quantity.ts"
import { safeText } from "../view/safeText.ts"

type Queues = Arr.NonEmptyReadonlyArray<string>
type QueueSetting = GlobalFlag.Setting.Identifier<"queue">

/** The queue of the ticks of schedules. No source has a name with `@`, and commands on all queues leave such queues alone. */
export const schedulesQueue = "@schedules"

/** The queues with tasks of the user: those of schedules and of executions of workflows begin with `@`. */
const ofUser = (queues: ReadonlyArray<QueueCounts>) => queues.filter(({ queue }) => !queue.startsWith("@"))

/** Chooses the queue of a source: that of `--queue`, or the one named after the source. */
export const sourceQueues: Effect.Effect<(source: string) => string, never, QueueSetting> = Effect.map(
  QueueFlag,
  (queue) => (queue === undefined ? queueOf : () => queue)
)

/** The queues of these sources. */
export const ofSources = (sources: Queues): Effect.Effect<Queues, never, QueueSetting> =>
  Effect.map(sourceQueues, (queueOf) => Arr.dedupe(Arr.map(sources, queueOf)))

/**
 * The part of a store that a command without sources reads or changes: the queue of `--queue`, the only queue, or all
 * queues. In the part of one queue, tasks are called as in their source.
 */
export const selected = Effect.fnUntraced(function* (
  store: TaskStore["Service"]
): Effect.fn.Return<TaskStore["Service"], CommandFailed | TaskStoreError, QueueSetting> {
  const chosen = yield* choose(store)
  if (chosen.length === 1) return inQueues(store, chosen)
  const all = yield* store.queues
  return all.length === chosen.length ? store : inQueues(store, chosen)
})

/** The part of a store that is in the queue of `--queue`, or the whole store without it. */
export const named = Effect.fnUntraced(function* (
  store: TaskStore["Service"]
): Effect.fn.Return<TaskStore["Service"], CommandFailed | TaskStoreError, QueueSetting> {
  return (yield* QueueFlag) === undefined ? store : inQueues(store, yield* choose(store))
})

/** The queue of `--queue`, or all queues. */
export const choose = Effect.fnUntraced(function* (
  store: TaskStore["Service"]
): Effect.fn.Return<Queues, CommandFailed | TaskStoreError, QueueSetting> {
  const queue = yield* QueueFlag
  const queues = yield* store.queues
  if (queue !== undefined) {
    yield* mustExist(queue, queues)
    return [queue]
  }
  const names = ofUser(queues).map(({ queue }) => queue)
  return Arr.isReadonlyArrayNonEmpty(names) ? names : [defaultQueue]
})

/** The queue of `--queue`, or the only one. */
export const only = Effect.gen(function* () {
  const [first, ...others] = yield* choose(yield* TaskStore)
  if (others.length === 0) return first
  return yield* new CommandFailed({
    message: `This store has several queues: ${[first, ...others].slice(0, 8).map(safeText).join(", ")}. Name one, as in --queue ${safeText(first)}.`
  })
})

/** The queue that a run without sources continues. */
export const unfinished = Effect.fnUntraced(function* (
  store: TaskStore["Service"]
): Effect.fn.Return<Queues, CommandFailed | TaskStoreError, QueueSetting> {
  const queue = yield* QueueFlag
  const queues = yield* store.queues
  if (queue !== undefined) {
    yield* mustExist(queue, queues)
    return [queue]
  }
  const users = ofUser(queues)
  const open = users.filter(({ in_progress, pending }) => pending + in_progress > 0)
  const [first, ...others] = open.length > 0 ? open : users
  if (first === undefined) return [defaultQueue]
  if (others.length === 0) return [first.queue]
  const lines = [first, ...others].map(
    ({ in_progress, pending, queue }) => `  ${safeText(queue)}: ${count(pending + in_progress, "unfinished task")}`
  )
  const what = open.length > 0 ? "Several queues have unfinished tasks" : "All tasks of these queues are finished"
  return yield* new CommandFailed({
    message: `${what}:\n${lines.join("\n")}\nName the one to run, as in --queue ${safeText(first.queue)}, or name its source.`
  })
})

/** The number of names that fit into a sentence. */
const maxNamed = 8
const list = (names: ReadonlyArray<string>) => {
  const more = names.length - maxNamed
  return [...names.slice(0, maxNamed).map(safeText), ...(more > 0 ? [`${more} more`] : [])].join(", ")
}

const mustExist = (queue: string, queues: ReadonlyArray<QueueCounts>) => {
  const names = queues.map(({ queue }) => queue)
  if (queues.length === 0 || names.includes(queue)) return Effect.void
  const [close] = nearest(queue, names)
  const hint =
    close === undefined || names.length <= maxNamed
      ? `The queues of this store are ${list(names)}.`
      : `Did you mean ${safeText(close)}?`
  return Effect.fail(new CommandFailed({ message: `There is no queue ${safeText(queue)} in this store. ${hint}` }))
}
