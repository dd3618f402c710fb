import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import type { Resolved } from "../../OrchestratorConfig.ts"
import * as Budget from "../../Budget.ts"
import type { Claim, Lease } from "../../TaskStore.ts"
import * as Usage from "../../Usage.ts"
import type { Concurrency } from "./concurrency.ts"
import * as pacing from "./pace.ts"

/** Why the work on a task is cut off. */
export type AbortReason =
  | "execution-timeout"
  | "verification-timeout"
  | "lease-lost"
  | "cancelled"
  | "paused"
  | "cooling-down"
  | "queue-paused"
  | "shutdown"

/**
 * A claimed task, from its claim until its settlement is durable. Only its worker changes it; other fibers may abort it.
 */
export class ClaimedTask {
  readonly claim: Claim
  readonly claimedAt: number
  /** When a worker took it, on the monotonic clock. */
  takenAt = 0
  /** `queued` until a worker takes it, `waiting` until Safety allows it to start. */
  phase: "queued" | "waiting" | "working" | "settling" = "queued"
  abortReason: AbortReason | undefined = undefined
  /** Whether the store has it as started. */
  isStarted: boolean
  /** Whether Safety has allowed it to start, and therefore counts its outcome. */
  isAllowed = false
  /** When it was allowed to start and the store had that. */
  startedAt: number | undefined = undefined
  /** The usage of this attempt so far, failed calls included. */
  usage: Usage.Usage | undefined = undefined
  /** What earlier attempts have used whose workers died. No settlement recorded it, so it is known as a range. */
  lostUsage: Usage.Usage | undefined = undefined
  /** The part of `usage` that went through reservations, so that Safety has counted it already. */
  reservedUsage: Usage.Usage | undefined = undefined
  /** The part of `usage` that the journal of batches has committed to the budget of the queue. */
  committed: Budget.Amount = Budget.zero
  private worker: Fiber.Fiber<unknown, unknown> | undefined = undefined

  constructor(claim: Claim, claimedAt: number, isStarted: boolean) {
    this.claim = claim
    this.claimedAt = claimedAt
    this.isStarted = isStarted
  }

  assign(worker: Fiber.Fiber<unknown, unknown>): void {
    this.worker = worker
    this.phase = "waiting"
  }

  unassign(): void {
    this.worker = undefined
  }

  /** Cuts off the work. The first reason counts; a settlement that is on its way to the store is not called back. */
  abort(reason: AbortReason): void {
    if (this.abortReason !== undefined || this.phase === "settling") return
    this.abortReason = reason
    this.worker?.interruptUnsafe()
  }

  /** Counts usage that an output, a verdict or an error reports. */
  addUsage(usage: Usage.Usage | undefined): void {
    this.usage = Usage.add(this.usage, usage)
  }

  /** Counts usage that was committed to a reservation. An output or an error reports it as well, unless `isUnreported`. With
   * `isCommitted`, the journal of batches commits it to the budget of the queue. */
  addReservedUsage(
    usage: Usage.Usage,
    options: { readonly isUnreported: boolean; readonly isCommitted?: boolean }
  ): void {
    this.reservedUsage = Usage.add(this.reservedUsage, usage)
    if (options.isCommitted === true) this.committed = Budget.add(this.committed, Budget.ofUsage(usage))
    if (options.isUnreported) this.addUsage(usage)
  }

  /** Completes `usage` with calls that no output and no error reported, because a later one was cut off. */
  closeUsage(): void {
    this.usage = Usage.larger(this.usage, this.reservedUsage)
  }

  /** The usage of the task, this attempt included. */
  taskUsage(): Usage.Usage | undefined {
    return Usage.add(Usage.add(this.claim.task.usage, this.lostUsage), this.usage)
  }

  /** The usage that Safety has not counted yet. */
  unreservedUsage(): Usage.Usage | undefined {
    return this.usage !== undefined && this.reservedUsage !== undefined
      ? Usage.subtract(this.usage, this.reservedUsage)
      : this.usage
  }
}

/**
 * The tasks that a run has claimed and whose settlements are not durable yet.
 *
 * A task can be in here twice for a moment: one that was cancelled and requeued can be claimed again while its former
 * attempt is still being cut off.
 */
