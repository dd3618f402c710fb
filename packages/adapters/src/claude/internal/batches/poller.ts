import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { ClaudeError } from "../../ClaudeError.ts"
import { type Answer, blame, unanswered } from "./answer.ts"
import { type Batch, sizeOf } from "./batchApi.ts"
import * as Desk from "./desk.ts"
import { itemOf } from "./item.ts"
import type { BatchRow } from "./journal.ts"
import type { Office } from "./office.ts"

const seconds = Duration.toMillis("1 second")
const firstInterval = 5 * seconds
const longestInterval = 60 * seconds
const growth = 1.5

/** A server that wants to be left alone for longer is asked all the same: an answer may be there. */
const longestPause = 10 * longestInterval

/** How long the API keeps results. */
export const kept = Duration.toMillis("29 days")

/** A batch that a lost answer told of shows up in the list within this time, if it exists. */
const settling = Duration.toMillis("1 minute")

/** How far the clock of this machine may be off. */
const clockSkew = Duration.toMillis("1 hour")

/** Results are written so many at once. */
const chunk = 500

/** How often results that lack some requests are read again. */
const mostReadings = 3

/** Looks after all batches that have not ended: one fiber and one timer, however many requests are in them. */
export const poller = (office: Office): Effect.Effect<never, ClaudeError> => {
  const { api, clock, desk, journal } = office
  const strangers = new Set<string>()
  const readings = new Map<number, number>()
  const failing = new Set<number>()

  const unansweredOf = (seq: number) => journal.use((journal) => journal.unanswered(seq))

  const failAll = (seq: number, error: ClaudeError) =>
    Effect.map(unansweredOf(seq), (keys) => Desk.fail(desk, keys, error))

  /** Its requests are in no batch: whoever waits for one of them gets it into the next. */
  const sendAgain = ({ seq }: BatchRow) =>
    journal.use((journal) => {
      const keys = journal.unanswered(seq)
      journal.drop(seq)
      Desk.putBack(desk, keys)
    })

  const settle = (seq: number, answers: ReadonlyMap<string, Answer>) =>
    journal.use((journal) => {
      for (const key of journal.settle(seq, [...answers], (key) => desk.waiting.has(key))) {
        const answer = answers.get(key)
        if (answer !== undefined) Desk.answer(desk, key, answer)
      }
    })

  /** Writes all results, and only then calls the batch ended: what breaks off is read again. */
  const collect = Effect.fnUntraced(function* ({ seq }: BatchRow, { id, results_url }: Batch) {
    if (results_url !== null) {
      yield* api.results(id).pipe(
        Stream.rechunk(chunk),
        Stream.runForEachArray((lines) => settle(seq, answersOf(lines)))
      )
      const missing = yield* unansweredOf(seq)
      const reading = (readings.get(seq) ?? 0) + 1
      if (missing.length > 0 && reading < mostReadings) {
        readings.set(seq, reading)
        return false
      }
    }
    const nothing = unanswered({
      reason: "Failed",
      type: "no_result",
      message: `The batch ${id} has no result for it.`,
      unmetered: true
    })
    const missing = yield* unansweredOf(seq)
    yield* settle(seq, new Map(missing.map((key) => [key, nothing])))
    yield* journal.use((journal) => {
      journal.ended(seq)
      journal.prune(clock.currentTimeMillisUnsafe() - kept)
    })
    yield* Effect.logInfo("A batch has ended").pipe(Effect.annotateLogs({ batch: id }))
    return true
  })

  /**
   * Looks for a batch of which nobody knows whether it was created. While one that may be it has not ended, its requests
   * are not sent a second time: whose it is shows only in its results.
   */
  const find = Effect.fnUntraced(function* (row: BatchRow) {
    const { createdAt, requests, seq } = row
    const known = yield* api.list.pipe(
      Stream.takeWhile((batch) => DateTime.toEpochMillis(batch.created_at) >= createdAt - clockSkew),
      Stream.filter((batch) => sizeOf(batch) === requests && !strangers.has(batch.id)),
      Stream.runCollect
    )
    const candidates = yield* journal.use((journal) => known.filter(({ id }) => !journal.knows(id)))
    const keys = new Set(yield* unansweredOf(seq))
    let mayExist = false
    for (const candidate of candidates) {
      if (candidate.processing_status !== "ended") {
        mayExist = true
        continue
      }
      const first = candidate.results_url === null ? Option.none() : yield* Stream.runHead(api.results(candidate.id))
      const key = Option.isSome(first) ? itemOf(first.value)?.[0] : undefined
      if (key === undefined || !keys.has(key)) {
        strangers.add(candidate.id)
        continue
      }
      yield* journal.use((journal) => journal.created(seq, candidate.id))
      return yield* collect(row, candidate)
    }
    const doubted = clock.currentTimeMillisUnsafe() - (office.doubtedSince.get(seq) ?? office.startedAt)
    if (mayExist || doubted < settling) return false
    yield* sendAgain(row)
    return true
  })

  const look = Effect.fnUntraced(function* (row: BatchRow) {
    if (row.id === null) return yield* find(row)
    const batch = yield* api.retrieve(row.id)
    return batch.processing_status === "ended" ? yield* collect(row, batch) : false
  })

  /** Returns how long the next look should wait at least, which the server may say. */
  const onError = Effect.fnUntraced(function* (row: BatchRow, error: ClaudeError) {
    if (error.type === "journal") return yield* Effect.fail(error)
    if (error.reason === "Fatal") {
      yield* failAll(row.seq, blame(error, "Fatal"))
    } else if (error.status === 404 && row.id !== null) {
      if (clock.currentTimeMillisUnsafe() - row.createdAt > kept) yield* sendAgain(row)
      else yield* failAll(row.seq, blame(error, "Fatal", stranger(row.id)))
    } else if (!failing.has(row.seq)) {
      failing.add(row.seq)
      yield* Effect.logWarning("A batch could not be looked at; it is tried again").pipe(
        Effect.annotateLogs({ batch: row.id ?? "unknown", reason: error.message })
      )
    }
    return error.retryAfter === undefined ? 0 : Math.min(Duration.toMillis(error.retryAfter), longestPause)
  })

  return Effect.gen(function* () {
    let interval = firstInterval
    while (true) {
      office.changed.closeUnsafe()
      const all = yield* journal.use((journal) => journal.underWay())
      const rows = all.filter(({ seq }) => !office.beingCreated.has(seq))
      let moved = false
      let pause = 0
      for (const row of rows) {
        const result = yield* Effect.result(look(row))
        if (result._tag === "Success") {
          failing.delete(row.seq)
          moved ||= result.success
        } else pause = Math.max(pause, yield* onError(row, result.failure))
      }
      if (rows.length === 0) {
        yield* office.changed.await
        interval = firstInterval
        continue
      }
      const wait = Math.max(moved ? firstInterval : interval, pause)
      const isNew = yield* Effect.raceFirst(Effect.as(Effect.sleep(wait), false), Effect.as(office.changed.await, true))
      interval = moved || isNew ? firstInterval : Math.min(interval * growth, longestInterval)
    }
  })
}

const answersOf = (lines: ReadonlyArray<unknown>): ReadonlyMap<string, Answer> =>
  new Map(lines.map(itemOf).filter((item) => item !== undefined))

/** Were its requests sent again, they would be paid twice as soon as the right key is there. */
const stranger = (id: string) =>
  `The batch ${id} is unknown to this API key: use the key that it was created with, ` +
  "or move the journal of batches away, and its requests are sent again."
