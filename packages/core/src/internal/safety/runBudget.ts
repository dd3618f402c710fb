import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Budget from "../../Budget.ts"
import type { Limits, Reservation, Spend } from "../../Safety.ts"
import { SafetyStop } from "../../SafetyStop.ts"
import * as Usage from "../../Usage.ts"
import { grantedOf, leastOf, neededBy, shareOf } from "./share.ts"

interface Waiting {
  readonly spend: Spend
  readonly answer: Deferred.Deferred<Reservation, SafetyStop>
}

/**
 * Invariant: committed + reserved never exceeds the limit, so no order of commits can exceed it either. Sums are whole
 * nano-dollars, because floating point drifts over a hundred thousand calls.
 */
export const make = Effect.fnUntraced(function* (options: {
  readonly maxCostUsd?: number | undefined
  readonly maxTokens?: number | undefined
  /** The number of parts that a call leaves for others, where it can be made with less than its worst case. Default 256. */
  readonly parts?: number | undefined
}) {
  const stopped = yield* Deferred.make<SafetyStop>()
  const max: Budget.Amount = {
    nanoUsd: options.maxCostUsd === undefined ? Infinity : Budget.toNanoUsd(options.maxCostUsd, Math.floor),
    tokens: options.maxTokens ?? Infinity
  }
  const waiting: Array<Waiting> = []
  let stop = Option.none<SafetyStop>()
  /** Set after an unknown amount was spent, because the rest of the budget is unknown then. */
  let unknownRest = Option.none<SafetyStop>()
  let committed = Budget.zero
  let reserved = Budget.zero

  const halt = (reason: SafetyStop): SafetyStop => {
    if (Option.isSome(stop)) return stop.value
    stop = Option.some(reason)
    Deferred.doneUnsafe(stopped, Effect.succeed(reason))
    return reason
  }

  const usedUp = (limit: "cost" | "tokens", next?: string): SafetyStop => {
    const [spent, of] =
      limit === "cost"
        ? [usd(Budget.toUsd(committed.nanoUsd)), usd(options.maxCostUsd ?? 0)]
        : [`${committed.tokens}`, `${max.tokens} tokens`]
    const isFresh = committed.nanoUsd === 0 && committed.tokens === 0
    return new SafetyStop({
      limit,
      message: isFresh
        ? `The budget of ${of} is too small for any call: ${next ?? "nothing fits"}.`
        : `The budget is used up: ${spent} of ${of} ${limit === "cost" ? "spent" : "used"}${next === undefined ? "" : `, and ${next}`}.`
    })
  }

  const refuse = (limit: "cost" | "tokens", spend: Spend, waiting: number): SafetyStop => {
    const { what } = spend
    const { costUsd, tokens } = neededBy(spend, waiting)
    return halt(
      usedUp(
        limit,
        limit === "cost"
          ? `the next call (${what}) can cost up to ${usd(costUsd ?? 0)}`
          : `the next call (${what}) can use up to ${tokens}`
      )
    )
  }

  // `!(a <= b)`, so that NaN exceeds every limit.
  const exceeded = (sum: Budget.Amount): "cost" | "tokens" | undefined => {
    if (!(sum.nanoUsd <= max.nanoUsd)) return "cost"
    if (!(sum.tokens <= max.tokens)) return "tokens"
    return undefined
  }

  const take = (spend: Spend, amount: Budget.Amount): Reservation => {
    reserved = Budget.add(reserved, amount)
    return {
      granted: grantedOf(spend, amount),
      commit: (usage) =>
        Effect.sync(() => {
          reserved = Budget.subtract(reserved, amount)
          committed = Budget.add(committed, usage === undefined ? amount : spentBy(usage, amount))
          admit()
        })
    }
  }

  /** What to do with the first call that waits, of this number: refuse it for a limit, let it wait, or grant an amount. */
  const decide = (spend: Spend, waiting: number): "cost" | "tokens" | "wait" | Budget.Amount => {
    const taken = Budget.add(committed, reserved)
    const least = leastOf(spend, waiting)
    if (least !== undefined) {
      const hopeless = exceeded(Budget.add(committed, least))
      if (hopeless !== undefined) return hopeless
      if (exceeded(Budget.add(taken, least)) !== undefined) return "wait"
    }
    return shareOf(spend, Budget.subtract(max, taken), waiting, options.parts) ?? "wait"
  }

  // First come, first served: small calls do not starve a large one before them. Continues after the run has to stop, so
  // that running attempts can finish with the rest of the budget: an output that was paid for can still be verified.
  const admit = () => {
    for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
      const decision = decide(next.spend, waiting.length)
      if (decision === "wait") return
      waiting.shift()
      Deferred.doneUnsafe(
        next.answer,
        typeof decision === "string"
          ? Effect.fail(refuse(decision, next.spend, waiting.length + 1))
          : Effect.succeed(take(next.spend, decision))
      )
    }
  }

  // Interruptible only while it waits, so that a granted reservation always reaches an uninterruptible caller.
  const reserve = (spend: Spend): Effect.Effect<Reservation, SafetyStop> =>
    Effect.uninterruptible(
      Effect.suspend(() => {
        if (Option.isSome(unknownRest)) return Effect.fail(unknownRest.value)
        if (spend.costUsd === null && max.nanoUsd !== Infinity) {
          return Effect.fail(
            halt(
              new SafetyStop({
                limit: "cost",
                message: `The price of ${spend.what} is unknown, so a budget in USD cannot hold. Give its price, or drop the budget.`
              })
            )
          )
        }
        const decision = decide(spend, waiting.length + 1)
        if (decision === "cost" || decision === "tokens")
          return Effect.fail(refuse(decision, spend, waiting.length + 1))
        if (waiting.length === 0 && decision !== "wait") return Effect.succeed(take(spend, decision))
        const entry: Waiting = { spend, answer: Deferred.makeUnsafe<Reservation, SafetyStop>() }
        waiting.push(entry)
        return Effect.onInterrupt(Effect.interruptible(Deferred.await(entry.answer)), () => abandon(entry))
      })
    )

  const abandon = (entry: Waiting) =>
    Effect.suspend(() => {
      const index = waiting.indexOf(entry)
      if (index >= 0) {
        waiting.splice(index, 1)
        admit()
        return Effect.void
      }
      // Granted in the moment of the interruption: the call was not made, so nothing was spent.
      return Effect.ignore(Effect.flatMap(Deferred.await(entry.answer), ({ commit }) => commit(Usage.zero)))
    })

  const record = (unreserved: Usage.Usage | undefined) =>
    Effect.sync(() => {
      if (unreserved === undefined) return
      committed = Budget.add(committed, spentBy(unreserved, Budget.zero))
      if (unreserved.costUsd === null && max.nanoUsd !== Infinity) {
        const reason = halt(
          new SafetyStop({
            limit: "cost",
            message:
              "An attempt reported usage without a price, so a budget in USD cannot hold. Give its price, or drop the budget."
          })
        )
        unknownRest = Option.some(reason)
        for (const { answer } of waiting.splice(0)) Deferred.doneUnsafe(answer, Effect.fail(reason))
      }
    })

  // Usage without a reservation is known only afterwards, so the next attempt is the first that it stops.
  const refusal = (): Option.Option<SafetyStop> => {
    if (Option.isSome(stop)) return stop
    if (committed.nanoUsd > 0 && committed.nanoUsd >= max.nanoUsd) return Option.some(usedUp("cost"))
    return committed.tokens > 0 && committed.tokens >= max.tokens ? Option.some(usedUp("tokens")) : Option.none()
  }

  return {
    allow: Effect.suspend(() => {
      const reason = refusal()
      return Option.isSome(reason) ? Effect.fail(halt(reason.value)) : Effect.void
    }),
    reserve,
    recordSuccess: record,
    recordFailure: (_reason, unreserved) => record(unreserved),
    recordRelease: record,
    stopReason: Effect.sync(() => stop),
    refusal: Effect.sync(refusal),
    awaitStop: Deferred.await(stopped)
  } satisfies Partial<Limits>
})

/** The amount that a call used. Its worst case, when its price turned out to be unknown. */
export const spentBy = (usage: Usage.Usage, worst: Budget.Amount): Budget.Amount => ({
  nanoUsd: usage.costUsd === null ? worst.nanoUsd : Budget.toNanoUsd(usage.costUsd),
  tokens: Usage.totalTokens(usage)
})

/** An amount as a sentence names it. */
export const usd = (amount: number): string => `$${Number(amount.toFixed(6))}`