export interface Claims {
  /** Begins a claim. */
  readonly begin: () => Claiming
  /** How many more tasks may be claimed: one per free worker, and some ahead once half of those have been taken. */
  readonly room: () => number
  /** The next tasks that are to be marked as started before a worker takes them. */
  readonly startNext: () => ReadonlyArray<ClaimedTask>
  /** The store has the task as started. */
  readonly markStarted: (claimed: ClaimedTask) => void
  /** Calls `listener` when `startNext` may have tasks. */
  readonly onStartsWanted: (listener: () => void) => void
  /** How many queued tasks the store has as started. */
  readonly queuedStarted: () => number
  /** While starts are held, a circuit breaker may let a task wait for long, so that none is started before it is allowed. */
  readonly holdStarts: (held: boolean) => void
  /** Returns when there may be room or something to claim again. */
  readonly awaitWakeUp: Effect.Effect<void>
  readonly wakeUp: () => void
  /** The next task that was not started. Call `onTaken` after it, and `onFree` when its worker can take another. */
  readonly take: Effect.Effect<ClaimedTask>
  /** The same without waiting; undefined when there is none. */
  readonly takeNow: () => ClaimedTask | undefined
  readonly onTaken: (claimed: ClaimedTask) => void
  readonly onFree: (claimed: ClaimedTask) => void
  /** Removes and returns all tasks that no worker has taken. */
  readonly takeQueued: Effect.Effect<ReadonlyArray<ClaimedTask>>
  /** Returns when tasks that were claimed ahead have waited for a worker for much longer than expected. */
  readonly awaitOverdue: Effect.Effect<void>
  readonly all: () => Iterable<ClaimedTask>
  readonly size: () => number
  readonly has: (claimed: ClaimedTask) => boolean
  /** Removes a task whose settlement is durable, or whose lease was lost. */
  readonly remove: (claimed: ClaimedTask) => void
  readonly awaitEmpty: Effect.Effect<void>
}

/** A claim that is under way. */
export interface Claiming {
  /** How many of its tasks are about to be taken by workers, so that the claim starts them. */
  readonly started: number
  /** Adds the tasks that it returned. They never exceed `room`, so that this does not wait. */
  readonly add: (claims: ReadonlyArray<Claim>) => void
}

/** Tasks that are claimed ahead wait for a worker this long at most, in milliseconds. */
const overdueMillis = 2 * pacing.aheadMillis

/** After a process was stopped for a while, its workers get this long to take overdue tasks, in milliseconds. */
const graceMillis = 10

/** The tasks of one claim, from its time until a worker has taken the last of them. */
interface Waiting {
  readonly claimedAt: number
  /** How many tasks the run had ever claimed after it. */
  readonly upTo: number
}

