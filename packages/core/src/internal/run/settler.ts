import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import type { Event } from "../../Event.ts"
import * as Outcome from "../../Outcome.ts"
import type { Stats } from "../../Stats.ts"
import type { TaskId } from "../../Task.ts"
import type { FencedReply, Settlement } from "../../TaskStore.ts"
import type { TaskStoreError } from "../../TaskStoreError.ts"
import { type ClaimedTask, type Claims, leaseKey } from "./claims.ts"
import * as dependencies from "./dependencies.ts"
import * as metrics from "./metrics.ts"
import { ofAttempt, type RunParts, type StopSignal } from "./parts.ts"
import { attemptOutcome, failureSettlementOf, settlementOf, unstorable } from "./settlement.ts"
import { storeCall } from "./storeCall.ts"

/** More settlements in one write make it longer without making it cheaper. */
const maxBatch = 1000

/** How many ledgers are read at the same time, for the delays of tasks that failed more than once. */
const ledgerReads = 16

/**
 * Writes the outcomes of attempts by group commit: while one write is under way the next batch gathers, so that a single
 * task is settled at once and a thousand cost one write. Only what the store has accepted is counted and published.
 */
export interface Settler {
  /** Sends the outcome of an attempt on its way to the store. */
  readonly settle: (claimed: ClaimedTask, outcome: Exclude<Outcome.Outcome, Outcome.Lost>) => void
  /** Leaves a task whose lease is gone, so that nothing is written. */
  readonly drop: (claimed: ClaimedTask) => Effect.Effect<void>
  /**
   * Releases everything that was claimed and not started; when it is overdue, only what waits for a worker. With a queue, a
   * task of another queue that has a worker stays.
   */
  readonly releaseUnstarted: (cause: keyof typeof notStarted, queue?: string) => Effect.Effect<void>
  /**
   * While an earlier attempt of a task is on its way back to pending: returns when its event is published, so that the
   * next attempt starts after that.
   */
  readonly returning: (taskId: TaskId) => Effect.Effect<void> | undefined
  readonly stats: () => SettlerStats
  readonly loops: ReadonlyArray<Effect.Effect<never>>
}

type SettlerStats = Pick<
  Stats,
  | "tasksCompleted"
  | "tasksUnverified"
  | "tasksInReview"
  | "tasksRetried"
  | "tasksFailed"
  | "tasksReleased"
  | "leasesLost"
>

interface PendingOutcome {
  readonly claimed: ClaimedTask
  readonly outcome: Exclude<Outcome.Outcome, Outcome.Lost>
}

interface PendingSettlement {
  readonly claimed: ClaimedTask
  readonly settlement: Settlement
}

interface Reply extends FencedReply {
  /** An earlier try failed, and may have been written: only its answer may have been lost. */
  readonly isRepeated: boolean
}

/** Why a task that was claimed is released before it starts. */
export const notStarted = {
  paused: "the run was paused before it was started",
  "queue-paused": "a queue of the run was paused before it was started",
  shutdown: "the run ended before it was started",
  "cooling-down": "the circuit breaker opened before it was started",
  overdue: "other tasks of its worker took longer than expected"
} as const

