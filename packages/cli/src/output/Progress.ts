/**
 * How far a run is, kept up to date by its events.
 *
 * An event costs a few additions and at most one map entry: a run of ten thousands of tasks a second must not wait for
 * what shows it. Text is made when something is drawn, a few times a second.
 *
 * @since 0.1.0
 */
import type { Event } from "@baton/core/Event"
import type { Stats } from "@baton/core/Stats"
import type { StopReason } from "@baton/core/StopReason"
import type { TaskId } from "@baton/core/Task"
import type { Counts } from "@baton/core/TaskStore"
import * as Usage from "@baton/core/Usage"

type EventOf<Tag extends Event["_tag"]> = Extract<Event, { readonly _tag: Tag }>

/**
 * How a run ended, as its last event tells it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ended {
  readonly reason: StopReason
  readonly stats: Stats
}

interface Sample {
  readonly at: number
  readonly ended: number
}

/** Long enough to be steady, short enough to follow a change. */
const rateWindow = 15_000
const sampleSpacing = 500

/** A rate over fewer ends than this says little; the whole run so far says more. */
const steady = 5

/** Reasons differ in a word or in everything; more of them than this are not looked at. */
const remembered = 1000

/**
 * The state of a run.
 *
 * @category models
 * @since 0.1.0
 */
export class Progress {
  /** All tasks that count: those that were cancelled do not. */
  total: number
  completed: number
  failed: number
  /** Tasks at work here, by the event that started them. */
  readonly running = new Map<TaskId, EventOf<"TaskStarted">>()
  /** Tasks that failed here and will be tried again; when, in milliseconds since the epoch. */
  readonly retrying = new Map<TaskId, number>()
  /** Why tasks failed for good here, and how many of them. */
  readonly failures = new Map<string, number>()
  usage: Usage.Usage | null = null
  paused = false
  draining = false
  lastEventAt: number
  /** Set when the run is over. */
  ended: Ended | undefined

  private readonly startedAt: number
  private endedHere = 0
  private samples: Array<Sample>

  constructor(counts: Counts, now: number) {
    this.total = counts.pending + counts.in_progress + counts.completed + counts.failed
    this.completed = counts.completed
    this.failed = counts.failed
    this.startedAt = now
    this.lastEventAt = now
    this.samples = [{ at: now, ended: 0 }]
  }

  on(event: Event): void {
    this.lastEventAt = event.at.epochMilliseconds
    switch (event._tag) {
      case "TaskStarted":
        this.running.set(event.taskId, event)
        if (event.attempt > 1) this.retrying.delete(event.taskId)
        return
      case "TaskCompleted":
        this.running.delete(event.taskId)
        this.completed++
        this.endedHere++
        this.spend(event.usage)
        return
      case "TaskRetried":
        this.running.delete(event.taskId)
        this.retrying.set(event.taskId, event.at.epochMilliseconds + event.delayMillis)
        this.spend(event.usage)
        return
      case "TaskFailed":
        this.running.delete(event.taskId)
        this.failed++
        this.endedHere++
        this.remember(event.feedback)
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
    const last = this.samples.at(-1)
    if (last !== undefined && now - last.at >= sampleSpacing) {
      this.samples.push({ at: now, ended: this.endedHere })
      const oldest = this.samples.findLastIndex(({ at }) => at <= now - rateWindow)
      if (oldest > 0) this.samples = this.samples.slice(oldest)
    }
    const since = this.samples[0]
    const recent = since === undefined ? 0 : this.endedHere - since.ended
    const [ended, millis] =
      recent >= steady && since !== undefined ? [recent, now - since.at] : [this.endedHere, now - this.startedAt]
    return millis <= 0 ? 0 : (ended / millis) * 1000
  }

  /** How long what is left takes at this rate; undefined when nobody can say. */
  remainingMillis(now: number): number | undefined {
    const rate = this.ratePerSecond(now)
    const left = this.total - this.completed - this.failed
    return rate === 0 || left < 0 ? undefined : (left / rate) * 1000
  }

  private remember(feedback: string): void {
    const known = this.failures.get(feedback)
    if (known !== undefined) this.failures.set(feedback, known + 1)
    else if (this.failures.size < remembered) this.failures.set(feedback, 1)
  }

  private spend(usage: Usage.Usage | null): void {
    if (usage !== null) this.usage = Usage.add(this.usage, usage)
  }
}
