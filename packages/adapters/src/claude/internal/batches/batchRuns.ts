import type { NewBatch } from "@baton/core/BatchJournal"
import * as Budget from "@baton/core/Budget"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { ClaudeError } from "../../ClaudeError.ts"
import { type BatchApi, namedRequest } from "./batchApi.ts"
import * as BatchBody from "./batchBody.ts"
import { withReason } from "./batchResult.ts"
import type { Journal } from "./journal.ts"
import { type BatchLimits, leaseLost, type PendingRequest, type PendingRequests } from "./pendingRequests.ts"

/** The batches of this run, which one fiber creates (`submit`) and another one follows (the poller). */
export interface BatchRuns {
  readonly api: BatchApi
  readonly journal: Journal
  readonly pending: PendingRequests
  readonly clock: Clock.Clock
  /** Names a batch before it has an id. */
  readonly newRun: () => string
  /** Batches that this process is creating: the poller does not look for them. */
  readonly beingCreated: Set<string>
  /** Whether answers are being delivered, from which more requests follow. */
  isCollecting: boolean
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
export const submit = (runs: BatchRuns, gather: number, apiLimits: BatchLimits): Effect.Effect<never, ClaudeError> => {
  const { clock, pending } = runs
  let limits = apiLimits
  let refusals = 0

  const gathered = Effect.gen(function* () {
    let startedAt = clock.currentTimeMillisUnsafe()
    while (true) {
      const { bytes, latestAt, requests } = pending.unsent()
      if (requests === 0 || requests >= limits.requests || BatchBody.lengthOf(bytes) >= limits.bytes) return
      if (runs.isCollecting) {
        yield* Effect.sleep(gather)
        startedAt = clock.currentTimeMillisUnsafe()
        continue
      }
      const until = Math.min(latestAt + gather, startedAt + longestGathering * gather)
      // A sleep of less than a nanosecond ends at once.
      const wait = Math.ceil(until - clock.currentTimeMillisUnsafe())
      if (wait <= 0) return
      yield* Effect.sleep(wait)
    }
  })

  /** Returns how long to wait before the next batch, after a refusal. */
  const submitOne = Effect.fnUntraced(function* (
    requests: ReadonlyArray<PendingRequest>
  ): Effect.fn.Return<number, ClaudeError> {
    const created = yield* create(runs, requests)
    if (created === undefined) {
      refusals = 0
      return 0
    }
    const { error, refused } = created
    const index = namedRequest(error)
    const named = index === undefined ? undefined : refused[index]
    if (named !== undefined) {
      pending.fail([named], withReason(error, "Permanent"))
      pending.putBack(refused.filter((request) => request !== named))
      return 0
    }
    if (error.status === 413 && refused.length > 1) {
      limits = { ...limits, requests: Math.ceil(refused.length / 2) }
      pending.putBack(refused)
      return 0
    }
    if (error.reason === "Transient" && ++refusals <= maxRefusals) {
      const asked = error.retryAfter === undefined ? 0 : Duration.toMillis(error.retryAfter)
      if (asked <= longestRetryAfter) {
        pending.putBack(refused)
        return Math.max(asked, Math.min(1000 * 2 ** (refusals - 1), longestPause))
      }
    }
    // No single task is to blame for an error of a batch with several requests.
    const reason = error.reason === "Permanent" && refused.length > 1 ? "Fatal" : error.reason
    pending.fail(refused, withReason(error, reason))
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

/** A batch that the API refused: it certainly does not exist. */
interface Refusal {
  readonly error: ClaudeError
  readonly refused: ReadonlyArray<PendingRequest>
}

/**
 * Creates one batch. Where it is unknown whether it exists, because the answer was lost, the journal has the attempt, and the
 * poller looks for the batch.
 */
const create = (
  runs: BatchRuns,
  requests: ReadonlyArray<PendingRequest>
): Effect.Effect<Refusal | undefined, ClaudeError> => {
  const { closing } = runs
  // Uninterruptible, so that a batch that was created is recorded; the end of the run waits only `grace` for it.
  const cutOff = Effect.andThen(closing.await, Effect.sleep(grace))
  return Effect.uninterruptible(
    Effect.raceFirst(
      Effect.interruptible(createWith(runs, requests)),
      Effect.interruptible(Effect.as(cutOff, undefined))
    )
  )
}

const createWith = Effect.fnUntraced(function* (
  { api, beingCreated, changed, journal, newRun, pending }: BatchRuns,
  requests: ReadonlyArray<PendingRequest>
): Effect.fn.Return<Refusal | undefined, ClaudeError> {
  const run = newRun()
  const queue = requests[0]?.queue ?? ""
  beingCreated.add(run)
  const recorded = yield* begin(journal, pending, { run, queue }, requests)
  if (recorded.length === 0) {
    beingCreated.delete(run)
    return undefined
  }
  pending.joined(recorded, run)
  const created = yield* Effect.result(
    api.create(
      recorded.map(({ key, request }) => ({ custom_id: key, params: request })),
      recorded.reduce((sum, { bytes }) => sum + bytes, 0)
    )
  )
  if (created._tag === "Failure" && isRefusal(created.failure)) {
    yield* journal.drop(run)
    beingCreated.delete(run)
    for (const { hold } of recorded) hold?.moveTo("lease")
    return { error: created.failure, refused: recorded }
  }
  if (created._tag === "Success") {
    yield* journal.created(run, created.success.id)
    yield* Effect.logInfo("Batch created").pipe(
      Effect.annotateLogs({ batch: created.success.id, requests: recorded.length })
    )
  } else {
    yield* Effect.logWarning("Batch creation was not confirmed; looking for the batch").pipe(
      Effect.annotateLogs({ requests: recorded.length })
    )
  }
  beingCreated.delete(run)
  yield* Latch.open(changed)
  return undefined
})

/** Records that requests are about to become a batch. Returns those that no other batch has. */
const begin = Effect.fnUntraced(function* (
  journal: Journal,
  pending: PendingRequests,
  batch: NewBatch,
  requests: ReadonlyArray<PendingRequest>
): Effect.fn.Return<ReadonlyArray<PendingRequest>, ClaudeError> {
  const { existing, lost } = yield* journal.begin(
    batch,
    requests.map(({ hold, key, taskId, token }) => ({ key, taskId, token, held: hold?.amount ?? Budget.zero }))
  )
  const elsewhere = new Set(existing)
  const gone = new Set(lost)
  pending.fail(
    requests.filter(({ key }) => gone.has(key)),
    leaseLost()
  )
  const others = requests.filter(({ key }) => elsewhere.has(key))
  for (const { hold } of others) hold?.moveTo("none")
  yield* pending.follow(others)
  const recorded = requests.filter(({ key }) => !elsewhere.has(key) && !gone.has(key))
  for (const { hold } of recorded) hold?.moveTo("journal")
  return recorded
})

/** Whether the error means for certain that the batch does not exist. */
const isRefusal = ({ reason, status }: ClaudeError): boolean =>
  status === undefined ? reason === "Fatal" : status < 500 || status === 529
