import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { ClaudeError } from "../../ClaudeError.ts"
import { type Batch, sizeOf } from "./batchApi.ts"
import { type BatchResult, resultOf, unanswered, withReason } from "./batchResult.ts"
import type { BatchRuns } from "./batchRuns.ts"
import type { BatchRow } from "./journal.ts"

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

/** Follows all batches that have not ended, with one fiber and one timer. */
export const poll = (runs: BatchRuns): Effect.Effect<never, ClaudeError> => {
  const { api, clock, journal, pending } = runs
  /** Ids of batches that other programs created. */
  const foreign = new Set<string>()
  const readings = new Map<number, number>()
  const failing = new Set<number>()

  const unansweredOf = (seq: number) => journal.use((journal) => journal.unanswered(seq))

  const failAll = (seq: number, error: ClaudeError) =>
    Effect.map(unansweredOf(seq), (keys) => pending.fail(keys, error))

  /** The batch does not exist: those of its requests that a fiber waits for become part of the next one. */
  const sendAgain = ({ seq }: BatchRow) =>
    journal.use((journal) => {
      const keys = journal.unanswered(seq)
      journal.drop(seq)
      pending.putBack(keys)
    })

  const record = (seq: number, results: ReadonlyMap<string, BatchResult>) =>
    journal.use((journal) => {
      for (const key of journal.recordResults(seq, [...results], pending.isWaiting)) {
        const result = results.get(key)
        if (result !== undefined) pending.complete(key, result)
      }
    })

  /** Records all results before it records that the batch has ended, so that an interrupted reading is repeated. */
  const collect = Effect.fnUntraced(function* ({ seq }: BatchRow, { id, results_url }: Batch) {
    if (results_url !== null) {
      yield* api.results(id).pipe(
        Stream.rechunk(chunk),
        Stream.runForEachArray((lines) => record(seq, resultsOf(lines)))
      )
      const missing = yield* unansweredOf(seq)
      const reading = (readings.get(seq) ?? 0) + 1
      if (missing.length > 0 && reading < maxReadings) {
        readings.set(seq, reading)
        return false
      }
    }
    const noResult = unanswered({
      reason: "Failed",
      type: "no_result",
      message: `The batch ${id} has no result for the request.`,
      unmetered: true
    })
    const missing = yield* unansweredOf(seq)
    yield* record(seq, new Map(missing.map((key) => [key, noResult])))
    yield* journal.use((journal) => {
      journal.recordEnded(seq)
      journal.prune(clock.currentTimeMillisUnsafe() - resultsKept)
    })
    yield* Effect.logInfo("Batch ended").pipe(Effect.annotateLogs({ batch: id }))
    return true
  })

  /**
   * Looks for a batch whose creation was not confirmed. While a batch that may be the one has not ended, its requests are
   * not sent again: only its results show which requests it contains.
   */
  const find = Effect.fnUntraced(function* (row: BatchRow) {
    const { createdAt, requests, seq } = row
    const listed = yield* api.list.pipe(
      Stream.takeWhile((batch) => DateTime.toEpochMillis(batch.created_at) >= createdAt - clockSkew),
      Stream.filter((batch) => sizeOf(batch) === requests && !foreign.has(batch.id)),
      Stream.runCollect
    )
    const candidates = yield* journal.use((journal) => listed.filter(({ id }) => !journal.knows(id)))
    const keys = new Set(yield* unansweredOf(seq))
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
      yield* journal.use((journal) => journal.recordCreated(seq, candidate.id))
      return yield* collect(row, candidate)
    }
    const unknownFor = clock.currentTimeMillisUnsafe() - (runs.unknownSince.get(seq) ?? runs.startedAt)
    if (mayExist || unknownFor < listingDelay) return false
    yield* sendAgain(row)
    return true
  })

  /** Returns whether the batch has ended or turned out not to exist. */
  const check = Effect.fnUntraced(function* (row: BatchRow) {
    if (row.id === null) return yield* find(row)
    const batch = yield* api.retrieve(row.id)
    return batch.processing_status === "ended" ? yield* collect(row, batch) : false
  })

  /** Returns how long to wait at least before the next check, where the server says so. */
  const onError = Effect.fnUntraced(function* (row: BatchRow, error: ClaudeError) {
    if (error.type === "journal") return yield* Effect.fail(error)
    if (error.reason === "Fatal") {
      yield* failAll(row.seq, withReason(error, "Fatal"))
    } else if (error.status === 404 && row.id !== null) {
      if (clock.currentTimeMillisUnsafe() - row.createdAt > resultsKept) yield* sendAgain(row)
      else yield* failAll(row.seq, withReason(error, "Fatal", unknownBatch(row.id)))
    } else if (!failing.has(row.seq)) {
      failing.add(row.seq)
      yield* Effect.logWarning("Batch check failed; retrying").pipe(
        Effect.annotateLogs({ batch: row.id ?? "unknown", reason: error.message })
      )
    }
    return error.retryAfter === undefined ? 0 : Math.min(Duration.toMillis(error.retryAfter), longestPause)
  })

  return Effect.gen(function* () {
    let interval = firstInterval
    while (true) {
      runs.changed.closeUnsafe()
      const all = yield* journal.use((journal) => journal.inProgress())
      const rows = all.filter(({ seq }) => !runs.beingCreated.has(seq))
      let progressed = false
      let pause = 0
      for (const row of rows) {
        const result = yield* Effect.result(check(row))
        if (result._tag === "Success") {
          failing.delete(row.seq)
          progressed ||= result.success
        } else pause = Math.max(pause, yield* onError(row, result.failure))
      }
      if (rows.length === 0) {
        yield* runs.changed.await
        interval = firstInterval
        continue
      }
      const wait = Math.max(progressed ? firstInterval : interval, pause)
      const isNew = yield* Effect.raceFirst(Effect.as(Effect.sleep(wait), false), Effect.as(runs.changed.await, true))
      interval = progressed || isNew ? firstInterval : Math.min(interval * growth, longestInterval)
    }
  })
}

const resultsOf = (lines: ReadonlyArray<unknown>): ReadonlyMap<string, BatchResult> =>
  new Map(lines.map(resultOf).filter((result) => result !== undefined))

/** Sending the requests again would pay for them twice once the right key is used. */
const unknownBatch = (id: string) =>
  `The batch ${id} is unknown to this API key: use the key that it was created with, ` +
  "or move the batch journal away to send its requests again."
