/** Shows a run on standard error while it goes on. */
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
import { count } from "./quantity.ts"
import { fromProgress, type Surroundings, Places } from "./live/fromProgress.ts"
import { hasRoom, layout } from "./live/layout.ts"
import type { Limits, Hint } from "./live/View.ts"
import * as notices from "./notices.ts"
import { Progress } from "./Progress.ts"
import * as progressLine from "./progressLine.ts"
import { clock } from "./progressLine.ts"
import * as Screen from "./Screen.ts"
import type { Terminal } from "./terminal.ts"

/** A display. */
export interface Display {
  /** Feeds the display; give it to the run. */
  readonly hook: Hook
  readonly progress: Progress
  /** Adds a line that stays. */
  readonly line: (text: string) => void
  readonly flush: Effect.Effect<void>
  /** Lets keys steer the run, until the scope ends. */
  readonly listen: (run: Steered) => Effect.Effect<void, never, Scope.Scope>
}

/** What keys can do. */
export type Steered = Pick<Orchestrator["Service"], "pause" | "resume" | "stop">

/** What is shown, and of which run. */
export interface Options extends WaitOptions {
  readonly terminal: Terminal
  readonly concurrency: number
  readonly maxAttempts: number
  readonly limits: Limits
  readonly pacedSince: Surroundings["pacedSince"]
  /** Only what is lasting, no progress. */
  readonly quiet: boolean
}

/** When everything fails, a thousand lines a second help nobody; what failed is in the store. */
const failuresPerSecond = 10

