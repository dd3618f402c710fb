import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { ClaudeError } from "../../ClaudeError.ts"
import { blame } from "./answer.ts"
import * as Desk from "./desk.ts"
import type { Office } from "./office.ts"

/** Of a list that never stops growing, a batch is sent every so many times of the quiet that is waited for. */
const patience = 30

/** How often in a row the API may refuse a batch in passing before its requests fail. */
const mostRefusals = 10

const longestPause = Duration.toMillis("1 minute")
const longestRetryAfter = Duration.toMillis("5 minutes")

/** Makes batches of what arrives, one after the other: as soon as nothing more arrives, or when a batch is full. */
export const collector = (office: Office): Effect.Effect<never> => {
  const { desk } = office
  let refusals = 0

  /** How long to wait before the next batch, after one that was refused. */
  const submit = Effect.fnUntraced(function* (waiters: ReadonlyArray<Desk.Waiter>): Effect.fn.Return<number> {
    const keys = waiters.map(({ key }) => key)
    const created = yield* Effect.result(create(office, waiters))
    if (created._tag === "Success") {
      refusals = 0
      return 0
    }
    const error = created.failure
    const index = culprit(error)
    const named = index === undefined ? undefined : keys[index]
    if (named !== undefined) {
      Desk.fail(desk, [named], blame(error, "Permanent"))
      Desk.putBack(
        desk,
        keys.filter((key) => key !== named)
      )
      return 0
    }
    if (error.status === 413 && keys.length > 1) {
      office.limits = { ...office.limits, requests: Math.ceil(keys.length / 2) }
      Desk.putBack(desk, keys)
      return 0
    }
    if (error.reason === "Transient" && ++refusals <= mostRefusals) {
      const asked = error.retryAfter === undefined ? 0 : Duration.toMillis(error.retryAfter)
      if (asked <= longestRetryAfter) {
        Desk.putBack(desk, keys)
        return Math.max(asked, Math.min(1000 * 2 ** (refusals - 1), longestPause))
      }
    }
    // What is wrong with a batch of many, no single task is to blame for.
    Desk.fail(desk, keys, blame(error, error.reason === "Permanent" && keys.length > 1 ? "Fatal" : error.reason))
    return 0
  })

  return Effect.forever(
    Effect.gen(function* () {
      yield* desk.arrived.await
      yield* gathered(office)
      const waiters = Desk.take(desk, office.limits)
      if (waiters.length === 0) return
      const pause = yield* submit(waiters)
      if (pause > 0) yield* Effect.sleep(pause)
    })
  )
}

const gathered = Effect.fnUntraced(function* ({ clock, desk, gather, limits }: Office) {
  const startedAt = clock.currentTimeMillisUnsafe()
  while (desk.arrivals.size > 0 && desk.arrivals.size < limits.requests && desk.arrivedBytes < limits.bytes) {
    const until = Math.min(desk.arrivedAt + gather, startedAt + patience * gather)
    const wait = until - clock.currentTimeMillisUnsafe()
    if (wait <= 0) return
    yield* Effect.sleep(wait)
  }
})

/**
 * Creates one batch. Fails when it certainly does not exist. Where nobody can say, because the answer got lost, the
 * journal keeps that it was tried, and the poller looks for it.
 */
const create = Effect.fnUntraced(function* (office: Office, waiters: ReadonlyArray<Desk.Waiter>) {
  const { api, clock, journal } = office
  const keys = waiters.map(({ key }) => key)
  // Not to be cut off between what happens there and our knowing of it, but for a moment at the end of the run.
  yield* Effect.uninterruptible(
    Effect.gen(function* () {
      const seq = yield* journal.use((journal) => journal.intend(waiters, clock.currentTimeMillisUnsafe()))
      office.beingCreated.add(seq)
      const request = api.create(waiters.map(({ key, request }) => ({ custom_id: key, params: request })))
      const cutOff = Effect.as(Effect.andThen(office.closing.await, Effect.sleep(grace)), undefined)
      const created = yield* Effect.raceFirst(Effect.interruptible(request), Effect.interruptible(cutOff)).pipe(
        Effect.tap((batch) =>
          batch === undefined ? Effect.void : journal.use((journal) => journal.created(seq, batch.id))
        ),
        Effect.result
      )
      office.beingCreated.delete(seq)
      if (created._tag === "Failure" && isRefusal(created.failure)) {
        yield* journal.use((journal) => journal.drop(seq))
        return yield* Effect.fail(created.failure)
      }
      office.doubtedSince.set(seq, clock.currentTimeMillisUnsafe())
      yield* Latch.open(office.changed)
      yield* created._tag === "Success" && created.success !== undefined
        ? Effect.logInfo("A batch is under way").pipe(
            Effect.annotateLogs({ batch: created.success.id, requests: keys.length })
          )
        : Effect.logWarning("Whether a batch was created is unknown; it is looked for").pipe(
            Effect.annotateLogs({ requests: keys.length })
          )
    })
  )
})

/** How long the end of a run waits for a batch that is being created. */
const grace = "10 seconds"

/** Whether the error says for certain that there is no batch. */
const isRefusal = ({ reason, status, type }: ClaudeError): boolean =>
  status === undefined ? reason === "Fatal" && type !== "journal" : status < 500 || status === 529

/** The request that the API names as the one that is wrong: `requests.3.params.max_tokens: ...`. */
const culprit = ({ message, status }: ClaudeError): number | undefined => {
  const index = status === 400 ? /\brequests(?:\.|\[)(\d+)\b/.exec(message)?.[1] : undefined
  return index === undefined ? undefined : Number(index)
}
