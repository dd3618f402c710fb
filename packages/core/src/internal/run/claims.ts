import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import type { Claim, Lease } from "../../TaskStore.ts"
import * as Usage from "../../Usage.ts"

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
  /** How many more tasks may be claimed while `busy` workers work; 0 until half of the prefetched tasks are started. */
  readonly room: (busy: number) => number
  /** Returns when there may be room or something to claim again. */
  readonly awaitWakeUp: Effect.Effect<void>
  readonly wakeUp: () => void
  /** The next task that was not started. Call `onTaken` after it. */
  readonly take: Effect.Effect<ClaimedTask>
  readonly onTaken: () => void
  /** Removes and returns all tasks that were not started. */
  readonly takeQueued: Effect.Effect<ReadonlyArray<ClaimedTask>>
  readonly all: () => Iterable<ClaimedTask>
  readonly size: () => number
  readonly has: (claimed: ClaimedTask) => boolean
  /** Removes a task whose settlement is durable, or whose lease was lost. */
  readonly remove: (claimed: ClaimedTask) => void
  readonly awaitEmpty: Effect.Effect<void>
}

export const make = Effect.fnUntraced(function* (options: {
  readonly concurrency: number
  readonly prefetch: number
  readonly now: () => number
}): Effect.fn.Return<Claims> {
  const { concurrency, now, prefetch } = options
  const claimed = new Set<ClaimedTask>()
  const queue = yield* Queue.bounded<ClaimedTask>(concurrency + prefetch)
  const empty = Latch.makeUnsafe(true)
  const awake = Latch.makeUnsafe(true)
  return {
    add: (claims) => {
      const claimedAt = now()
      const entries = claims.map((claim) => new ClaimedTask(claim, claimedAt))
      for (const entry of entries) claimed.add(entry)
      empty.closeUnsafe()
      Queue.offerAllUnsafe(queue, entries)
    },
    room: (busy) => {
      const queued = Queue.sizeUnsafe(queue)
      if (queued * 2 > prefetch) return 0
      // When attempts end faster than the store takes their settlements, claiming waits.
      const unsettled = 2 * (concurrency + prefetch) - claimed.size
      return Math.max(0, Math.min(unsettled, prefetch + (concurrency - busy) - queued))
    },
    awaitWakeUp: Effect.suspend(() => {
      awake.closeUnsafe()
      return awake.await
    }),
    wakeUp: () => void awake.openUnsafe(),
    take: Queue.take(queue),
    onTaken: () => {
      if (Queue.sizeUnsafe(queue) * 2 <= prefetch) awake.openUnsafe()
    },
    takeQueued: Queue.clear(queue),
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
