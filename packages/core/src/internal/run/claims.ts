import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import type { Resolved } from "../../OrchestratorConfig.ts"
import type { Claim, Lease } from "../../TaskStore.ts"
import * as Usage from "../../Usage.ts"
import * as pacing from "./pace.ts"

/** Why the work on a task is cut off. */
export type AbortReason =
  | "execution-timeout"
  | "verification-timeout"
  | "lease-lost"
  | "cancelled"
  | "paused"
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
  /** When Safety allowed it to start. */
  startedAt: number | undefined = undefined
  /** The usage of this attempt so far, failed calls included. */
  usage: Usage.Usage | null = null
  /** The part of `usage` that went through reservations, so that Safety has counted it already. */
  reservedUsage: Usage.Usage | null = null
  private worker: Fiber.Fiber<unknown, unknown> | undefined = undefined

  constructor(claim: Claim, claimedAt: number) {
    this.claim = claim
    this.claimedAt = claimedAt
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
  addUsage(usage: Usage.Usage | null | undefined): void {
    this.usage = Usage.add(this.usage, usage)
  }

  /** Counts usage that was committed to a reservation. An output or an error reports it as well, unless `isUnreported`. */
  addReservedUsage(usage: Usage.Usage, options: { readonly isUnreported: boolean }): void {
    this.reservedUsage = Usage.add(this.reservedUsage, usage)
    if (options.isUnreported) this.addUsage(usage)
  }

  /** Completes `usage` with calls that no output and no error reported, because a later one was cut off. */
  closeUsage(): void {
    this.usage = Usage.larger(this.usage, this.reservedUsage)
  }

  /** The usage that Safety has not counted yet. */
  unreservedUsage(): Usage.Usage | null {
    return this.usage !== null && this.reservedUsage !== null
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
  /** Adds tasks that were just claimed. They never exceed `room`, so that this does not wait. */
  readonly add: (claims: ReadonlyArray<Claim>) => void
  /** How many more tasks may be claimed: one per free worker, and some ahead once half of those have been taken. */
  readonly room: () => number
  /** Returns when there may be room or something to claim again. */
  readonly awaitWakeUp: Effect.Effect<void>
  readonly wakeUp: () => void
  /** The next task that was not started. Call `onTaken` after it, and `onFree` when its worker can take another. */
  readonly take: Effect.Effect<ClaimedTask>
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

/** Tasks that are claimed ahead wait for a worker this long at most, in milliseconds. */
const overdueMillis = 2 * pacing.aheadMillis

/** After a process was stopped for a while, its workers get this long to take what is overdue, in milliseconds. */
const graceMillis = 10

/** The tasks of one claim, from its time until a worker has taken the last of them. */
interface Waiting {
  readonly claimedAt: number
  /** How many tasks the run had ever claimed after it. */
  readonly upTo: number
}

export const make = Effect.fnUntraced(function* (
  config: Pick<Resolved, "concurrency" | "onCrash" | "prefetch">,
  clock: Clock.Clock
): Effect.fn.Return<Claims> {
  const { concurrency, onCrash, prefetch } = config
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
  const waiting: Array<Waiting> = []
  const isWaiting = Latch.makeUnsafe(false)

  // Monotonic: setting the wall clock does not make a task overdue.
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6

  const ahead = (): number => {
    // A crash ends the attempts of all claimed tasks, and one that never started must not be dead-lettered for that.
    if (onCrash === "dead-letter") return 0
    return prefetch ?? pace.ahead()
  }

  const oldestWaiting = (): Waiting | undefined => {
    while (waiting[0] !== undefined && waiting[0].upTo <= taken) waiting.shift()
    return waiting[0]
  }

  return {
    add: (claims) => {
      const claimedAt = clock.currentTimeMillisUnsafe()
      const entries = claims.map((claim) => new ClaimedTask(claim, claimedAt))
      for (const entry of entries) claimed.add(entry)
      empty.closeUnsafe()
      Queue.offerAllUnsafe(queue, entries)
      added += entries.length
      if (prefetch !== undefined) return
      waiting.push({ claimedAt: now(), upTo: added })
      isWaiting.openUnsafe()
    },
    room: () => {
      const queued = Queue.sizeUnsafe(queue)
      const limit = ahead()
      if (queued * 2 > limit) return 0
      const wanted = limit + concurrency - (added - freed)
      // When attempts end faster than the store takes their settlements, claiming waits.
      const unsettled = 2 * (concurrency + limit) - claimed.size
      return unsettled * 2 < wanted ? 0 : Math.max(0, Math.min(unsettled, wanted))
    },
    awaitWakeUp: Effect.suspend(() => {
      awake.closeUnsafe()
      return awake.await
    }),
    wakeUp: () => void awake.openUnsafe(),
    take: Queue.take(queue),
    onTaken: (entry) => {
      taken++
      entry.takenAt = now()
      if (Queue.sizeUnsafe(queue) * 2 <= ahead()) awake.openUnsafe()
    },
    onFree: (entry) => {
      freed++
      if (entry.startedAt !== undefined) pace.observe(entry.takenAt, now())
      if (Queue.sizeUnsafe(queue) === 0) awake.openUnsafe()
    },
    takeQueued: Effect.map(Queue.clear(queue), (entries) => {
      taken += entries.length
      freed += entries.length
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