/** A display that is drawn until its scope ends. */
export const make = Effect.fnUntraced(function* (
  options: Options,
  counts: Counts
): Effect.fn.Return<Display, never, Stdio.Stdio | Scope.Scope> {
  const { concurrency, endless, terminal } = options
  const clock = yield* Clock.Clock
  const progress = new Progress(counts, clock.currentTimeMillisUnsafe())
  const places = new Places(concurrency)
  const waitsFor = waitingFor(options, progress)
  const isLive = terminal.canAnimate && !options.quiet
  let hasKeys = false
  let isHelping = false

  const viewed = (now: number, waiting: string | undefined): string => {
    const { columns, rows } = terminal.size()
    // The last column stays free, because some terminals break a line that fills it; the last row is the cursor's.
    const size = { columns: columns - 1, rows: rows - 1 }
    if (!hasRoom(size)) {
      const view = { now, endless, concurrency, waiting }
      return progressLine.live(progress, view, { columns: size.columns, style: terminal.style })
    }
    const listening = { hasKeys, isHelping, isSignalled: signals.isReceived() }
    const view = fromProgress(progress, places, {
      ...options,
      now,
      waiting,
      hints: keyHints(progress, listening),
      help: isHelping ? keyHelp : undefined
    })
    return layout(view, size, terminal.style).join("\n")
  }

  const status: Screen.Status = Effect.gen(function* () {
    if (options.quiet || progress.ended !== undefined) return undefined
    const now = clock.currentTimeMillisUnsafe()
    const waiting = yield* waitsFor(now)
    return isLive
      ? viewed(now, waiting)
      : progressLine.plain(progress, { now, endless, concurrency, waiting }, terminal.style)
  })
  const screen = yield* Screen.make(terminal, status)

  const show = (notice: notices.Notice) =>
    screen.line(notices.toLine(notice, { columns: terminal.size().columns, style: terminal.style }))
  const mayShow = failureLimit((hidden) => show({ mark: "failed", text: `${count(hidden, "more task")} failed` }))
  const gone = new Set<string>()
  const isWorthALine = (event: Parameters<Hook>[0]): boolean => {
    // A worker leaves as many tasks behind as it worked on, and all of them for the same reason.
    if (event._tag === "LeaseReclaimed" && event.status === "pending") {
      const isNew = !gone.has(event.owner)
      gone.add(event.owner)
      return isNew
    }
    if (event._tag === "LeaseReclaimed") return mayShow(event.at.epochMilliseconds)
    if (event._tag !== "TaskFailed") return true
    // The view itself shows what failed last.
    return !(isLive && hasRoom(terminal.size())) && mayShow(event.at.epochMilliseconds)
  }
  const hook: Hook = (event) => {
    if (isWorthALine(event)) {
      const notice = notices.fromEvent(event, progress, { hasKeys, isSignalled: signals.isReceived() })
      if (notice !== undefined) show(notice)
    }
    progress.on(event)
    return Effect.void
  }

  const listen = Effect.fnUntraced(function* (run: Steered): Effect.fn.Return<void, never, Scope.Scope> {
    if (!isLive) return
    const keyboard = yield* yield* Keyboard
    if (keyboard === undefined) return
    hasKeys = true
    const away = (until: Effect.Effect<void>) => screen.leave.pipe(Effect.andThen(until), Effect.andThen(screen.resume))
    const actions: Readonly<Record<string, Effect.Effect<void>>> = {
      p: run.pause,
      r: run.resume,
      q: run.stop,
      "?": Effect.sync(() => {
        isHelping = !isHelping
      }),
      quit: away(keyboard.quit),
      suspend: away(keyboard.suspend),
      continue: away(keyboard.regain)
    }
    yield* Effect.forkScoped(
      Effect.forever(Effect.flatMap(keyboard.key, (key) => actions[key.toLowerCase()] ?? Effect.void))
    )
  })
  return { hook, progress, line: screen.line, flush: screen.flush, listen }
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

/** Who listens, and to what. */
interface Listening {
  readonly hasKeys: boolean
  /** Whether the help is shown. */
  readonly isHelping: boolean
  /** Whether a signal has come: the next one ends the process at once. */
  readonly isSignalled: boolean
}

/** What can be typed now, for the last line of the view. */
const keyHints = ({ draining, paused }: Progress, listening: Listening): ReadonlyArray<Hint> => {
  const { hasKeys, isHelping, isSignalled } = listening
  const help: ReadonlyArray<Hint> = hasKeys ? [["?", isHelping ? "back" : "help"]] : []
  if (draining)
    return [["", "what runs may finish"], [isSignalled ? "Ctrl-C" : "Ctrl-C twice", "ends at once"], ...help]
  if (!hasKeys) return [["Ctrl-C", "stop"]]
  return [paused ? ["r", "resume"] : ["p", "pause"], ["q", "stop"], ...help]
}

/** All of it, for those who ask. */
const keyHelp: ReadonlyArray<Hint> = [
  ["p", "pause: no new tasks, those that run go on"],
  ["r", "resume"],
  ["q", "stop: what runs may finish, nothing is lost"],
  ["Ctrl-C", "the same; a second one ends at once"],
  ["Ctrl-Z", "suspend; fg goes on"],
  ["?", "back"],
  ["", "elsewhere: baton status, pause, resume, stop"]
]

/** Which run waits. */
interface WaitOptions {
  readonly store: TaskStore["Service"]
  readonly lease: Duration.Duration
  /** A worker waits for new tasks and has no end. */
  readonly endless: boolean
}

/** A run that has done nothing for so long is asked what it waits for, and again after as long. */
const idle = 2000

/** Asks, at some time; undefined while the run is at work, or when nobody can say. */
const waitingFor = ({ endless, lease, store }: WaitOptions, progress: Progress) => {
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
    if (due !== Infinity) return due > now ? `next retry in ${clock(due - now)}` : undefined
    if (counts === undefined) return undefined
    if (counts.in_progress > 0) {
      return `waiting for ${count(counts.in_progress, "task")} of other workers (leases last ${clock(Duration.toMillis(lease))})`
    }
    if (endless) return "waiting for tasks"
    const later = counts.pending - counts.waiting
    return later > 0 ? `waiting for ${count(later, "task")} due later` : undefined
  })
}