export const make = Effect.fnUntraced(function* (
  config: Pick<Resolved, "onCrash" | "prefetch">,
  concurrency: Concurrency["current"],
  clock: Clock.Clock
): Effect.fn.Return<Claims> {
  const { onCrash, prefetch } = config
  const claimed = new Set<ClaimedTask>()
  // Unbounded, because `room` bounds it.
  const queue = yield* Queue.unbounded<ClaimedTask>()
  const empty = Latch.makeUnsafe(true)
  const awake = Latch.makeUnsafe(true)
  const pace = pacing.make(concurrency)
  /** How many tasks were ever claimed, taken out of the queue, and gave their place to another. */
  let added = 0
  let taken = 0
  let freed = 0
  /** The queued tasks that the store does not have as started, from `nextUnstarted` on, and some that were taken since. */
  let unstarted: Array<ClaimedTask> = []
  let nextUnstarted = 0
  /** How many queued tasks the store has as started. */
  let queuedStarted = 0
  let startsAreHeld = false
  let wantStarts = () => {}
  const waiting: Array<Waiting> = []
  const isWaiting = Latch.makeUnsafe(false)

  // Monotonic: setting the wall clock does not make a task overdue.
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6

  const ahead = (): number => prefetch ?? pace.ahead()

  /**
   * How many queued tasks are to be started before a worker takes them, so that short tasks do not wait for the write: as many
   * as would be claimed ahead by default, so that most are started by their claim. None where a worker that dies before it has
   * begun must not use up the task.
   */
  const startsAhead = (): number => (startsAreHeld || onCrash === "dead-letter" ? 0 : pace.within(pacing.aheadMillis))

  const isUnstarted = (entry: ClaimedTask) => entry.phase === "queued" && !entry.isStarted

  const forgetTaken = () => {
    for (let entry = unstarted[nextUnstarted]; entry !== undefined && !isUnstarted(entry);) {
      entry = unstarted[++nextUnstarted]
    }
    if (nextUnstarted * 2 < unstarted.length) return
    unstarted = unstarted.slice(nextUnstarted)
    nextUnstarted = 0
  }

  const oldestWaiting = (): Waiting | undefined => {
    while (waiting[0] !== undefined && waiting[0].upTo <= taken) waiting.shift()
    return waiting[0]
  }

  const room = () => {
    const queued = Queue.sizeUnsafe(queue)
    const limit = ahead()
    if (queued * 2 > limit) return 0
    const wanted = limit + concurrency() - (added - freed)
    // When attempts end faster than the store takes their settlements, claiming waits.
    const unsettled = 2 * (concurrency() + limit) - claimed.size
    return unsettled * 2 < wanted ? 0 : Math.max(0, Math.min(unsettled, wanted))
  }

  /** Not for each task: while claiming waits for settlements, waking it up costs as much as the task. */
  const wakeUpIfRoom = () => {
    if (room() > 0) awake.openUnsafe()
  }

  const add = (claims: ReadonlyArray<Claim>, started: number) => {
    const claimedAt = clock.currentTimeMillisUnsafe()
    const entries = claims.map((claim, index) => new ClaimedTask(claim, claimedAt, index < started))
    forgetTaken()
    for (const entry of entries) {
      claimed.add(entry)
      if (!entry.isStarted) unstarted.push(entry)
      else queuedStarted++
    }
    empty.closeUnsafe()
    Queue.offerAllUnsafe(queue, entries)
    added += entries.length
    if (prefetch !== undefined) return
    waiting.push({ claimedAt: now(), upTo: added })
    isWaiting.openUnsafe()
  }

  return {
    begin: () => {
      const began = now()
      const started =
        startsAreHeld || onCrash === "dead-letter" ? 0 : Math.max(0, concurrency() + startsAhead() - (added - freed))
      return {
        started,
        add: (claims) => {
          if (claims.length === 0) return
          pace.observeClaim(now() - began)
          add(claims, started)
        }
      }
    },
    room,
    startNext: () => {
      const next: Array<ClaimedTask> = []
      const wanted = startsAhead() - queuedStarted
      while (next.length < wanted) {
        const entry = unstarted[nextUnstarted]
        if (entry === undefined) break
        nextUnstarted++
        if (isUnstarted(entry)) next.push(entry)
      }
      return next
    },
    markStarted: (entry) => {
      if (isUnstarted(entry)) queuedStarted++
      entry.isStarted = true
    },
    onStartsWanted: (listener) => {
      wantStarts = listener
    },
    queuedStarted: () => queuedStarted,
    holdStarts: (held) => {
      startsAreHeld = held
    },
    awaitWakeUp: Effect.suspend(() => {
      awake.closeUnsafe()
      return Effect.andThen(
        awake.await,
        // The first worker that becomes free opens it, before the others that become free at the same time. While there is a
        // task for each of them, the claim begins at once, so that the store works on it while the workers continue.
        Effect.suspend(() => (Queue.sizeUnsafe(queue) > concurrency() ? Effect.void : Effect.yieldNow))
      )
    }),
    wakeUp: () => void awake.openUnsafe(),
    take: Queue.take(queue),
    takeNow: () => {
      const taken = Queue.takeUnsafe(queue)
      return taken !== undefined && Exit.isSuccess(taken) ? taken.value : undefined
    },
    onTaken: (entry) => {
      taken++
      entry.takenAt = now()
      entry.phase = "waiting"
      if (entry.isStarted) queuedStarted--
      if (queuedStarted * 4 <= startsAhead()) wantStarts()
      wakeUpIfRoom()
    },
    onFree: (entry) => {
      freed++
      if (entry.startedAt !== undefined) pace.observe(entry.takenAt, now())
      if (Queue.sizeUnsafe(queue) === 0) wakeUpIfRoom()
    },
    takeQueued: Effect.map(Queue.clear(queue), (entries) => {
      taken += entries.length
      freed += entries.length
      unstarted = []
      nextUnstarted = 0
      queuedStarted = 0
      return entries
    }),
    awaitOverdue: Effect.gen(function* () {
      while (true) {
        const oldest = oldestWaiting()
        if (oldest === undefined) {
          isWaiting.closeUnsafe()
          yield* isWaiting.await
          continue
        }
        const rest = oldest.claimedAt + overdueMillis - now()
        if (rest > 0) {
          yield* Effect.sleep(rest)
          continue
        }
        yield* Effect.sleep(graceMillis)
        if (oldestWaiting() === oldest) return pace.reset()
      }
    }),
    all: () => claimed,
    size: () => claimed.size,
    has: (entry) => claimed.has(entry),
    remove: (entry) => {
      claimed.delete(entry)
      if (claimed.size === 0) empty.openUnsafe()
    },
    awaitEmpty: empty.await
  }
})

/** Identifies a lease in a Map: for a moment a task can be claimed twice. */
export const leaseKey = ({ taskId, token }: Lease): string => `${token} ${taskId}`
