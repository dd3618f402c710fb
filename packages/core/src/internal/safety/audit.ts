import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Audit from "../../Audit.ts"
import type { Limits } from "../../Safety.ts"
import { SafetyStop } from "../../SafetyStop.ts"
import type { TaskStore } from "../../TaskStore.ts"

/** Reading the sample takes at most this part of the time. */
const busyShare = 0.05

export const make = Effect.fnUntraced(function* (
  store: TaskStore["Service"],
  options: Omit<Audit.Options, "queue"> & {
    readonly queues: ReadonlyArray<string>
    readonly maxFalseAccept: number
    readonly interval: Duration.Duration
  }
) {
  const start = yield* DateTime.now
  let stop: SafetyStop | undefined

  /** Whether people disagree too often with a judge of this run. Judges of former runs do not count. */
  const check = Effect.gen(function* () {
    for (const queue of options.queues) {
      const { judges } = yield* Audit.read(store, { queue, share: options.share })
      const wrong = judges.find(
        ({ falseAccepts, lastAt }) =>
          falseAccepts.low > options.maxFalseAccept && DateTime.isGreaterThanOrEqualTo(lastAt, start)
      )
      if (wrong !== undefined) return Option.some(stopFor(queue, wrong, options.maxFalseAccept))
    }
    return Option.none()
  }).pipe(
    // The store can be unreachable for a while, which does not end a run.
    Effect.catchTag("TaskStoreError", ({ message }) =>
      Effect.as(
        Effect.annotateLogs(Effect.logDebug("The audit could not be read"), { module: "Safety", error: message }),
        Option.none<SafetyStop>()
      )
    )
  )

  const reason = Effect.sync(() => Option.fromUndefinedOr(stop))

  return {
    allow: Effect.suspend(() => (stop === undefined ? Effect.void : Effect.fail(stop))),
    stopReason: reason,
    refusal: reason,
    awaitStop: Effect.gen(function* () {
      while (stop === undefined) {
        const [took, found] = yield* Effect.timed(check)
        stop = Option.getOrUndefined(found)
        if (stop === undefined) {
          yield* Effect.sleep(Duration.max(options.interval, Duration.times(took, 1 / busyShare)))
        }
      }
      return stop
    })
  } satisfies Partial<Limits>
})

const stopFor = (queue: string, { criteria, falseAccepts, models }: Audit.JudgeRates, limit: number): SafetyStop => {
  const { audited, high, low, wrong } = falseAccepts
  const judge = models.length === 0 ? "the verifier" : models.join(", ")
  const by = criteria === undefined ? "" : `, judging by ${JSON.stringify(criteria.slice(0, 60))}`
  return new SafetyStop({
    limit: "false-accepts",
    message: `People rejected ${wrong} of ${audited} outputs of the queue ${queue} that ${judge} had accepted${by}: the rate of false accepts is between ${percent(low)} and ${percent(high)} (95 %), above the limit of ${percent(limit)}.`
  })
}

const percent = (share: number) => `${Number((share * 100).toFixed(1))}%`
