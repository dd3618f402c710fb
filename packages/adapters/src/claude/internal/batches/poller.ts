import type { BatchRun } from "@baton/core/BatchJournal"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { ClaudeError } from "../../ClaudeError.ts"
import { type Batch, sizeOf } from "./batchApi.ts"
import { type BatchResult, resultOf, unanswered, withReason } from "./batchResult.ts"
import type { BatchRuns } from "./batchRuns.ts"
import * as Journal from "./journal.ts"
import { type PendingRequest, sentAgain } from "./pendingRequests.ts"

const seconds = Duration.toMillis("1 second")
const firstInterval = 5 * seconds
const longestInterval = 60 * seconds
const growth = 1.5

/** The longest wait that a server's `retry-after` can cause: results may have arrived meanwhile. */
const longestPause = 10 * longestInterval

/** How long the API keeps results. */
const resultsKept = Duration.toMillis("29 days")

/** If a batch whose creation was not confirmed exists, the API lists it within this time. */
const listingDelay = Duration.toMillis("1 minute")

/** The largest difference to expect between this machine's clock and the API's. */
const clockSkew = Duration.toMillis("1 hour")

/** Results are written to the journal in chunks of this size. */
const chunk = 500

/** How often results that lack some requests are read. */
const maxReadings = 3

/** How often batches of other workers are checked, in which no request of this process waits. */
const unattendedInterval = Duration.toMillis("10 minutes")

/** A worker that is creating a batch does not take this long. */
const longestCreation = Duration.toMillis("1 day")

