/** The live view of a store, for runs in other processes. */
import type { TaskId } from "@baton/core/Task"
import { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Usage from "@baton/core/Usage"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { pauseLines } from "../pauses.ts"
import { count, number } from "../quantity.ts"
import { failureOf, rowOf, TaskSlots } from "./fromProgress.ts"
import type { View } from "./View.ts"
import { type Failure, type Running, Rate } from "../Progress.ts"
import { clock, perSecond } from "../progressLine.ts"

/** More than any terminal can show. */
const maxRows = 100

/** The number of tasks to search for the latest dead letters or the first started; the store returns them by their place in the list. */
const maxExamined = 1000

/** The running tasks whose progress is read, one by one, for each view. */
const maxReported = 30

/** Creates an effect that reads a view of the store. The rate needs at least two reads. */
export const make = Effect.gen(function* () {
  const store = yield* TaskStore
  let rate: Rate | undefined
  let failed = -1
  let failures: ReadonlyArray<Failure> = []
  const slots = new TaskSlots()

  const { progress } = store
  const reportsOf = (ids: ReadonlyArray<TaskId>) =>
    Effect.map(
      progress === undefined
        ? Effect.succeed([])
        : Effect.forEach(
            ids,
            (id) => Effect.map(progress.of(id), (found) => [id, Option.getOrUndefined(found)] as const),
            {
              concurrency: 10
            }
          ),
      (found) => new Map(found)
    )

  /** The tasks that have started, the oldest first, and how many others are claimed. */
  const running = Effect.gen(function* () {
    const { tasks } = yield* store.list({ status: "in_progress", limit: maxExamined })
    const started = tasks.flatMap((task) =>
      task.startedAt === undefined ? [] : { task, at: task.startedAt.epochMilliseconds }
    )
    const oldest = started.toSorted((a, b) => a.at - b.at).slice(0, maxRows)
    const reports = yield* reportsOf(oldest.slice(0, maxReported).map(({ task }) => task.id))
    return {
      claimed: tasks.length - started.length,
      tasks: new Map(
        oldest.map(({ at, task }): readonly [TaskId, Running] => {
          // A running task changes when its output is saved.
          const phase = task.updatedAt.epochMilliseconds > at ? "verifying" : "executing"
          const { attempts, description, id } = task
          const progress = reports.get(id)
          return [id, { attempt: attempts, description, startedAt: at, phase, progress, pause: undefined }]
        })
      )
    }
  })

  const deadLetters = Effect.gen(function* () {
    const { tasks } = yield* store.list({ status: "failed", limit: maxExamined })
    return tasks
      .map((task): Failure => ({
        taskId: task.id,
        attempt: task.attempts,
        at: task.updatedAt.epochMilliseconds,
        feedback: task.feedback ?? "no feedback",
        isFinal: true
      }))
      .toSorted((a, b) => b.at - a.at)
      .slice(0, maxRows)
  })

  return Effect.gen(function* (): Effect.fn.Return<View, TaskStoreError> {
    const now = yield* Clock.currentTimeMillis
    const counts = yield* store.counts
    const queues = yield* store.queues
    const { paused } = yield* store.control
    const pauses = store.pauses === undefined ? [] : yield* store.pauses.list
    const ended = counts.completed + counts.failed
    rate ??= new Rate(now, ended)
    const ratePerSecond = rate.perSecond(now, ended)
    const { claimed, tasks } =
      counts.in_progress === 0 ? { claimed: 0, tasks: new Map<TaskId, Running>() } : yield* running
    const runningTasks = Math.max(0, counts.in_progress - claimed)
    if (counts.failed !== failed) {
      failures = counts.failed === 0 ? [] : yield* deadLetters
      failed = counts.failed
    }
    slots.widen(failures)
    return {
      state: paused ? "paused" : runningTasks > 0 ? "running" : "idle",
      completed: counts.completed,
      failed: counts.failed,
      running: runningTasks,
      retrying: undefined,
      pending: counts.pending + Math.min(claimed, counts.in_progress),
      total: counts.pending + counts.in_progress + ended,
      elapsedMillis: undefined,
      ratePerSecond,
      remainingMillis: ratePerSecond === 0 ? undefined : ((counts.pending + counts.in_progress) / ratePerSecond) * 1000,
      usage: queues.reduce<Usage.Usage | undefined>((sum, { usage }) => Usage.add(sum, usage), undefined),
      safety: undefined,
      maxAttempts: undefined,
      tasks: slots.assign(tasks, { now, limit: maxRows, isFast: false }).map((slot) => rowOf(slot, now, undefined)),
      failures: failures.map((failure) => failureOf(failure, now)),
      idWidth: slots.idWidth,
      message: runningTasks === 0 ? (pauseLines(pauses, now)[0] ?? "no task is running") : undefined,
      hints: [["q", "back"]],
      help: undefined
    }
  })
})

/** A view as one line of text, for screen readers. */
export const toText = (view: View): string =>
  [
    `${number(view.completed)} of ${count(view.total ?? view.completed, "task")} completed`,
    `${number(view.failed)} failed`,
    `${number(view.running)} running`,
    `${number(view.pending)} pending`,
    ...(view.ratePerSecond > 0 ? [perSecond(view.ratePerSecond)] : []),
    ...(view.remainingMillis === undefined || view.remainingMillis === 0
      ? []
      : [`${clock(view.remainingMillis)} left`]),
    ...(view.state === "paused" ? ["paused"] : [])
  ].join(", ")
