/**
 * How far a run is, kept up to date by its events.
 *
 * An event costs a few additions and at most one map entry: a run of ten thousands of tasks a second must not wait for
 * what shows it. Text is made when something is drawn, a few times a second.
 */
import type { Event } from "@baton/core/Event"
import type { BreakerState } from "@baton/core/Safety"
import type { Stats } from "@baton/core/Stats"
import type { StopReason } from "@baton/core/StopReason"
import type { TaskId } from "@baton/core/Task"
import type { Counts } from "@baton/core/TaskStore"
import * as Usage from "@baton/core/Usage"

/** How a run ended, as its last event tells it. */
export interface Ended {
  readonly reason: StopReason
  readonly stats: Stats
}

/** A task at work here. Times are milliseconds since the epoch. */
export interface Running {
  readonly attempt: number
  readonly description: string
  readonly startedAt: number
  phase: "executing" | "verifying"
  /** Set when a call failed in passing: when it is made again, and why it failed. */
  pause: { readonly until: number; readonly reason: string } | undefined
}

/** An attempt that failed. */
export interface Failure {
  readonly taskId: TaskId
  readonly attempt: number
  readonly at: number
  readonly feedback: string
  /** Whether the task went to the dead-letter queue; it is tried again otherwise. */
  readonly isFinal: boolean
}

/** Reasons differ in a word or in everything; more of them than this are not looked at. */
const remembered = 1000

/** More than any view has room for. */
const lastFailures = 16

/** The state of a run. */
export class Progress {
  /** All tasks that count: those that were cancelled do not. */
  total: number
  completed: number
  failed: number
  /** Attempts that were started here. */
  started = 0
  /** Tasks at work here. */
  readonly running = new Map<TaskId, Running>()
  /** Tasks that failed here and will be tried again; when, in milliseconds since the epoch. */
  readonly retrying = new Map<TaskId, number>()
  /** Why tasks failed for good here, and how many of them. */
  readonly failures = new Map<string, number>()
  /** The latest attempts that failed here, the last one first; those of a while ago are left out. */
  latest: ReadonlyArray<Failure> = []
  /** Attempts that failed here with no success since. */
  failuresInARow = 0
  /** How long attempts took that ended here by themselves. */
  readonly durations = new Durations()
  usage: Usage.Usage | null = null
  breaker: BreakerState | undefined
  paused = false
  draining = false
  lastEventAt: number
  /** Set when the run is over. */
  ended: Ended | undefined

  private readonly startedAt: number
  private endedHere = 0
  private readonly rate: Rate

  constructor(counts: Counts, now: number) {
    this.total = counts.pending + counts.in_progress + counts.completed + counts.failed
    this.completed = counts.completed
    this.failed = counts.failed
    this.startedAt = now
    this.lastEventAt = now
    this.rate = new Rate(now)
  }

  on(event: Event): void {
    const at = event.at.epochMilliseconds
    this.lastEventAt = at
    switch (event._tag) {
      case "TaskStarted":
        this.started++
        this.running.set(event.taskId, {
          attempt: event.attempt,
          description: event.description,
          startedAt: at,
          phase: event.resumed ? "verifying" : "executing",
          pause: undefined
        })
        if (event.attempt > 1) this.retrying.delete(event.taskId)
        return
      case "TaskExecuted": {
        const running = this.running.get(event.taskId)
        if (running === undefined) return
        running.phase = "verifying"
        running.pause = undefined
        return
      }
      case "ExecutionRetried":
      case "VerificationRetried": {
        const running = this.running.get(event.taskId)
        if (running !== undefined) running.pause = { until: at + event.delayMillis, reason: event.reason }
        return
      }
      case "TaskCompleted":
        this.running.delete(event.taskId)
        this.completed++
        this.endedHere++
        this.failuresInARow = 0
        this.durations.add(event.durationMillis)
        this.spend(event.usage)
        return
      case "TaskRetried":
        this.running.delete(event.taskId)
        this.retrying.set(event.taskId, at + event.delayMillis)
        this.fail({ taskId: event.taskId, attempt: event.attempt, at, feedback: event.feedback, isFinal: false })
        this.durations.add(event.durationMillis)
        this.spend(event.usage)
        return
      case "TaskFailed":
        this.running.delete(event.taskId)
        this.failed++
        this.endedHere++
        this.remember(event.feedback)
        this.fail({ taskId: event.taskId, attempt: event.attempt, at, feedback: event.feedback, isFinal: true })
        this.durations.add(event.durationMillis)
        this.spend(event.usage)
        return
      case "TaskReleased":
      case "LeaseLost":
        this.running.delete(event.taskId)
        return
      case "TaskCancelled":
        this.running.delete(event.taskId)
        this.total--
        return
      case "LeaseReclaimed":
        if (event.status === "failed") this.failed++
        return
      case "CircuitOpened":
        this.breaker = { state: "open", reason: event.reason }
        return
      case "CircuitHalfOpened":
        this.breaker = { state: "half-open", reason: event.reason }
        return
      case "CircuitClosed":
        this.breaker = { state: "closed", reason: event.reason }
        return
      case "Paused":
        this.paused = true
        return
      case "Resumed":
        this.paused = false
        return
      case "Draining":
        this.draining = true
        return
      case "RunEnded":
        this.ended = { reason: event.reason, stats: event.stats }
        return
    }
  }

