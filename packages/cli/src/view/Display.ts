/** Shows the progress of a run on standard error. */
import type { Hook } from "@baton/core/Hooks"
import type { Orchestrator } from "@baton/core/Orchestrator"
import type { Counts, TaskStore } from "@baton/core/TaskStore"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stdio from "effect/Stdio"
import * as Duration from "effect/Duration"
import { Keyboard } from "../system/keyboard.ts"
import * as signals from "../system/process.ts"
import { age, count } from "./quantity.ts"
import { fromProgress, TaskSlots, type ViewOptions } from "./live/fromProgress.ts"
import { hasRoom, renderView } from "./live/renderView.ts"
import type { Limits, Hint } from "./live/View.ts"
import * as notices from "./notices.ts"
import { pauseLines } from "./pauses.ts"
import { Progress } from "./Progress.ts"
import * as progressLine from "./progressLine.ts"
import { clock } from "./progressLine.ts"
import * as Screen from "./Screen.ts"
import type { Terminal } from "./terminal.ts"

/** A display. */
export interface Display {
  /** Updates the display with events of the run. */
  readonly hook: Hook
  readonly progress: Progress
  /** Adds a permanent line. */
  readonly line: (text: string) => void
  readonly flush: Effect.Effect<void>
  /** Lets keys control the run until the scope closes. */
  readonly listen: (run: RunControls) => Effect.Effect<void, never, Scope.Scope>
}

/** The methods of a run that keys can call. */
export type RunControls = Pick<Orchestrator["Service"], "pause" | "resume" | "stop">

/** The options of a display. */
export interface Options extends WaitOptions {
  readonly terminal: Terminal
  readonly concurrency: number
  readonly maxAttempts: number
  readonly limits: Limits
  readonly rateLimitedSince: ViewOptions["rateLimitedSince"]
  /** Whether to show only permanent lines and no progress. */
  readonly quiet: boolean
}

/** Limits the output if every task fails; all failures are in the store. */
const failuresPerSecond = 10

/** Creates a display that draws until its scope closes. */
export const make = Effect.fnUntraced(function* (
  options: Options,
  counts: Counts
): Effect.fn.Return<Display, never, Stdio.Stdio | Scope.Scope> {
  const { concurrency, endless, terminal } = options
  const clock = yield* Clock.Clock
  const progress = new Progress(counts, clock.currentTimeMillisUnsafe())
  progress.concurrency = concurrency
  const slots = new TaskSlots()
  const waitsFor = waitingFor(options, progress)
  const isLive = terminal.canAnimate && !options.quiet
  let hasKeys = false
  let isHelpShown = false

  const render = (now: number, waiting: string | undefined): string => {
    const { columns, rows } = terminal.size()
    // The last column stays free, because some terminals wrap a full line. The last row is for the cursor.
    const size = { columns: columns - 1, rows: rows - 1 }
    if (!hasRoom(size)) {
      const view = { now, endless, waiting }
      return progressLine.live(progress, view, { columns: size.columns, style: terminal.style })
    }
    const keys = { hasKeys, isHelpShown, isSignalled: signals.isReceived() }
    const view = fromProgress(progress, slots, {
      ...options,
      now,
      waiting,
      hints: keyHints(progress, keys),
      help: isHelpShown ? keyHelp : undefined
    })
    return renderView(view, size, terminal.style).join("\n")
  }

  const status: Screen.Status = Effect.gen(function* () {
    if (options.quiet || progress.ended !== undefined) return undefined
    const now = clock.currentTimeMillisUnsafe()
    const waiting = yield* waitsFor(now)
    return isLive ? render(now, waiting) : progressLine.plain(progress, { now, endless, waiting }, terminal.style)
  })
  const screen = yield* Screen.make(terminal, status)

  const show = (notice: notices.Notice) =>
    screen.line(notices.toLine(notice, { columns: terminal.size().columns, style: terminal.style }))
  const mayShow = failureLimit((hidden) => show({ mark: "failed", text: `${count(hidden, "more task")} failed` }))
  const deadWorkers = new Set<string>()
  const isShown = (event: Parameters<Hook>[0]): boolean => {
    // A dead worker is reported once, not once for each of its tasks.
    if (event._tag === "LeaseReclaimed" && event.status === "pending") {
      const isNew = !deadWorkers.has(event.owner)
      deadWorkers.add(event.owner)
      return isNew
    }
    if (event._tag === "LeaseReclaimed") return mayShow(event.at.epochMilliseconds)
    // The last line of a quiet run says what stopped it.
    if (event._tag === "Draining") return !options.quiet
    if (event._tag !== "TaskFailed") return true
    // The live view shows the latest failures itself.
    return !(isLive && hasRoom(terminal.size())) && mayShow(event.at.epochMilliseconds)
  }
  const hook: Hook = (event) => {
    if (isShown(event)) {
      const notice = notices.fromEvent(event, progress, { hasKeys, isSignalled: signals.isReceived() })
      if (notice !== undefined) show(notice)
    }
    progress.on(event)
    return Effect.void
  }

  const listen = Effect.fnUntraced(function* (run: RunControls): Effect.fn.Return<void, never, Scope.Scope> {
    if (!isLive) return
    const keyboard = yield* yield* Keyboard
    if (keyboard === undefined) return
    hasKeys = true
    const suspendedWhile = (until: Effect.Effect<void>) =>
      screen.leave.pipe(Effect.andThen(until), Effect.andThen(screen.resume))
    const actions: Readonly<Record<string, Effect.Effect<void>>> = {
      p: run.pause,
      r: run.resume,
      q: run.stop,
      "?": Effect.sync(() => {
        isHelpShown = !isHelpShown
      }),
      quit: suspendedWhile(keyboard.quit),
      suspend: suspendedWhile(keyboard.suspend),
      continue: suspendedWhile(keyboard.regain)
    }
    yield* Effect.forkScoped(
      Effect.forever(Effect.flatMap(keyboard.key, (key) => actions[key.toLowerCase()] ?? Effect.void))
    )
  })
  return { hook, progress, line: screen.line, flush: screen.flush, listen }
})

