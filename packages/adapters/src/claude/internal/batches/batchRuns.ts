import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { ClaudeError } from "../../ClaudeError.ts"
import { type BatchApi, namedRequest } from "./batchApi.ts"
import { withReason } from "./batchResult.ts"
import type { JournalFile } from "./journal.ts"
import type { BatchLimits, PendingRequest, PendingRequests } from "./pendingRequests.ts"

/** The batches of this run, which one fiber creates (`submit`) and another one follows (the poller). */
export interface BatchRuns {
  readonly api: BatchApi
  readonly journal: JournalFile
  readonly pending: PendingRequests
  readonly clock: Clock.Clock
  readonly startedAt: number
  /** Batches that this process is creating: the poller does not look for them. */
  readonly beingCreated: Set<number>
  /** Since when it has been unknown whether a batch exists, where that is later than `startedAt`. */
  readonly unknownSince: Map<number, number>
  /** Opened when the poller has a new batch to follow. */
  readonly changed: Latch.Latch
  /** Opened when the run ends. */
  readonly closing: Latch.Latch
}

/** While a list never stops growing, a batch is created after this multiple of `gather`. */
const longestGathering = 30

/** How often in a row the API may refuse a batch for a temporary reason before its requests fail. */
const maxRefusals = 10

const longestPause = Duration.toMillis("1 minute")
const longestRetryAfter = Duration.toMillis("5 minutes")

/**
 * Creates batches from the unsent requests, one after the other: when no request has arrived for `gather` milliseconds, or
 * when a batch is full.
 */
export const submit = (runs: BatchRuns, gather: number, apiLimits: BatchLimits): Effect.Effect<never> => {
  const { clock, pending } = runs
  let limits = apiLimits
  let refusals = 0

  const gathered = Effect.gen(function* () {
    const startedAt = clock.currentTimeMillisUnsafe()
    while (true) {
      const { bytes, latestAt, requests } = pending.unsent()
      if (requests === 0 || requests >= limits.requests || bytes >= limits.bytes) return
      const until = Math.min(latestAt + gather, startedAt + longestGathering * gather)
      const wait = until - clock.currentTimeMillisUnsafe()
      if (wait <= 0) return
      yield* Effect.sleep(wait)
    }
  })

  /** Returns how long to wait before the next batch, after a refusal. */
  const submitOne = Effect.fnUntraced(function* (requests: ReadonlyArray<PendingRequest>): Effect.fn.Return<number> {
    const keys = requests.map(({ key }) => key)
    const created = yield* Effect.result(create(runs, requests))
    if (created._tag === "Success") {
      refusals = 0
      return 0
    }
    const error = created.failure
    const index = namedRequest(error)
    const named = index === undefined ? undefined : keys[index]
    if (named !== undefined) {
      pending.fail([named], withReason(error, "Permanent"))
      pending.putBack(keys.filter((key) => key !== named))
      return 0
    }
    if (error.status === 413 && keys.length > 1) {
      limits = { ...limits, requests: Math.ceil(keys.length / 2) }
      pending.putBack(keys)
      return 0
    }
    if (error.reason === "Transient" && ++refusals <= maxRefusals) {
      const asked = error.retryAfter === undefined ? 0 : Duration.toMillis(error.retryAfter)
      if (asked <= longestRetryAfter) {
        pending.putBack(keys)
        return Math.max(asked, Math.min(1000 * 2 ** (refusals - 1), longestPause))
      }
    }
    // No single task is to blame for an error of a batch with several requests.
    const reason = error.reason === "Permanent" && keys.length > 1 ? "Fatal" : error.reason
    pending.fail(keys, withReason(error, reason))
    return 0
  })

  return Effect.forever(
    Effect.gen(function* () {
      yield* pending.awaitUnsent
      yield* gathered
      const requests = pending.take(limits)
      if (requests.length === 0) return
      const pause = yield* submitOne(requests)
      if (pause > 0) yield* Effect.sleep(pause)
    })
  )
}

/** How long the end of a run waits for a batch that is being created. */
const grace = "10 seconds"

/**
 * Creates one batch. Fails when the batch certainly does not exist. Where that is unknown, because the answer was lost, the
 * journal has the attempt, and the poller looks for the batch.
 */
const create = Effect.fnUntraced(function* (runs: BatchRuns, requests: ReadonlyArray<PendingRequest>) {
  const { api, clock, journal } = runs
  // Uninterruptible, so that a batch that was created is recorded; the end of the run waits only `grace` for it.
  yield* Effect.uninterruptible(
    Effect.gen(function* () {
      const seq = yield* journal.use((journal) => journal.recordIntent(requests, clock.currentTimeMillisUnsafe()))
      runs.beingCreated.add(seq)
      const creation = api.create(requests.map(({ key, request }) => ({ custom_id: key, params: request })))
      const cutOff = Effect.as(Effect.andThen(runs.closing.await, Effect.sleep(grace)), undefined)
      const created = yield* Effect.raceFirst(Effect.interruptible(creation), Effect.interruptible(cutOff)).pipe(
        Effect.tap((batch) =>
          batch === undefined ? Effect.void : journal.use((journal) => journal.recordCreated(seq, batch.id))
        ),
        Effect.result
      )
      runs.beingCreated.delete(seq)
      if (created._tag === "Failure" && isRefusal(created.failure)) {
        yield* journal.use((journal) => journal.drop(seq))
        return yield* Effect.fail(created.failure)
      }
      runs.unknownSince.set(seq, clock.currentTimeMillisUnsafe())
      yield* Latch.open(runs.changed)
      yield* created._tag === "Success" && created.success !== undefined
        ? Effect.logInfo("Batch created").pipe(
            Effect.annotateLogs({ batch: created.success.id, requests: requests.length })
          )
        : Effect.logWarning("Batch creation was not confirmed; looking for the batch").pipe(
            Effect.annotateLogs({ requests: requests.length })
          )
    })
  )
})

/** Whether the error means for certain that the batch does not exist. */
const isRefusal = ({ reason, status, type }: ClaudeError): boolean =>
  status === undefined ? reason === "Fatal" && type !== "journal" : status < 500 || status === 529
