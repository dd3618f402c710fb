import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import type { Event } from "../../Event.ts"
import * as Metrics from "../../OrchestratorMetrics.ts"
import type { FencedReply } from "../../TaskStore.ts"
import type { TaskStoreError } from "../../TaskStoreError.ts"
import * as Usage from "../../Usage.ts"
import { leaseKey } from "./leaseKey.ts"
import { settle, unstorable } from "./outcome.ts"
import { type Ended, fail, forget, loseLease, ofAttempt, type Run } from "./run.ts"
import { storeCall } from "./storeCall.ts"

/** More than this in one write makes it long without making it cheaper. */
const maxBatch = 1000

/**
 * Writes the ends of attempts by group commit: while one write is under way the next batch gathers, so one task alone
 * is settled at once and a thousand cost one write. Only what the store has taken is counted and published.
 */
export const settler = (run: Run): Effect.Effect<never> =>
  Effect.forever(Effect.flatMap(Queue.takeBetween(run.ended, 1, maxBatch), (batch) => write(run, batch)))

const write = (run: Run, entries: ReadonlyArray<Ended>): Effect.Effect<void> =>
  Effect.matchEffect(settleAll(run, entries), {
    onSuccess: (reply) => account(run, entries, reply),
    // One row that the store cannot take must not take its whole batch down with it.
    onFailure: (error) =>
      entries.length > 1
        ? Effect.forEach(entries, (entry) => write(run, [entry]), { discard: true })
        : Effect.forEach(entries, (entry) => giveUp(run, entry, error), { discard: true })
  })

const settleAll = (run: Run, entries: ReadonlyArray<Ended>) =>
  Effect.suspend(() => {
    let tries = 0
    const call = Effect.suspend(() => {
      tries++
      return run.store.settle(entries.map(({ settlement }) => settlement))
    })
    return Effect.map(storeCall(run, "settle", call, { size: entries.length }), ({ lost }): Reply => ({
      lost,
      repeated: tries > 1
    }))
  })

interface Reply extends FencedReply {
  /** The answer to an earlier try got lost; that try may have done the work. */
  readonly repeated: boolean
}

/** A result that cannot be stored is a failure of its task; if even that cannot be stored, the store is gone. */
const giveUp = Effect.fnUntraced(function* (run: Run, { held, settlement }: Ended, error: TaskStoreError) {
  if (settlement._tag !== "Release") {
    const failed: Ended = { held, settlement: yield* settle(run.config, held, unstorable(error)) }
    const reply = yield* Effect.result(settleAll(run, [failed]))
    if (Result.isSuccess(reply)) return yield* account(run, [failed], reply.success)
  }
  leave(run, { held, settlement })
  fail(run, error)
})

const leave = (run: Run, { held, settlement: { taskId } }: Ended) => {
  forget(run, held)
  const returning = run.returning.get(taskId)
  if (returning === undefined) return
  run.returning.delete(taskId)
  Deferred.doneUnsafe(returning, Effect.void)
}

const account = Effect.fnUntraced(function* (run: Run, entries: ReadonlyArray<Ended>, { lost, repeated }: Reply) {
  const lostByKey = lost.length === 0 ? undefined : new Map(lost.map((lease) => [leaseKey(lease), lease]))
  const events: Array<Event> = []
  const ended: Metrics.Ended = { completed: 0, retried: 0, failed: 0, released: 0, usage: null, costUsd: 0 }
  for (const entry of entries) {
    const lease = lostByKey?.get(leaseKey(entry.settlement))
    const taken = lease === undefined || (repeated && (yield* settledBefore(run, entry)))
    if (taken) count(run, entry, ended)
    else if (lease.status !== "cancelled") yield* loseLease(run)
    // Claimed ahead and never started: no start of it was told, so there is no end to tell.
    if (entry.held.startedAt === undefined) continue
    const about = ofAttempt(run, entry.held.claim.task)
    const durationMillis = run.clock.currentTimeMillisUnsafe() - entry.held.startedAt
    if (taken) {
      ended.usage = Usage.add(ended.usage, entry.held.usage)
      ended.costUsd += entry.held.usage?.costUsd ?? 0
      yield* Metrics.measureAttempt(durationMillis)
      events.push(eventOf(entry, about, durationMillis))
    } else {
      events.push(
        lease.status === "cancelled"
          ? { _tag: "TaskCancelled", ...about }
          : { _tag: "LeaseLost", ...about, finished: true }
      )
    }
  }
  yield* Metrics.countEnded(ended)
  if (events.length > 0) yield* run.bus.publishAll(events)
  for (const entry of entries) leave(run, entry)
  run.demand.openUnsafe()
})

const outcomeOf = { Complete: "completed", Retry: "retried", Fail: "failed", Release: "released" } as const

/** When only the answer to a write was lost, the second try finds its own work: the ledger tells. */
const settledBefore = (run: Run, { settlement }: Ended): Effect.Effect<boolean> =>
  Effect.match(storeCall(run, "attempts", run.store.attempts(settlement.taskId)), {
    onSuccess: (attempts) =>
      attempts.some(({ outcome, token }) => token === settlement.token && outcome === outcomeOf[settlement._tag]),
    onFailure: () => false
  })

const count = (run: Run, { held, settlement }: Ended, ended: Metrics.Ended): void => {
  switch (settlement._tag) {
    case "Complete":
      run.tally.completed++
      ended.completed++
      if (!settlement.verified) run.tally.unverified++
      return
    case "Retry":
      run.tally.retried++
      ended.retried++
      return
    case "Fail":
      run.tally.failed++
      ended.failed++
      return
    case "Release":
      // Claimed ahead and never started: not worth telling.
      if (held.startedAt !== undefined) run.tally.released++
      ended.released++
  }
}

const eventOf = (
  { held: { usage }, settlement }: Ended,
  about: ReturnType<typeof ofAttempt>,
  durationMillis: number
): Event => {
  switch (settlement._tag) {
    case "Complete":
      return {
        _tag: "TaskCompleted",
        ...about,
        output: settlement.execution.output,
        verified: settlement.verified,
        durationMillis,
        usage
      }
    case "Retry":
      return {
        _tag: "TaskRetried",
        ...about,
        feedback: settlement.feedback,
        delayMillis: Duration.toMillis(settlement.delay),
        durationMillis,
        usage
      }
    case "Fail":
      return { _tag: "TaskFailed", ...about, feedback: settlement.feedback, durationMillis, usage }
    case "Release":
      return { _tag: "TaskReleased", ...about, reason: settlement.reason }
  }
}
