/**
 * The progress of a run, updated by its events.
 *
 * Handling an event takes a few additions and at most one map entry, so that the display does not slow down a run with tens
 * of thousands of tasks per second. Text is created only when the display is drawn.
 */
import type { AttemptProgress } from "@baton/core/AttemptProgress"
import { Durations } from "@baton/core/Durations"
import type { Event } from "@baton/core/Event"
import type { BreakerState } from "@baton/core/Safety"
import type { Stats } from "@baton/core/Stats"
import type { StopReason } from "@baton/core/StopReason"
import type { TaskId } from "@baton/core/Task"
import type { Counts } from "@baton/core/TaskStore"
import * as Usage from "@baton/core/Usage"
import { Causes } from "./causes.ts"
import type { PausedQueue } from "./pauses.ts"

/** The end of a run, from its last event. */
export interface RunEnd {
  readonly reason: StopReason
  readonly stats: Stats
}

/** A task that this run is executing. Times are milliseconds since the epoch. */
export interface Running {
  readonly attempt: number
  readonly description: string
  readonly startedAt: number
  phase: "executing" | "verifying"
  /** What the task reports itself. */
  progress: Omit<AttemptProgress, "at"> | undefined
  /** Set after a transient failure of a request: when it is repeated, and why it failed. */
  pause: { readonly until: number; readonly reason: string } | undefined
}

/** A failed attempt. */
export interface Failure {
  readonly taskId: TaskId
  readonly attempt: number
  readonly at: number
  readonly feedback: string
  /** Whether the task went to the dead-letter queue instead of being retried. */
  readonly isFinal: boolean
}

/** More than any view can show. */
const maxLatest = 16

/** The state of a run. */
export class Progress {
  /** The number of tasks, without cancelled ones. */
  total: number
  completed: number
  failed: number
  /** Attempts started by this run. */
  started = 0
  /** Tasks running in this run. */
  readonly running = new Map<TaskId, Running>()
  /** Tasks of this run that wait for a retry, and its time in milliseconds since the epoch. */
  readonly retrying = new Map<TaskId, number>()
  /** The causes of dead letters in this run. */
  readonly failures = new Causes()
  /** The latest failed attempts of this run, the most recent first. */
  latest: ReadonlyArray<Failure> = []
  /** Consecutive failed attempts in this run. */
  failuresInARow = 0
  /** The durations of attempts that completed or failed in this run. */
  readonly durations = new Durations()
  usage: Usage.Usage | undefined = undefined
  breaker: BreakerState | undefined
  paused = false
  /** The paused queues of the run, by name. */
  readonly pausedQueues = new Map<string, PausedQueue>()
  /** How many tasks the run works on at a time. */
  concurrency = Infinity
  draining = false
  lastEventAt: number
  /** Set when the run has ended. */
  ended: RunEnd | undefined

  /** Tasks that wait for a person. */
  inReview = 0

  private readonly startedAt: number
  private finished = 0
  private readonly rate: Rate

  constructor(counts: Counts, now: number) {
    this.total = counts.pending + counts.in_progress + counts.in_review + counts.completed + counts.failed
    this.completed = counts.completed
    this.failed = counts.failed
    this.inReview = counts.in_review
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
          progress: undefined,
          pause: undefined
        })
        if (event.attempt > 1) this.retrying.delete(event.taskId)
        return
      case "TaskProgress": {
        const running = this.running.get(event.taskId)
        if (running !== undefined) running.progress = event
        return
      }
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
        this.finished++
        this.failuresInARow = 0
        this.durations.add(event.durationMillis)
        this.spend(event.usage)
        return
      case "TaskInReview":
        this.running.delete(event.taskId)
        this.inReview++
        this.finished++
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
        this.finished++
        this.failures.add(event.feedback)
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
      case "QueuePaused":
        this.pausedQueues.set(event.queue, event)
        return
      case "QueueResumed":
        this.pausedQueues.delete(event.queue)
        return
      case "ConcurrencyChanged":
        // Tasks above a lower one run to their end.
        this.concurrency = Math.max(event.concurrency, this.running.size)
        return
      case "Draining":
        this.draining = true
        return
      case "RunEnded":
        this.ended = { reason: event.reason, stats: event.stats }
        return
    }
  }

  /** Updates the counts with changes by other workers and commands. */
  recount(counts: Counts): void {
    this.total = counts.pending + counts.in_progress + counts.in_review + counts.completed + counts.failed
    this.completed = counts.completed
    this.failed = counts.failed
    this.inReview = counts.in_review
  }

  elapsedMillis(now: number): number {
    return now - this.startedAt
  }

  /** Recently finished tasks of this run per second. */
  ratePerSecond(now: number): number {
    return this.rate.perSecond(now, this.finished)
  }

  /** The remaining time at the current rate; undefined if unknown. */
  remainingMillis(now: number): number | undefined {
    const rate = this.ratePerSecond(now)
    const left = this.total - this.completed - this.failed - this.inReview
    return rate === 0 || left < 0 ? undefined : (left / rate) * 1000
  }

  private fail(failure: Failure): void {
    this.failuresInARow++
    this.latest = [failure, ...this.latest.slice(0, maxLatest - 1)]
  }

  private spend(usage: Usage.Usage | undefined): void {
    if (usage !== undefined) this.usage = Usage.add(this.usage, usage)
  }
}

interface Sample {
  readonly at: number
  readonly count: number
}

/** The period that a rate covers, in milliseconds. */
const window = 15_000
const spacing = 500

/** With fewer events in the window, the rate covers the whole time instead. */
const minEvents = 5

/** A rate, computed from a growing count. */
export class Rate {
  private readonly start: Sample
  private samples: Array<Sample>

  constructor(at: number, count = 0) {
    this.start = { at, count }
    this.samples = [this.start]
  }

  /** Updates the rate with the current count and returns the events per second. */
  perSecond(now: number, count: number): number {
    const last = this.samples.at(-1)
    if (last !== undefined && now - last.at >= spacing) {
      this.samples.push({ at: now, count })
      const oldest = this.samples.findLastIndex(({ at }) => at <= now - window)
      if (oldest > 0) this.samples = this.samples.slice(oldest)
    }
    const first = this.samples[0] ?? this.start
    const since = count - first.count >= minEvents ? first : this.start
    const millis = now - since.at
    return millis <= 0 ? 0 : (Math.max(0, count - since.count) / millis) * 1000
  }
}