export const make = Effect.fnUntraced(function* (
  parts: RunParts,
  claims: Claims,
  stop: StopSignal
): Effect.fn.Return<Settler> {
  // Each claim is settled once, and the number of claims is bounded. A bounded queue could block a pause or a drain.
  const pending = yield* Queue.unbounded<PendingOutcome>()
  const returning = new Map<TaskId, Deferred.Deferred<void>>()
  const counts = { completed: 0, unverified: 0, inReview: 0, retried: 0, failed: 0, released: 0, leasesLost: 0 }

  /** Usually it is empty, and looking up an id takes V8 a fifth of a microsecond. */
  const returningOf = (taskId: TaskId) => (returning.size === 0 ? undefined : returning.get(taskId))

  /** Waits for outcomes. Those of workers that end an attempt in the same moment come together. */
  const nextBatch = Queue.peek(pending).pipe(
    Effect.andThen(Effect.yieldNow),
    Effect.andThen(Queue.takeBetween(pending, 1, maxBatch))
  )

  const settle: Settler["settle"] = (claimed, outcome) => {
    claimed.phase = "settling"
    const taskId = claimed.claim.task.id
    // An earlier return of the same task may be under way, and another attempt may wait for it.
    if (outcome._tag !== "Accepted" && !returning.has(taskId)) returning.set(taskId, Deferred.makeUnsafe())
    Queue.offerUnsafe(pending, { claimed, outcome })
  }

  const decideAll = (batch: ReadonlyArray<PendingOutcome>): Effect.Effect<ReadonlyArray<PendingSettlement>> => {
    const decided = batch.flatMap((entry) => decideAtOnce(entry) ?? [])
    return decided.length === batch.length
      ? Effect.succeed(decided)
      : Effect.forEach(batch, decide, { concurrency: ledgerReads })
  }

  const decideAtOnce = ({ claimed, outcome }: PendingOutcome): PendingSettlement | undefined =>
    Outcome.isFailure(outcome) ? undefined : { claimed, settlement: settlementOf(claimed, outcome) }

  /** Decided here and not by the worker: the retry policy may have to read the ledger, which a store outage delays. */
  const decide = ({ claimed, outcome }: PendingOutcome): Effect.Effect<PendingSettlement> =>
    Outcome.isFailure(outcome)
      ? Effect.map(failureSettlementOf(parts, claimed, outcome), (settlement) => ({ claimed, settlement }))
      : Effect.succeed({ claimed, settlement: settlementOf(claimed, outcome) })

  const drop = Effect.fnUntraced(function* (claimed: ClaimedTask) {
    claims.remove(claimed)
    const isCancelled = claimed.abortReason === "cancelled"
    if (!isCancelled) yield* countLostLease(claimed)
    if (claimed.startedAt === undefined) return
    const about = ofAttempt(parts, claimed.claim.task)
    yield* parts.events.publish(
      isCancelled
        ? { _tag: "TaskCancelled", outcome: "cancelled", ...about }
        : { _tag: "LeaseLost", outcome: "lease_expired", ...about, finished: false }
    )
  })

  const releaseUnstarted = Effect.fnUntraced(function* (cause: keyof typeof notStarted, queue?: string) {
    const isCooling = cause === "cooling-down"
    if (cause !== "overdue") {
      for (const claimed of claims.all()) {
        const isMeant = (queue === undefined || claimed.claim.task.queue === queue) && (claimed.isStarted || !isCooling)
        if (isMeant && claimed.phase === "waiting") claimed.abort(cause)
      }
    }
    // Tasks without the mark stay claimed, because waiting for the circuit breaker costs them nothing.
    if (isCooling && claims.queuedStarted() === 0) return
    for (const claimed of yield* claims.takeQueued) {
      if (claimed.abortReason === undefined) settle(claimed, { _tag: "Released", reason: notStarted[cause] })
      else claims.remove(claimed)
    }
  })

  const write = (entries: ReadonlyArray<PendingSettlement>): Effect.Effect<void> =>
    Effect.matchEffect(call(entries), {
      onSuccess: (reply) => accept(entries, reply),
      // One row that the store refuses must not fail the others of its batch.
      onFailure: (error) =>
        Effect.forEach(entries, (entry) => (entries.length > 1 ? write([entry]) : giveUp(entry, error)), {
          discard: true
        })
    })

  const call = (entries: ReadonlyArray<PendingSettlement>): Effect.Effect<Reply, TaskStoreError> =>
    Effect.suspend(() => {
      let tries = 0
      const settling = Effect.suspend(() => {
        tries++
        return parts.store.settle(entries.map(({ settlement }) => settlement))
      })
      return Effect.map(storeCall(parts, "settle", settling, { size: entries.length }), ({ lost }) => ({
        lost,
        isRepeated: tries > 1
      }))
    })

  /** Fails a task whose result the store refuses. When the store refuses even that, it is unusable, and the run ends. */
  const giveUp = Effect.fnUntraced(function* ({ claimed, settlement }: PendingSettlement, error: TaskStoreError) {
    if (settlement._tag !== "Release") {
      const failed = { claimed, settlement: yield* failureSettlementOf(parts, claimed, unstorable(error)) }
      const reply = yield* Effect.result(call([failed]))
      if (Result.isSuccess(reply)) return yield* accept([failed], reply.success)
    }
    leave({ claimed, settlement })
    stop.fail(error)
  })

  const accept = Effect.fnUntraced(function* (entries: ReadonlyArray<PendingSettlement>, { isRepeated, lost }: Reply) {
    const lostByKey = lost.length === 0 ? undefined : new Map(lost.map((lease) => [leaseKey(lease), lease]))
    const events: Array<Event> = []
    const failed: Array<TaskId> = []
    const metered = new metrics.AttemptBatches()
    for (const entry of entries) {
      const { claimed, settlement } = entry
      const lease = lostByKey?.get(leaseKey(settlement))
      const isAccepted = lease === undefined || (isRepeated && (yield* isSettledAlready(settlement)))
      if (isAccepted) {
        count(entry)
        if (claimed.startedAt !== undefined) {
          metered.of(claimed.claim.task.queue).outcomes[attemptOutcome[settlement._tag]]++
        }
        if (settlement._tag === "Fail") failed.push(settlement.taskId)
      } else if (lease.status !== "cancelled") yield* countLostLease(claimed)
      // No start of it was published, so no end is.
      if (claimed.startedAt === undefined) continue
      const about = ofAttempt(parts, claimed.claim.task)
      const durationMillis = parts.clock.currentTimeMillisUnsafe() - claimed.startedAt
      if (isAccepted) {
        const batch = metered.of(claimed.claim.task.queue)
        metrics.addUsage(batch, claimed.usage)
        batch.durations.push(durationMillis)
        events.push(eventOf(entry, about, durationMillis))
      } else {
        events.push(
          lease.status === "cancelled"
            ? { _tag: "TaskCancelled", outcome: "cancelled", ...about }
            : { _tag: "LeaseLost", outcome: "lease_expired", ...about, finished: true }
        )
      }
    }
    yield* parts.metrics.countAttempts(metered)
    if (events.length > 0) yield* parts.events.publishAll(events)
    // Before the claims are left, so that a run does not end without it.
    yield* dependencies.onFailed(parts, failed)
    if (parts.budgets !== undefined) yield* parts.budgets.settled(entries.map(({ claimed }) => claimed))
    for (const entry of entries) leave(entry)
    claims.wakeUp()
  })

  /** When only the answer to a write was lost, the second try finds its own work in the ledger. */
  const isSettledAlready = ({ _tag, taskId, token }: Settlement): Effect.Effect<boolean> =>
    Effect.match(storeCall(parts, "attempts", parts.store.attempts(taskId)), {
      onSuccess: (attempts) =>
        attempts.some((attempt) => attempt.token === token && attempt.outcome === attemptOutcome[_tag]),
      onFailure: () => false
    })

  const count = ({ claimed, settlement }: PendingSettlement): void => {
    switch (settlement._tag) {
      case "Complete":
        counts.completed++
        if (!settlement.verified) counts.unverified++
        return
      case "Review":
        counts.inReview++
        return
      case "Retry":
        counts.retried++
        return
      case "Fail":
        counts.failed++
        return
      case "Release":
        // A task that was claimed ahead and never started does not count as released.
        if (claimed.startedAt !== undefined) counts.released++
    }
  }

  const countLostLease = ({ claim }: ClaimedTask) =>
    Effect.suspend(() => {
      counts.leasesLost++
      return parts.metrics.of(claim.task.queue).countLostLease
    })

  const leave = ({ claimed, settlement: { taskId } }: PendingSettlement) => {
    claims.remove(claimed)
    const returned = returningOf(taskId)
    if (returned === undefined) return
    returning.delete(taskId)
    Deferred.doneUnsafe(returned, Effect.void)
  }

  return {
    settle,
    drop,
    releaseUnstarted,
    returning: (taskId) => {
      const returned = returningOf(taskId)
      return returned === undefined ? undefined : Deferred.await(returned)
    },
    stats: () => ({
      tasksCompleted: counts.completed,
      tasksUnverified: counts.unverified,
      tasksInReview: counts.inReview,
      tasksRetried: counts.retried,
      tasksFailed: counts.failed,
      tasksReleased: counts.released,
      leasesLost: counts.leasesLost
    }),
    loops: [
      Effect.forever(Effect.flatMap(Effect.flatMap(nextBatch, decideAll), write)),
      Effect.forever(Effect.andThen(claims.awaitOverdue, releaseUnstarted("overdue")))
    ]
  }
})

const eventOf = (
  { claimed: { usage }, settlement }: PendingSettlement,
  about: ReturnType<typeof ofAttempt>,
  durationMillis: number
): Event => {
  switch (settlement._tag) {
    case "Complete":
      return {
        _tag: "TaskCompleted",
        outcome: "completed",
        at: about.at,
        taskId: about.taskId,
        attempt: about.attempt,
        output: settlement.execution.output,
        verified: settlement.verified,
        durationMillis,
        usage
      }
    case "Review":
      return {
        _tag: "TaskInReview",
        outcome: "in_review",
        ...about,
        output: settlement.execution.output,
        reason: settlement.verification.review ?? "",
        durationMillis,
        usage
      }
    case "Retry":
      return {
        _tag: "TaskRetried",
        outcome: "retried",
        ...about,
        feedback: settlement.feedback,
        delayMillis: Duration.toMillis(settlement.delay),
        durationMillis,
        usage
      }
    case "Fail":
      return {
        _tag: "TaskFailed",
        outcome: "failed",
        ...about,
        feedback: settlement.feedback,
        durationMillis,
        usage
      }
    case "Release":
      return { _tag: "TaskReleased", outcome: "released", ...about, reason: settlement.reason }
  }
}
