/**
 * Schedules: commands that run at times which a cron expression gives.
 *
 * The ticks of a schedule are tasks of one queue of the store. Each tick has the schedule's definition as its payload, and the
 * time as part of its id, so that it exists once, however many processes evaluate the schedule: adding it again adds
 * nothing, and one worker claims it. A tick adds the next one before it runs.
 */
import * as CronExpression from "@baton/core/CronExpression"
import { idInQueue, type Task, TaskId } from "@baton/core/Task"
import * as TaskQueue from "@baton/core/TaskQueue"
import { inQueues, TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { schedulesQueue } from "../run/queues.ts"
import { pages } from "@baton/core/TaskPages"

/** What to do with ticks whose time passed while no scheduler ran. */
export const missedPolicies = ["skip", "once", "all"] as const

/** What to do with a tick while the one before it is still running. */
export const overlapPolicies = ["skip", "queue", "cancel"] as const

const definition = {
  name: Schema.NonEmptyString,
  cron: Schema.String,
  timezone: Schema.String,
  /** The command, without `baton`. */
  args: Schema.Array(Schema.String),
  missed: Schema.Literals(missedPolicies),
  overlap: Schema.Literals(overlapPolicies)
}

/** A schedule, as a user defines it. */
export const Definition = Schema.Struct(definition)

export interface Definition extends Schema.Schema.Type<typeof Definition> {}

/** One tick of a schedule; `at` is null for the mark of a paused schedule, which is never due. */
export const Tick = Schema.Struct({ ...definition, at: Schema.NullOr(Schema.DateTimeUtcFromString) })

export interface Tick extends Schema.Schema.Type<typeof Tick> {}

/** How a tick ended. */
export const Ended = Schema.Struct({
  /** The exit code of the command; null if it was not run. */
  exitCode: Schema.NullOr(Schema.Int),
  /** Why the command was not run. */
  skipped: Schema.NullOr(Schema.String)
})

export interface Ended extends Schema.Schema.Type<typeof Ended> {}

/** The queue of the ticks of all schedules. */
export const Ticks = TaskQueue.make({
  name: schedulesQueue,
  payload: Tick,
  result: Ended,
  describe: ({ args, name }) => `${name}: baton ${args.join(" ")}`
})

/** A schedule in the store. */
export interface Stored {
  readonly definition: Definition
  /** Its next tick; null while it is paused. */
  readonly next: DateTime.Utc | null
  readonly isRunning: boolean
  /** The tick that ended last. */
  readonly last: { readonly at: DateTime.Utc; readonly ended: Ended | null } | null
}

/** The first tick after a time. A definition is checked before it is stored. */
export const nextAfter = ({ cron, timezone }: Definition, time: DateTime.Utc): DateTime.Utc =>
  Result.getOrThrow(Result.flatMap(CronExpression.parse(cron, timezone), (cron) => CronExpression.after(cron, time)))

/** So far in the future that it is never due. */
const never = DateTime.makeUnsafe("9999-01-01T00:00:00Z")

const pausedId = (name: string) => `${name}@paused`

/** The task of a tick. */
export const tickOf = (definition: Definition, at: DateTime.Utc | null): TaskQueue.NewQueueTask<Tick> => ({
  id: at === null ? pausedId(definition.name) : `${definition.name}@${DateTime.formatIso(at)}`,
  payload: { ...definition, at },
  availableAt: at ?? never,
  ...(definition.overlap === "queue" ? { concurrencyKey: definition.name } : undefined)
})

/** Adds the first tick after now of each definition. Stored ticks are unchanged. */
export const start = Effect.fnUntraced(function* (definition: Definition) {
  const at = nextAfter(definition, yield* DateTime.now)
  yield* Ticks.add([tickOf(definition, at)])
  return at
})

export const isPaused = (name: string): Effect.Effect<boolean, TaskStoreError, TaskStore> =>
  Effect.map(
    TaskStore.use((store) => store.get(Ticks.taskId(pausedId(name)))),
    Option.exists(({ status }) => status === "pending")
  )

const decodeTick = Schema.decodeUnknownOption(Schema.toCodecJson(Tick))
const decodeEnded = Schema.decodeUnknownOption(Schema.fromJsonString(Ended))

/** A tick and its task. */
export interface StoredTick {
  readonly task: Task
  readonly tick: Tick
}

/** The ticks in the store, by the names of their schedules. */
export const ticks = (options?: {
  readonly status?: Task["status"]
}): Effect.Effect<ReadonlyMap<string, ReadonlyArray<StoredTick>>, TaskStoreError, TaskStore> =>
  Effect.gen(function* () {
    const store = yield* TaskStore
    const found: Array<StoredTick> = []
    yield* pages(options).pipe(
      Stream.provideService(TaskStore, inQueues(store, [schedulesQueue])),
      Stream.runForEachArray((tasks) =>
        Effect.sync(() => {
          for (const task of tasks) {
            const tick = Option.getOrUndefined(decodeTick(task.payload))
            if (tick !== undefined) found.push({ task: { ...task, id: idInQueue(schedulesQueue, task.id) }, tick })
          }
        })
      )
    )
    return Map.groupBy(found, ({ tick }) => tick.name)
  })

const millisOf = ({ tick }: StoredTick): number => (tick.at === null ? Infinity : tick.at.epochMilliseconds)

/** A schedule from its ticks. */
export const fromTicks = (ticks: ReadonlyArray<StoredTick>): Stored | undefined => {
  const sorted = ticks.toSorted((left, right) => millisOf(left) - millisOf(right))
  const latest = sorted.at(-1)
  if (latest === undefined) return undefined
  const { at: _, ...definition } = latest.tick
  const pending = sorted.filter(({ task }) => task.status === "pending")
  const isPaused = pending.some(({ tick }) => tick.at === null)
  const last = sorted.findLast(
    ({ task, tick }) => tick.at !== null && task.status !== "pending" && task.status !== "in_progress"
  )
  return {
    definition,
    next: isPaused ? null : (pending[0]?.tick.at ?? null),
    isRunning: sorted.some(({ task }) => task.status === "in_progress"),
    last:
      last === undefined || last.tick.at === null
        ? null
        : { at: last.tick.at, ended: Option.getOrNull(decodeEnded(last.task.result)) }
  }
}

/** Cancels and deletes these ticks. Ticks that are running are left alone. */
const discard = Effect.fnUntraced(function* (ticks: ReadonlyArray<StoredTick>) {
  const store = yield* TaskStore
  const ids = ticks.filter(({ task }) => task.status !== "in_progress").map(({ task }) => TaskId.make(task.id))
  if (ids.length === 0) return
  yield* store.cancel({ ids })
  yield* store.prune({ statuses: ["completed", "failed", "cancelled"], ids })
})

/** Pauses a schedule. The mark is there first, so that no tick starts in between. */
export const pause = Effect.fnUntraced(function* (ofName: ReadonlyArray<StoredTick>, definition: Definition) {
  yield* Ticks.add([tickOf(definition, null)])
  yield* discard(ofName.filter(({ task, tick }) => task.status === "pending" && tick.at !== null))
})

/** Resumes a schedule. Ticks of the time in which it was paused do not happen. */
export const resume = Effect.fnUntraced(function* (ofName: ReadonlyArray<StoredTick>, definition: Definition) {
  const at = yield* start(definition)
  yield* discard(ofName.filter(({ tick }) => tick.at === null))
  return at
})

/** Deletes a schedule and its history. */
export const remove = discard
