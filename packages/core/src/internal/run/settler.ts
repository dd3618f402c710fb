import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Queue from "effect/Queue"
import type { Event } from "../../Event.ts"
import * as Metrics from "../../OrchestratorMetrics.ts"
import type { LostLease } from "../../TaskStore.ts"
import type { TaskStoreError } from "../../TaskStoreError.ts"
import * as Usage from "../../Usage.ts"
import { leaseKey } from "./leaseKey.ts"
import { delayMillis, settle } from "./outcome.ts"
import { type Ended, fail, forget, ofAttempt, type Run } from "./run.ts"
import { storeCall } from "./storeCall.ts"

/** More than this in one write makes it long without making it cheaper. */
const maxBatch = 1000

/**
 * Writes the ends of attempts by group commit: while one write is under way the next batch gathers, so one task alone
 * is settled at once and a thousand cost one write. Only what the store has taken is counted and published.
 */
export const settler = (run: Run): Effect.Effect<void> =>
  Queue.takeBetween(run.ended, 1, maxBatch).pipe(
    Effect.flatMap((batch) => write(run, batch)),
    Effect.forever,
    Effect.catch((error) => Effect.sync(() => fail(run, error)))
  )

const write = (run: Run, entries: ReadonlyArray<Ended>): Effect.Effect<void, TaskStoreError> =>
  storeCall(run, "settle", run.store.settle(entries.map(({ settlement }) => settlement))).pipe(
    Effect.matchEffect({
      onSuccess: ({ lost }) => account(run, entries, lost),
      onFailure: (error) => (entries.length > 1 ? writeOneByOne(run, entries) : giveUp(run, entries, error))
    })
  )

/** One row that the store cannot take must not take its whole batch down with it. */
const writeOneByOne = (run: Run, entries: ReadonlyArray<Ended>) =>
  Effect.forEach(entries, (entry) => write(run, [entry]), { discard: true })

/** A result that cannot be stored is a failure of its task; if even that cannot be stored, the store is gone. */
const giveUp = Effect.fnUntraced(function* (
  run: Run,
  entries: ReadonlyArray<Ended>,
  error: TaskStoreError
): Effect.fn.Return<void, TaskStoreError> {
  for (const { held, settlement } of entries) {
    if (settlement._tag === "Fail" || settlement._tag === "Release") return yield* Effect.fail(error)
    const message = `The result could not be stored: ${error.message}`
    const outcome = { _tag: "Errored", message, permanent: true, execution: null } as const
    const failed = yield* settle(run.config, held, outcome)
    const { lost } = yield* storeCall(run, "settle", run.store.settle([failed]))
    yield* account(run, [{ held, settlement: failed }], lost)
  }
})

const account = Effect.fnUntraced(function* (run: Run, entries: ReadonlyArray<Ended>, lost: ReadonlyArray<LostLease>) {
  const lostByToken = lost.length === 0 ? undefined : new Map(lost.map((lease) => [leaseKey(lease), lease]))
  const events: Array<Event> = []
  const ended: Metrics.Ended = { completed: 0, retried: 0, failed: 0, released: 0 }
  for (const entry of entries) {
    forget(run, entry.held)
    const lease = lostByToken?.get(leaseKey(entry.settlement))
    const durationMillis = run.clock.currentTimeMillisUnsafe() - entry.held.startedAt
    if (lease === undefined) {
      run.tally.usage = Usage.add(run.tally.usage, entry.held.usage)
      count(run, entry, ended)
      const event = eventOf(run, entry, durationMillis)
      if (event !== undefined) events.push(event)
      yield* Metric.update(Metrics.attemptDuration, durationMillis)
    } else if (lease.status === "cancelled") {
      events.push({ _tag: "TaskCancelled", ...ofAttempt(run, entry.held.claim.task) })
    } else {
      run.tally.leasesLost++
      events.push({ _tag: "LeaseLost", ...ofAttempt(run, entry.held.claim.task), finished: true })
    }
  }
  yield* Metrics.countEnded(ended)
  if (events.length > 0) yield* run.bus.publishAll(events)
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
      if (held.startedAt > 0) run.tally.released++
      ended.released++
  }
}

const eventOf = (run: Run, { held, settlement }: Ended, durationMillis: number): Event | undefined => {
  const about = ofAttempt(run, held.claim.task)
  const { usage } = held
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
        delayMillis: delayMillis(settlement),
        durationMillis,
        usage
      }
    case "Fail":
      return { _tag: "TaskFailed", ...about, feedback: settlement.feedback, durationMillis, usage }
    case "Release":
      return held.startedAt > 0 ? { _tag: "TaskReleased", ...about, reason: settlement.reason } : undefined
  }
}
