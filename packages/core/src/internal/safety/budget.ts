import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Reservation, SafetyService, Spend } from "../../Safety.ts"
import { SafetyStop } from "../../SafetyStop.ts"
import * as Usage from "../../Usage.ts"

interface Waiting {
  readonly spend: Spend
  readonly answer: Deferred.Deferred<Reservation, SafetyStop>
}

const usd = (amount: number) => `$${Number(amount.toFixed(6))}`

/**
 * Invariant: committed + reserved never exceeds the limit, so no order of commits can exceed it either. Sums are whole
 * nano-dollars, because floating point drifts over a hundred thousand calls.
 */
export const make = Effect.fnUntraced(function* (options: {
  readonly maxCostUsd?: number | undefined
  readonly maxTokens?: number | undefined
}) {
  const stopped = yield* Deferred.make<SafetyStop>()
  const maxCost = options.maxCostUsd === undefined ? Infinity : toNano(options.maxCostUsd, Math.floor)
  const maxTokens = options.maxTokens ?? Infinity
  const waiting: Array<Waiting> = []
  let stop = Option.none<SafetyStop>()
  let committed = { cost: 0, tokens: 0 }
  let reserved = { cost: 0, tokens: 0 }
  let outstanding = 0

  const halt = (limit: "cost" | "tokens", message: string): SafetyStop => {
    if (Option.isSome(stop)) return stop.value
    const reason = new SafetyStop({ limit, message })
    stop = Option.some(reason)
    Deferred.doneUnsafe(stopped, Effect.succeed(reason))
    for (const { answer } of waiting.splice(0)) Deferred.doneUnsafe(answer, Effect.fail(reason))
    return reason
  }

  const tooMuch = (spend: Spend): "cost" | "tokens" | undefined => {
    if (committed.cost + reserved.cost + toNano(spend.costUsd ?? 0, Math.ceil) > maxCost) return "cost"
    if (committed.tokens + reserved.tokens + spend.tokens > maxTokens) return "tokens"
    return undefined
  }

  const exhausted = (limit: "cost" | "tokens", spend: Spend): SafetyStop =>
    limit === "cost"
      ? halt(
          "cost",
          `The budget is used up: ${usd(committed.cost / 1e9)} of ${usd(options.maxCostUsd ?? 0)} spent, and the next call ` +
            `(${spend.what}) can cost up to ${usd(spend.costUsd ?? 0)}.`
        )
      : halt(
          "tokens",
          `The budget is used up: ${committed.tokens} of ${maxTokens} tokens used, and the next call (${spend.what}) can ` +
            `use up to ${spend.tokens}.`
        )

  const settle = (spend: Spend) => (usage: Usage.Usage | null) =>
    Effect.sync(() => {
      const cost = toNano(spend.costUsd ?? 0, Math.ceil)
      outstanding--
      reserved = { cost: reserved.cost - cost, tokens: reserved.tokens - spend.tokens }
      book(usage === null ? { cost, tokens: spend.tokens } : spentBy(usage, spend))
      admit()
    })

  // A price that turns out unknown afterwards is booked at its worst case.
  const spentBy = (usage: Usage.Usage, spend: Spend) => ({
    cost: toNano(usage.costUsd ?? spend.costUsd ?? 0, Math.ceil),
    tokens: Usage.totalTokens(usage)
  })

  const book = (spent: { readonly cost: number; readonly tokens: number }) => {
    committed = { cost: committed.cost + spent.cost, tokens: committed.tokens + spent.tokens }
  }

  const take = (spend: Spend): Reservation => {
    outstanding++
    reserved = { cost: reserved.cost + toNano(spend.costUsd ?? 0, Math.ceil), tokens: reserved.tokens + spend.tokens }
    return { commit: settle(spend) }
  }

  // First come, first served: a large call at the head is not starved by small ones behind it.
  const admit = () => {
    for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
      const limit = tooMuch(next.spend)
      if (limit !== undefined) {
        if (outstanding === 0) exhausted(limit, next.spend)
        return
      }
      waiting.shift()
      Deferred.doneUnsafe(next.answer, Effect.succeed(take(next.spend)))
    }
  }

  const reserve = (spend: Spend): Effect.Effect<Reservation, SafetyStop> =>
    Effect.suspend(() => {
      if (Option.isSome(stop)) return Effect.fail(stop.value)
      if (spend.costUsd === null && maxCost !== Infinity) {
        return Effect.fail(
          halt(
            "cost",
            `The price of ${spend.what} is unknown, so a budget in USD cannot hold. Give its price, or drop the budget.`
          )
        )
      }
      const limit = tooMuch(spend)
      if (limit === undefined && waiting.length === 0) return Effect.succeed(take(spend))
      if (limit !== undefined && outstanding === 0) return Effect.fail(exhausted(limit, spend))
      const entry: Waiting = { spend, answer: Deferred.makeUnsafe<Reservation, SafetyStop>() }
      waiting.push(entry)
      return Effect.onInterrupt(Deferred.await(entry.answer), () => abandon(entry))
    })

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
      if (unreserved.costUsd === null && maxCost !== Infinity) {
        halt(
          "cost",
          "An attempt reported usage without a price, so a budget in USD cannot hold. Give its price, or drop the budget."
        )
      }
      book({ cost: toNano(unreserved.costUsd ?? 0, Math.ceil), tokens: Usage.totalTokens(unreserved) })
      if (committed.cost >= maxCost) {
        halt("cost", `The budget is used up: ${usd(committed.cost / 1e9)} of ${usd(options.maxCostUsd ?? 0)} spent.`)
      } else if (committed.tokens >= maxTokens) {
        halt("tokens", `The budget is used up: ${committed.tokens} of ${maxTokens} tokens used.`)
      }
    })

  return {
    allow: Effect.suspend(() => (Option.isSome(stop) ? Effect.fail(stop.value) : Effect.void)),
    reserve,
    recordSuccess: record,
    recordFailure: (_reason, unreserved) => record(unreserved),
    stopReason: Effect.sync(() => stop),
    awaitStop: Deferred.await(stopped)
  } satisfies Partial<SafetyService>
})

const toNano = (usd: number, round: (value: number) => number): number => round(Number((usd * 1e9).toPrecision(15)))