/** Follows the batches in which requests of this process wait, with one fiber and one timer. */
export const poll = (runs: BatchRuns): Effect.Effect<never, ClaudeError> => {
  const { api, beingCreated, clock, journal, pending } = runs
  /** Ids of batches that other programs created. */
  const foreign = new Set<string>()
  const readings = new Map<string, number>()
  const failing = new Set<string>()
  /** Since when it has been unknown whether a batch exists. */
  const unknownSince = new Map<string, number>()
  /** When batches of other workers were last checked. */
  let checkedOthersAt = clock.currentTimeMillisUnsafe()

  const failAll = (run: string, error: ClaudeError) => pending.fail(pending.inRun(run), error)

  /** Those of these requests that have something reserved, or need nothing, become part of the next batch. */
  const sendAgain = (requests: ReadonlyArray<PendingRequest>) => {
    const isReady = ({ hold, isResumed }: PendingRequest) =>
      !isResumed && (hold === undefined || hold.keeper() === "lease")
    pending.putBack(requests.filter(isReady))
    pending.fail(
      requests.filter((request) => !isReady(request)),
      sentAgain()
    )
  }

  /** The batch does not exist. */
  const drop = Effect.fnUntraced(function* (run: string) {
    const waiting = pending.inRun(run)
    yield* journal.drop(run)
    for (const { hold } of waiting) if (hold?.keeper() === "journal") hold.moveTo("lease")
    sendAgain(waiting)
  })

  /** The API has deleted the results: their cost is unknown. */
  const forget = Effect.fnUntraced(function* (run: string, error: ClaudeError) {
    const waiting = pending.inRun(run)
    yield* Journal.forget(journal, run, error.message)
    sendAgain(waiting)
  })

  const record = Effect.fnUntraced(function* (run: string, results: ReadonlyMap<string, BatchResult>) {
    const recorded = yield* journal.record(
      run,
      Array.from(results, ([key, result]) => ({
        key,
        result,
        spent: pending.spentOn(key, result),
        takenBy: pending.waitingFor(key)?.taskId
      }))
    )
    for (const key of recorded) {
      const result = results.get(key)
      if (result !== undefined) pending.complete(key, result)
    }
  })

  /** Records all results before it records that the batch has ended, so that an interrupted reading is repeated. */
  const collect = Effect.fnUntraced(
    function* ({ run }: BatchRun, { id, results_url }: Batch) {
      runs.isCollecting = true
      if (results_url !== null) {
        yield* api.results(id).pipe(
          Stream.rechunk(chunk),
          Stream.runForEachArray((lines) => record(run, resultsOf(lines)))
        )
        const missing = yield* journal.unanswered(run)
        const reading = (readings.get(run) ?? 0) + 1
        if (missing.length > 0 && reading < maxReadings) {
          readings.set(run, reading)
          return false
        }
      }
      const noResult = unanswered({
        reason: "Failed",
        type: "no_result",
        message: `The batch ${id} has no result for the request.`,
        unmetered: true
      })
      const missing = yield* journal.unanswered(run)
      if (missing.length > 0) yield* record(run, new Map(missing.map((key) => [key, noResult])))
      yield* journal.end(run)
      yield* journal.prune(Duration.millis(resultsKept))
      yield* Effect.logInfo("Batch ended").pipe(Effect.annotateLogs({ batch: id }))
      // Other workers may have recorded some of the results first.
      yield* pending.follow(pending.inRun(run))
      return true
    },
    Effect.ensuring(Effect.sync(() => (runs.isCollecting = false)))
  )

  /**
   * Looks for a batch whose creation was not confirmed. While a batch that may be the one has not ended, its requests are
   * not sent again: only its results show which requests it contains.
   *
   * A worker that waits for one of its requests has the lease of the task. So the worker that was creating the batch has lost
   * that lease, and has ended or been stopped.
   */
  const find = Effect.fnUntraced(function* (row: BatchRun, rows: ReadonlyArray<BatchRun>, isAwaited: boolean) {
    const { requests, run } = row
    const createdAt = DateTime.toEpochMillis(row.createdAt)
    const known = new Set(rows.map(({ id }) => id))
    const candidates = yield* api.list.pipe(
      Stream.takeWhile((batch) => DateTime.toEpochMillis(batch.created_at) >= createdAt - clockSkew),
      Stream.filter((batch) => sizeOf(batch) === requests && !foreign.has(batch.id) && !known.has(batch.id)),
      Stream.runCollect
    )
    const keys = new Set(yield* journal.unanswered(run))
    let mayExist = false
    for (const candidate of candidates) {
      if (candidate.processing_status !== "ended") {
        mayExist = true
        continue
      }
      const first = candidate.results_url === null ? Option.none() : yield* Stream.runHead(api.results(candidate.id))
      const key = Option.isSome(first) ? resultOf(first.value)?.[0] : undefined
      if (key === undefined || !keys.has(key)) {
        foreign.add(candidate.id)
        continue
      }
      yield* journal.created(run, candidate.id)
      return yield* collect(row, candidate)
    }
    const now = clock.currentTimeMillisUnsafe()
    const since = unknownSince.get(run) ?? now
    unknownSince.set(run, since)
    if (mayExist || now - since < (isAwaited ? listingDelay : longestCreation)) return false
    yield* drop(run)
    return true
  })

  /** Returns whether the batch has ended or turned out not to exist. */
  const check = Effect.fnUntraced(function* (row: BatchRun, rows: ReadonlyArray<BatchRun>, isAwaited: boolean) {
    if (row.id === undefined) return yield* find(row, rows, isAwaited)
    const batch = yield* api.retrieve(row.id)
    return batch.processing_status === "ended" ? yield* collect(row, batch) : false
  })

  /** Returns how long to wait at least before the next check, where the server says so. */
  const onError = Effect.fnUntraced(function* ({ createdAt, id, run }: BatchRun, error: ClaudeError) {
    if (error.type === "journal") return yield* Effect.fail(error)
    if (error.reason === "Fatal") {
      failAll(run, withReason(error, "Fatal"))
    } else if (error.status === 404 && id !== undefined) {
      if (clock.currentTimeMillisUnsafe() - DateTime.toEpochMillis(createdAt) > resultsKept) yield* forget(run, error)
      else failAll(run, withReason(error, "Fatal", unknownBatch(id)))
    } else if (!failing.has(run)) {
      failing.add(run)
      yield* Effect.logWarning("Batch check failed; retrying").pipe(
        Effect.annotateLogs({ batch: id ?? "unknown", reason: error.message })
      )
    }
    return error.retryAfter === undefined ? 0 : Math.min(Duration.toMillis(error.retryAfter), longestPause)
  })

  /** The batches to check now: those in which requests wait, and from time to time those of other workers. */
  const due = Effect.gen(function* () {
    const awaited = pending.runs()
    const now = clock.currentTimeMillisUnsafe()
    const checksOthers = now - checkedOthersAt >= unattendedInterval
    if (checksOthers) checkedOthersAt = now
    const rows = yield* journal.list
    const open = new Set(rows.map(({ run }) => run))
    // Another worker has collected these, or found that they do not exist.
    const over = Array.from(awaited).filter((run) => !open.has(run) && !beingCreated.has(run))
    yield* pending.follow(over.flatMap(pending.inRun))
    return {
      awaited,
      rows,
      checked: rows.filter(({ run }) => !beingCreated.has(run) && (checksOthers || awaited.has(run)))
    }
  })

  return Effect.gen(function* () {
    let interval = firstInterval
    while (true) {
      runs.changed.closeUnsafe()
      const { awaited, checked, rows } = yield* due
      let progressed = false
      let pause = 0
      for (const row of checked) {
        const result = yield* Effect.result(check(row, rows, awaited.has(row.run)))
        if (result._tag === "Success") {
          failing.delete(row.run)
          progressed ||= result.success
        } else pause = Math.max(pause, yield* onError(row, result.failure))
      }
      const isIdle = awaited.size === 0 && checked.length === 0
      const wait = isIdle ? unattendedInterval : Math.max(progressed ? firstInterval : interval, pause)
      const isNew = yield* Effect.raceFirst(Effect.as(Effect.sleep(wait), false), Effect.as(runs.changed.await, true))
      interval = isIdle || progressed || isNew ? firstInterval : Math.min(interval * growth, longestInterval)
    }
  })
}

const resultsOf = (lines: ReadonlyArray<unknown>): ReadonlyMap<string, BatchResult> =>
  new Map(lines.map(resultOf).filter((result) => result !== undefined))

/** Sending the requests again would pay for them twice once the right key is used. */
const unknownBatch = (id: string) =>
  `The batch ${id} is unknown to this API key: use the key that it was created with, ` +
  "or forget the batch (baton batch cancel --forget), so that its requests are sent again."