/** Returns whether another failure may be shown; calls `onHidden` with the number of failures that were not shown. */
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

/** The keys and signals that apply. */
interface KeyState {
  readonly hasKeys: boolean
  readonly isHelpShown: boolean
  /** Whether a signal was received, so that the next one exits immediately. */
  readonly isSignalled: boolean
}

/** The available keys, for the last line of the view. */
const keyHints = ({ draining, paused }: Progress, keys: KeyState): ReadonlyArray<Hint> => {
  const { hasKeys, isHelpShown, isSignalled } = keys
  const help: ReadonlyArray<Hint> = hasKeys ? [["?", isHelpShown ? "back" : "help"]] : []
  if (draining)
    return [["", "waiting for running tasks"], [isSignalled ? "Ctrl-C" : "Ctrl-C twice", "exits at once"], ...help]
  if (!hasKeys) return [["Ctrl-C", "stop"]]
  return [paused ? ["r", "resume"] : ["p", "pause"], ["q", "stop"], ...help]
}

/** The help on all keys. */
const keyHelp: ReadonlyArray<Hint> = [
  ["p", "pause: start no new tasks; running tasks continue"],
  ["r", "resume"],
  ["q", "stop: running tasks can finish, no task is lost"],
  ["Ctrl-C", "stop; a second Ctrl-C exits at once"],
  ["Ctrl-Z", "suspend; fg continues"],
  ["?", "close this help"],
  ["", "in another terminal: baton status, pause, resume, stop"]
]

/** Options of the message about waiting. */
interface WaitOptions {
  readonly store: TaskStore["Service"]
  readonly lease: Duration.Duration
  /** Whether the run waits for new tasks, as a worker does. */
  readonly endless: boolean
}

/** After this time without an event, the store is queried for the reason, and again after the same time. */
const idle = 2000

/** Pending tasks to search for the next one that is due. */
const maxDelayed = 200

/** Describes what an idle run waits for; undefined while tasks run, or if the reason is unknown. */
const waitingFor = ({ endless, lease, store }: WaitOptions, progress: Progress) => {
  let counts: Counts | undefined
  let countedAt = 0
  let due: number | undefined
  /** When the next delayed task starts; undefined if there are too many tasks to look at. */
  const nextDue = Effect.fnUntraced(function* (now: number, delayed: number) {
    if (delayed > maxDelayed) return undefined
    if (due !== undefined && due > now) return due
    const { tasks } = yield* Effect.orElseSucceed(store.list({ status: "pending", limit: maxDelayed }), () => ({
      tasks: []
    }))
    const times = tasks.map(({ availableAt }) => availableAt.epochMilliseconds).filter((at) => at > now)
    due = times.length === 0 ? undefined : Math.min(...times)
    return due
  })
  return Effect.fnUntraced(function* (now: number): Effect.fn.Return<string | undefined> {
    if (progress.running.size > 0 || progress.paused) return undefined
    const [pause] = progress.pausedQueues.values()
    if (pause !== undefined) return pauseLines([pause], now)[0]
    if (now - progress.lastEventAt < idle) return undefined
    if (now - countedAt >= idle) {
      countedAt = now
      counts = yield* Effect.orElseSucceed(store.counts, () => undefined)
      // The counts are exact only while no task is running here.
      if (counts !== undefined && progress.running.size === 0) progress.recount(counts)
    }
    const retryAt = Math.min(...progress.retrying.values())
    if (retryAt !== Infinity) return retryAt > now ? `next retry in ${clock(retryAt - now)}` : undefined
    if (counts === undefined) return undefined
    if (counts.in_progress > 0) {
      return `waiting for ${count(counts.in_progress, "task")} of other workers (leases last ${clock(Duration.toMillis(lease))})`
    }
    if (counts.in_review > 0 && counts.pending > counts.waiting) {
      return `${count(counts.in_review, "task")} in review: decide with baton review`
    }
    if (endless) return "waiting for tasks"
    const delayed = counts.pending - counts.waiting
    if (delayed === 0) return undefined
    const dueAt = yield* nextDue(now, delayed)
    return dueAt === undefined
      ? `waiting for ${count(delayed, "delayed task")}`
      : `next task due in ${age(Duration.millis(dueAt - now))}`
  })
}