  /** Corrects what other workers and other commands have changed meanwhile. */
  recount(counts: Counts): void {
    this.total = counts.pending + counts.in_progress + counts.completed + counts.failed
    this.completed = counts.completed
    this.failed = counts.failed
  }

  elapsedMillis(now: number): number {
    return now - this.startedAt
  }

  /** Tasks that ended here per second, lately; zero while none has. */
  ratePerSecond(now: number): number {
    return this.rate.perSecond(now, this.endedHere)
  }

  /** How long what is left takes at this rate; undefined when nobody can say. */
  remainingMillis(now: number): number | undefined {
    const rate = this.ratePerSecond(now)
    const left = this.total - this.completed - this.failed
    return rate === 0 || left < 0 ? undefined : (left / rate) * 1000
  }

  private fail(failure: Failure): void {
    this.failuresInARow++
    this.latest = [failure, ...this.latest.slice(0, lastFailures - 1)]
  }

  private remember(feedback: string): void {
    // The id of a request tells failures apart whose cause is the same.
    const cause = feedback.replace(/ \[req_\w+\]/g, "")
    const known = this.failures.get(cause)
    if (known !== undefined) this.failures.set(cause, known + 1)
    else if (this.failures.size < remembered) this.failures.set(cause, 1)
  }

  private spend(usage: Usage.Usage | null): void {
    if (usage !== null) this.usage = Usage.add(this.usage, usage)
  }
}

/** Each step is 2 % longer than the one before: nobody reads a duration more exactly. */
const growth = Math.log(1.02)

/** A distribution of durations. */
export class Durations {
  count = 0
  private readonly steps: Array<number> = []

  add(millis: number): void {
    const step = Math.max(0, Math.round(Math.log(Math.max(1, millis)) / growth))
    this.steps[step] = (this.steps[step] ?? 0) + 1
    this.count++
  }

  /** The milliseconds that this share of them, 0 to 1, did not exceed. */
  quantile(share: number): number {
    const rank = Math.max(1, Math.ceil(share * this.count))
    let seen = 0
    // Holes count nothing: `forEach` skips them.
    let found = 0
    this.steps.forEach((count, step) => {
      if (seen < rank) found = step
      seen += count
    })
    return Math.exp(found * growth)
  }
}

interface Sample {
  readonly at: number
  readonly count: number
}

/** Long enough to be steady, short enough to follow a change. */
const window = 15_000
const spacing = 500

/** A rate over fewer than this says little; the whole time so far says more. */
const steady = 5

/** A rate, fed with how many there are by now. */
export class Rate {
  private readonly start: Sample
  private samples: Array<Sample>

  constructor(at: number, count = 0) {
    this.start = { at, count }
    this.samples = [this.start]
  }

  /** How many come per second; zero while none has. */
  perSecond(now: number, count: number): number {
    const last = this.samples.at(-1)
    if (last !== undefined && now - last.at >= spacing) {
      this.samples.push({ at: now, count })
      const oldest = this.samples.findLastIndex(({ at }) => at <= now - window)
      if (oldest > 0) this.samples = this.samples.slice(oldest)
    }
    const first = this.samples[0] ?? this.start
    const since = count - first.count >= steady ? first : this.start
    const millis = now - since.at
    return millis <= 0 ? 0 : (Math.max(0, count - since.count) / millis) * 1000
  }
}
