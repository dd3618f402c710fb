/**
 * Shows a run on standard error while it goes on.
 *
 * @since 0.1.0
 */
import type { Hook } from "@baton/core/Hooks"
import type { Counts, TaskStore } from "@baton/core/TaskStore"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stdio from "effect/Stdio"
import { count } from "../format/quantity.ts"
import * as notices from "./notices.ts"
import { Progress } from "./Progress.ts"
import * as progressLine from "./progressLine.ts"
import * as Screen from "./Screen.ts"
import type { Terminal } from "./terminal.ts"

/**
 * A display.
 *
 * @category models
 * @since 0.1.0
 */
export interface Display {
  /** Feeds the display; give it to the run. */
  readonly hook: Hook
  readonly progress: Progress
  /** Adds a line that stays. */
  readonly line: (text: string) => void
  readonly flush: Effect.Effect<void>
}

/**
 * What is shown, and of which run.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly terminal: Terminal
  readonly store: TaskStore["Service"]
  readonly lease: Duration.Duration
  readonly concurrency: number
  /** A worker waits for new tasks and has no end. */
  readonly endless: boolean
  /** Only what is lasting, no progress. */
  readonly quiet: boolean
}

/** A run that has done nothing for so long is asked what it waits for, and again after as long. */
const idle = 2000

/** When everything fails, a thousand lines a second help nobody; what failed is in the store. */
const failuresPerSecond = 10

/**
 * A display that is drawn until its scope ends.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options,
  counts: Counts
): Effect.fn.Return<Display, never, Stdio.Stdio | Scope.Scope> {
  const { endless, terminal } = options
  const clock = yield* Clock.Clock
  const progress = new Progress(counts, clock.currentTimeMillisUnsafe())
  const waiting = waitingFor(options, progress)

  const status: Screen.Status = Effect.gen(function* () {
    if (options.quiet || progress.ended !== undefined) return undefined
    const now = clock.currentTimeMillisUnsafe()
    const view = { now, endless, concurrency: options.concurrency, waiting: yield* waiting(now) }
    return terminal.canAnimate
      ? progressLine.live(progress, view, { columns: terminal.columns() - 1, style: terminal.style })
      : progressLine.plain(progress, view, terminal.style)
  })
  const screen = yield* Screen.make(terminal, status)

  const show = (notice: notices.Notice) =>
    screen.line(notices.toLine(notice, { columns: terminal.columns(), style: terminal.style }))
  const mayShow = failureLimit((hidden) => show({ mark: "failed", text: `${count(hidden, "more task")} failed` }))
  const hook: Hook = (event) => {
    if (event._tag !== "TaskFailed" || mayShow(event.at.epochMilliseconds)) {
      const notice = notices.fromEvent(event, progress)
      if (notice !== undefined) show(notice)
    }
    progress.on(event)
    return Effect.void
  }
  return { hook, progress, line: screen.line, flush: screen.flush }
})

/** Whether one more failure may be shown now; `onHidden` tells afterwards how many were not. */
const failureLimit = (onHidden: (hidden: number) => void) => {
  let second = 0
  let failures = 0
  return (now: number): boolean => {
    if (Math.floor(now / 1000) !== second) {
      if (failures > failuresPerSecond) onHidden(failures - failuresPerSecond)
      second = Math.floor(now / 1000)
      failures = 0
    }
    return ++failures <= failuresPerSecond
  }
}

const waitingFor = ({ endless, lease, store }: Options, progress: Progress) => {
  let counts: Counts | undefined
  let countedAt = 0
  return Effect.fnUntraced(function* (now: number): Effect.fn.Return<string | undefined> {
    if (progress.running.size > 0 || progress.paused || now - progress.lastEventAt < idle) return undefined
    if (now - countedAt >= idle) {
      countedAt = now
      counts = yield* Effect.orElseSucceed(store.counts, () => undefined)
      // While nothing runs here, the store's word needs no correction.
      if (counts !== undefined && progress.running.size === 0) progress.recount(counts)
    }
    const due = Math.min(...progress.retrying.values())
    if (due !== Infinity) return due > now ? `next retry in ${progressLine.clock(due - now)}` : undefined
    if (counts === undefined) return undefined
    if (counts.in_progress > 0) {
      return `waiting for ${count(counts.in_progress, "task")} of other workers (leases last ${progressLine.clock(Duration.toMillis(lease))})`
    }
    if (endless) return "waiting for tasks"
    const later = counts.pending - counts.waiting
    return later > 0 ? `waiting for ${count(later, "task")} due later` : undefined
  })
}
