import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Reservation, SafetyService, Spend } from "../../Safety.ts"
import { SafetyStop } from "../../SafetyStop.ts"
import * as Usage from "../../Usage.ts"

interface Amount {
  readonly cost: number
  readonly tokens: number
}

interface Waiting {
  readonly spend: Spend
  readonly answer: Deferred.Deferred<Reservation, SafetyStop>
}

const nothing: Amount = { cost: 0, tokens: 0 }
const plus = (left: Amount, right: Amount): Amount => ({
  cost: left.cost + right.cost,
  tokens: left.tokens + right.tokens
})
const minus = (left: Amount, right: Amount): Amount => ({
  cost: left.cost - right.cost,
  tokens: left.tokens - right.tokens
})

/**
 * Invariant: committed + reserved never exceeds the limit, so no order of commits can exceed it either. Sums are whole
 * nano-dollars, because floating point drifts over a hundred thousand calls.
 */
export const make = Effect.fnUntraced(function* (options: {
  readonly maxCostUsd?: number | undefined
  readonly maxTokens?: number | undefined
}) {
  const stopped = yield* Deferred.make<SafetyStop>()
  const max: Amount = {
    cost: options.maxCostUsd === undefined ? Infinity : toNano(options.maxCostUsd, Math.floor),
    tokens: options.maxTokens ?? Infinity
  }
  const waiting: Array<Waiting> = []
  let stop = Option.none<SafetyStop>()
  /** Set when something was spent of which nobody knows how much: whatever is left cannot be told any more. */
  let broken = Option.none<SafetyStop>()
  let committed = nothing
  let reserved = nothing

  const halt = (limit: "cost" | "tokens", message: string): SafetyStop => {
    if (Option.isSome(stop)) return stop.value
    const reason = new SafetyStop({ limit, message })
    stop = Option.some(reason)
    Deferred.doneUnsafe(stopped, Effect.succeed(reason))
    return reason
  }

  const haltUsedUp = (limit: "cost" | "tokens", next?: string): SafetyStop => {
    const [spent, of] =
      limit === "cost"
        ? [usd(committed.cost / 1e9), usd(options.maxCostUsd ?? 0)]
        : [`${committed.tokens}`, `${max.tokens} tokens`]
    const isFresh = committed.cost === 0 && committed.tokens === 0
    return halt(
      limit,
      isFresh
        ? `The budget of ${of} is too small to begin with: ${next ?? "nothing fits"}.`
        : `The budget is used up: ${spent} of ${of} ${limit === "cost" ? "spent" : "used"}${next === undefined ? "" : `, and ${next}`}.`
    )
  }

  const refuse = (limit: "cost" | "tokens", { costUsd, tokens, what }: Spend): SafetyStop =>
    haltUsedUp(
      limit,
      limit === "cost"
        ? `the next call (${what}) can cost up to ${usd(costUsd ?? 0)}`
        : `the next call (${what}) can use up to ${tokens}`
    )

  // `!(a <= b)`, so that a sum that is not a number exceeds every limit.
  const exceeded = (sum: Amount): "cost" | "tokens" | undefined => {
    if (!(sum.cost <= max.cost)) return "cost"
    if (!(sum.tokens <= max.tokens)) return "tokens"
    return undefined
  }

  const take = (spend: Spend): Reservation => {
    const worst = worstOf(spend)
    reserved = plus(reserved, worst)
    return {
      commit: (usage) =>
        Effect.sync(() => {
          reserved = minus(reserved, worst)
          committed = plus(committed, usage === null ? worst : spentBy(usage, worst))
          admit()
        })
    }
  }

  // First come, first served: a large call at the head is not starved by small ones behind it. This goes on once the run has
  // to stop, so that work under way can finish on what is left: an output that was paid for can still be judged.
  const admit = () => {
    for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
      const worst = worstOf(next.spend)
      const hopeless = exceeded(plus(committed, worst))
      if (hopeless === undefined && exceeded(plus(plus(committed, reserved), worst)) !== undefined) return
      waiting.shift()
      Deferred.doneUnsafe(
        next.answer,
        hopeless === undefined ? Effect.succeed(take(next.spend)) : Effect.fail(refuse(hopeless, next.spend))
      )
    }
  }

  // Interruptible only while it waits: a reservation that was granted always reaches a caller that is uninterruptible.
  const reserve = (spend: Spend): Effect.Effect<Reservation, SafetyStop> =>
    Effect.uninterruptible(
      Effect.suspend(() => {
        if (Option.isSome(broken)) return Effect.fail(broken.value)
        if (spend.costUsd === null && max.cost !== Infinity) {
          return Effect.fail(
            halt(
              "cost",
              `The price of ${spend.what} is unknown, so a budget in USD cannot hold. Give its price, or drop the budget.`
            )
          )
        }
        const worst = worstOf(spend)
        const hopeless = exceeded(plus(committed, worst))
        if (hopeless !== undefined) return Effect.fail(refuse(hopeless, spend))
        if (waiting.length === 0 && exceeded(plus(plus(committed, reserved), worst)) === undefined) {
          return Effect.succeed(take(spend))
        }
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
      // Granted in the same moment as the interruption: the call was never made, so nothing was spent.
      return Effect.ignore(Effect.flatMap(Deferred.await(entry.answer), ({ commit }) => commit(Usage.zero)))
    })

  const record = (unreserved: Usage.Usage | null) =>
    Effect.sync(() => {
      if (unreserved === null) return
      committed = plus(committed, spentBy(unreserved, nothing))
      if (unreserved.costUsd === null && max.cost !== Infinity) {
        const reason = halt(
          "cost",
          "An attempt reported usage without a price, so a budget in USD cannot hold. Give its price, or drop the budget."
        )
        broken = Option.some(reason)
        for (const { answer } of waiting.splice(0)) Deferred.doneUnsafe(answer, Effect.fail(reason))
      }
    })

  // What nobody reserves is known only afterwards, so the attempt after the limit was reached is the first to be refused.
  const allow = Effect.suspend(() => {
    if (Option.isSome(stop)) return Effect.fail(stop.value)
    if (committed.cost > 0 && committed.cost >= max.cost) return Effect.fail(haltUsedUp("cost"))
    if (committed.tokens > 0 && committed.tokens >= max.tokens) return Effect.fail(haltUsedUp("tokens"))
    return Effect.void
  })

  return {
    allow,
    reserve,
    recordSuccess: record,
    recordFailure: (_reason, unreserved) => record(unreserved),
    recordRelease: record,
    stopReason: Effect.sync(() => stop),
    awaitStop: Deferred.await(stopped)
  } satisfies Partial<SafetyService>
})

const worstOf = (spend: Spend): Amount => ({ cost: toNano(spend.costUsd ?? 0, Math.ceil), tokens: spend.tokens })

/** What a call used; a price that turned out unknown counts as its worst case. */
const spentBy = (usage: Usage.Usage, worst: Amount): Amount => ({
  cost: usage.costUsd === null ? worst.cost : toNano(usage.costUsd, Math.ceil),
  tokens: Usage.totalTokens(usage)
})

/** Digits beyond a thousandth of a nano-dollar are noise of the floating point, not money. */
const toNano = (amount: number, round: (value: number) => number): number => round(Number((amount * 1e9).toFixed(3)))

/** An amount as a sentence names it. */
export const usd = (amount: number): string => `$${Number(amount.toFixed(6))}`
