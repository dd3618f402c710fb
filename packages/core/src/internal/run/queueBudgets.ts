import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import type { Attempt } from "../../Attempt.ts"
import * as Budget from "../../Budget.ts"
import type { Hold, Keeper, Limits, Reservation, Spend } from "../../Safety.ts"
import { SafetyStop } from "../../SafetyStop.ts"
import type { Budgets, Reserved, Spending } from "../../TaskStore.ts"
import type { TaskStoreError } from "../../TaskStoreError.ts"
import type * as Usage from "../../Usage.ts"
import { spentBy } from "../safety/runBudget.ts"
import { grantedOf, leastOf, neededBy, shareOf } from "../safety/share.ts"
import { type ClaimedTask, leaseKey } from "./claims.ts"
import type { RunParts, StopSignal } from "./parts.ts"
import * as messages from "./queueBudgetMessages.ts"
import { storeCall } from "./storeCall.ts"

/**
 * The budgets of the queues of a run, which all workers of a queue share through the store. Reservations of many attempts
 * are written together: while one write is under way, the next batch gathers.
 */
export interface QueueBudgets {
  /** Adds these budgets to the limits of a run: no attempt starts when one of them is used up. */
  readonly guard: (limits: Limits) => Limits
  /** Reserves the worst case of a call under the lease of its attempt. Waits while running calls may free enough. */
  readonly reserve: (claimed: ClaimedTask, spend: Spend) => Effect.Effect<Reservation, SafetyStop>
  /** Counts what an attempt has used without a reservation. */
  readonly book: (claimed: ClaimedTask) => void
  /** The settlements of these tasks were written, and with them what their attempts have spent. */
  readonly settled: (claimed: ReadonlyArray<ClaimedTask>) => Effect.Effect<void>
  /** Attempts that completed tasks of a queue; none without a budget. Reads at most five times a second. */
  readonly completedAttempts: (queue: string) => Effect.Effect<ReadonlyArray<Attempt>>
  /** Reads the budgets of the run's queues. */
  readonly refresh: Effect.Effect<void, TaskStoreError>
  readonly loop: Effect.Effect<never>
}

/** What an attempt has spent and holds. */
interface Account {
  readonly claimed: ClaimedTask
  /** What its reserved calls have spent. */
  committed: Budget.Amount
  /** The amount used without a reservation. */
  unreserved: Budget.Amount
  held: Budget.Amount
  /** The part of its reservation that the store still counts. */
  freed: Budget.Amount
  /** What the store has counted. */
  sent: Budget.Amount
}

interface Request {
  readonly account: Account
  readonly spend: Spend
  /** The amount requested from the store. */
  wanted: Budget.Amount
  readonly answer: Deferred.Deferred<Budget.Amount, SafetyStop>
  state: "waiting" | "granted" | "abandoned"
}

const unlimitedAmount: Budget.Amount = { nanoUsd: Infinity, tokens: Infinity }

const notNegative = ({ nanoUsd, tokens }: Budget.Amount): Budget.Amount => ({
  nanoUsd: Math.max(0, nanoUsd),
  tokens: Math.max(0, tokens)
})

/** Larger batches take longer without costing less. */
const maxBatch = 1000

/** How often a request is repeated that waits for other processes to free something. */
const askAgain = Duration.seconds(1)

const unlimited: Reservation = { commit: () => Effect.void }

export const make = (parts: Omit<RunParts, "safety" | "budgets">, stop: StopSignal): QueueBudgets | undefined => {
  const { budgets } = parts.store
  return budgets === undefined ? undefined : makeWith({ ...parts, budgets }, stop)
}

const makeWith = (
  parts: Parameters<typeof make>[0] & { readonly budgets: Budgets },
  stopSignal: StopSignal
): QueueBudgets => {
  const { budgets, config } = parts
  const stopped = Deferred.makeUnsafe<SafetyStop>()
  let stop = Option.none<SafetyStop>()
  /** The budgets of the run's queues, as the store last reported them. */
  const known = new Map<string, Budget.Budget>()
  /** The amounts spent that are not part of `known` yet, by queue. */
  const unsent = new Map<string, Budget.Amount>()
  /** The amounts freed that are not part of `known` yet, by queue. */
  const freed = new Map<string, Budget.Amount>()
  const accounts = new WeakMap<ClaimedTask, Account>()
  /** Accounts that have changed since they were last written. */
  const changed = new Set<Account>()
  const requests: Array<Request> = []
  /** The queues whose first request was refused and waits. The others wait behind it, and are not sent until it is granted. */
  const blocked = new Set<string>()
  const hasWork = Latch.makeUnsafe(false)
  const wake = () => void hasWork.openUnsafe()

  const halt = (reason: SafetyStop): SafetyStop => {
    if (Option.isSome(stop)) return stop.value
    stop = Option.some(reason)
    Deferred.doneUnsafe(stopped, Effect.succeed(reason))
    return reason
  }

  const accountOf = (claimed: ClaimedTask): Account => {
    const found = accounts.get(claimed)
    if (found !== undefined) return found
    const { zero } = Budget
    const account = { claimed, committed: zero, unreserved: zero, held: zero, freed: zero, sent: zero }
    accounts.set(claimed, account)
    return account
  }

  const spentOf = ({ committed, unreserved }: Account) => Budget.add(committed, unreserved)

  const note = (account: Account, amount: Budget.Amount) => {
    const { queue } = account.claimed.claim.task
    unsent.set(queue, Budget.add(unsent.get(queue) ?? Budget.zero, amount))
    changed.add(account)
    wake()
  }

  /** Budgets with everything that this process knows. */
  const current = (): ReadonlyArray<Budget.Budget> =>
    Array.from(known.values(), (budget) => ({
      ...budget,
      committed: Budget.add(budget.committed, unsent.get(budget.queue) ?? Budget.zero)
    }))

  const refusal = (): Option.Option<SafetyStop> => {
    if (Option.isSome(stop) || known.size === 0) return stop
    for (const budget of current()) {
      const limit = Budget.reached(budget.limit, budget.committed)
      if (limit !== undefined) return Option.some(messages.usedUp(budget, limit))
    }
    return Option.none()
  }

  const reserve = (claimed: ClaimedTask, spend: Spend): Effect.Effect<Reservation, SafetyStop> =>
    Effect.uninterruptible(
      Effect.suspend(() => {
        const budget = known.get(claimed.claim.task.queue)
        if (budget === undefined) return Effect.succeed(unlimited)
        if (spend.costUsd === null && budget.limit.nanoUsd !== undefined) {
          return Effect.fail(halt(messages.unknownPrice(spend.what)))
        }
        const account = accountOf(claimed)
        const answer = Deferred.makeUnsafe<Budget.Amount, SafetyStop>()
        const request: Request = { account, spend, wanted: Budget.zero, answer, state: "waiting" }
        requests.push(request)
        wake()
        return Effect.map(
          Effect.onInterrupt(Effect.interruptible(Deferred.await(answer)), () => abandon(request)),
          (granted) => reservationOf(account, spend, granted)
        )
      })
    )

  const free = (account: Account, amount: Budget.Amount) => {
    const { queue } = account.claimed.claim.task
    account.held = Budget.subtract(account.held, amount)
    account.freed = Budget.add(account.freed, amount)
    freed.set(queue, Budget.add(freed.get(queue) ?? Budget.zero, amount))
  }

  const reservationOf = (account: Account, spend: Spend, granted: Budget.Amount): Reservation => {
    let keeper: Keeper = "lease"
    const hold: Hold = {
      amount: granted,
      keeper: () => keeper,
      moveTo: (next) => {
        if (next === keeper) return
        if (keeper === "lease") {
          if (next === "journal") account.held = Budget.subtract(account.held, granted)
          else free(account, granted)
        } else if (next === "lease") account.held = Budget.add(account.held, granted)
        keeper = next
        // A write under way can have the amount where it was.
        note(account, Budget.zero)
      }
    }
    return {
      granted: grantedOf(spend, granted),
      hold,
      commit: (usage: Usage.Usage | undefined) =>
        Effect.sync(() => {
          // Reads the budget again, which the journal has changed.
          if (keeper !== "lease") return note(account, Budget.zero)
          const spent = usage === undefined ? granted : spentBy(usage, granted)
          free(account, granted)
          account.committed = Budget.add(account.committed, spent)
          note(account, spent)
        })
    }
  }

  const abandon = (request: Request) =>
    Effect.sync(() => {
      const index = requests.indexOf(request)
      if (index >= 0) requests.splice(index, 1)
      // Granted in the moment of the interruption: the call was not made, so nothing was spent.
      if (request.state === "granted") {
        free(request.account, request.wanted)
        note(request.account, Budget.zero)
      }
      request.state = "abandoned"
      wake()
    })

  const book = (claimed: ClaimedTask): void => {
    const usage = claimed.unreservedUsage()
    const budget = known.get(claimed.claim.task.queue)
    if (usage === undefined || budget === undefined) return
    if (usage.costUsd === null && budget.limit.nanoUsd !== undefined) halt(messages.usageWithoutPrice)
    const account = accountOf(claimed)
    const added = Budget.increase(account.unreserved, Budget.ofUsage(usage))
    if (Budget.isZero(added)) return
    account.unreserved = Budget.add(account.unreserved, added)
    note(account, added)
  }

  const queueOf = ({ account }: Request): string => account.claimed.claim.task.queue

  /** How many requests of each queue wait. */
  const countWaiting = (): ReadonlyMap<string, number> => {
    const counts = new Map<string, number>()
    for (const request of requests) counts.set(queueOf(request), (counts.get(queueOf(request)) ?? 0) + 1)
    return counts
  }

  /** The remainder of a budget, with everything that this process knows. */
  const leftOf = (queue: string): Budget.Amount => {
    const budget = known.get(queue)
    if (budget === undefined) return unlimitedAmount
    const { committed, limit, reserved } = budget
    const taken = Budget.add(committed, Budget.add(unsent.get(queue) ?? Budget.zero, reserved))
    const left = Budget.subtract(
      { nanoUsd: limit.nanoUsd ?? Infinity, tokens: limit.tokens ?? Infinity },
      Budget.subtract(taken, freed.get(queue) ?? Budget.zero)
    )
    return notNegative(left)
  }

  /** The next batch: each lease occurs once, so a second request of the same attempt goes into the batch after it. */
  const takeBatch = () => {
    const asking = new Map<Account, Request>()
    const counts = countWaiting()
    const rooms = new Map<string, { left: Budget.Amount; readonly waiting: number }>()
    for (const request of requests) {
      if (asking.size === maxBatch) break
      const queue = queueOf(request)
      let room = rooms.get(queue)
      if (asking.has(request.account) || (room !== undefined && blocked.has(queue))) continue
      if (room === undefined) rooms.set(queue, (room = { left: leftOf(queue), waiting: counts.get(queue) ?? 1 }))
      const wanted = shareOf(request.spend, room.left, room.waiting)
      // It waits for a running call, and those behind it with it.
      if (wanted === undefined) continue
      request.wanted = wanted
      room.left = notNegative(Budget.subtract(room.left, wanted))
      asking.set(request.account, request)
    }
    // First what may free something for the requests.
    const taken = new Map<Account, Request | undefined>()
    for (const account of changed) {
      // Its settlement is on its way, and writes the same.
      if (account.claimed.phase === "settling") changed.delete(account)
      else if (!asking.has(account)) taken.set(account, undefined)
    }
    for (const [account, request] of asking) taken.set(account, request)
    const wanting = new Set(taken.values())
    const waiting = requests.filter((request) => !wanting.has(request))
    requests.splice(0, requests.length, ...waiting)
    return Array.from(taken, ([account, request]) => {
      changed.delete(account)
      const spent = spentOf(account)
      const { task, token } = account.claimed.claim
      const spending: Spending = {
        taskId: task.id,
        token,
        committed: spent,
        held: account.held,
        wanted: request?.wanted ?? Budget.zero
      }
      return { account, request, spending, freed: account.freed }
    })
  }

  type Batch = ReturnType<typeof takeBatch>

  const noteKnown = (budgets: ReadonlyArray<Budget.Budget>) => {
    for (const budget of budgets) if (config.queues.includes(budget.queue)) known.set(budget.queue, budget)
  }

  /** The store has counted this much, and freed this much. */
  const noteSent = (account: Account, spent: Budget.Amount, wasFreed: Budget.Amount) => {
    const { queue } = account.claimed.claim.task
    freed.set(queue, Budget.subtract(freed.get(queue) ?? Budget.zero, wasFreed))
    account.freed = Budget.subtract(account.freed, wasFreed)
    const fresh = Budget.increase(account.sent, spent)
    unsent.set(queue, Budget.subtract(unsent.get(queue) ?? Budget.zero, fresh))
    account.sent = Budget.add(account.sent, fresh)
  }

  /** Answers the requests of a batch, and returns those that have to wait. */
  const accept = (batch: Batch, reply: Reserved): ReadonlyArray<Request> => {
    // Otherwise they were read after it.
    if (reply.lost.length === 0) noteKnown(reply.budgets)
    for (const { account, freed, spending } of batch) noteSent(account, spending.committed, freed)
    const lost = new Map(reply.lost.map((lease) => [leaseKey(lease), lease]))
    const refused = new Set(reply.refused.map(leaseKey))
    const waiting = requests.length + refused.size
    return batch.flatMap(({ account, request, spending }) => {
      if (request === undefined) return []
      const lease = lost.get(leaseKey(spending))
      if (lease !== undefined) {
        // The work is cut off, and with it the fiber that waits.
        account.claimed.abort(lease.status === "cancelled" ? "cancelled" : "lease-lost")
        return []
      }
      const { queue } = account.claimed.claim.task
      if (!refused.has(leaseKey(spending))) {
        blocked.delete(queue)
        return grant(request)
      }
      blocked.add(queue)
      return request.state === "abandoned" || isHopeless(request, waiting) ? [] : request
    })
  }

  /** Whether a refused request would fit if it asked for less: it asked before it knew how much was left. */
  const canAskForLess = (request: Request, waiting: number): boolean => {
    const left = leftOf(queueOf(request))
    const wanted = request.spend.least === undefined ? undefined : shareOf(request.spend, left, waiting)
    return (
      wanted !== undefined &&
      Budget.exceeded(left, wanted) === undefined &&
      (wanted.nanoUsd < request.wanted.nanoUsd || wanted.tokens < request.wanted.tokens)
    )
  }

  /** Refuses a request that does not fit in addition to the amount spent, so that no freed amount can help. */
  const isHopeless = (request: Request, waiting: number): boolean => {
    const { answer, spend } = request
    const budget = known.get(queueOf(request))
    if (budget === undefined) return false
    const least = leastOf(spend, waiting)
    const limit = least && Budget.exceeded(budget.limit, Budget.add(budget.committed, least))
    if (limit === undefined) return false
    Deferred.doneUnsafe(answer, Effect.fail(halt(messages.refused(budget, limit, neededBy(spend, waiting)))))
    return true
  }

  /** Those that wait behind a refused request are not sent to the store, so they are refused here. */
  const refuseHopeless = () => {
    if (blocked.size === 0) return
    const counts = countWaiting()
    const waiting = requests.filter(
      (request) => !blocked.has(queueOf(request)) || !isHopeless(request, counts.get(queueOf(request)) ?? 1)
    )
    requests.splice(0, requests.length, ...waiting)
  }

  const grant = (request: Request): ReadonlyArray<Request> => {
    const { account, answer, wanted } = request
    if (request.state === "abandoned") {
      changed.add(account)
    } else {
      request.state = "granted"
      account.held = Budget.add(account.held, wanted)
      Deferred.doneUnsafe(answer, Effect.succeed(wanted))
    }
    return []
  }

  /** The budgets cannot be kept, so nothing more may be spent. */
  const fail = (batch: Batch, error: TaskStoreError) => {
    stopSignal.fail(error)
    const reason = halt(new SafetyStop({ limit: "cost", message: error.message }))
    for (const { request } of batch) {
      if (request !== undefined) Deferred.doneUnsafe(request.answer, Effect.fail(reason))
    }
    for (const { answer } of requests.splice(0)) Deferred.doneUnsafe(answer, Effect.fail(reason))
  }

  const writeBatch: Effect.Effect<boolean> = Effect.suspend(() => {
    const batch = takeBatch()
    if (batch.length === 0) return Effect.succeed(requests.length > 0)
    const spending = batch.map((entry) => entry.spending)
    const reserving = storeCall(parts, "reserve", budgets.reserve(spending), { size: spending.length })
    // A lease that was lost is not in the reply: its attempt was settled or swept in the meantime.
    const known = Effect.tap(reserving, ({ lost }) => (lost.length === 0 ? Effect.void : read))
    return Effect.match(known, {
      onSuccess: (reply) => {
        const waiting = accept(batch, reply)
        refuseHopeless()
        // They go to the front: first come, first served.
        const [first] = waiting
        const isRepeated = first !== undefined && canAskForLess(first, requests.length + waiting.length)
        requests.unshift(...waiting)
        return waiting.length > 0 && !isRepeated
      },
      onFailure: (error) => {
        fail(batch, error)
        return false
      }
    })
  })

  const write = Effect.gen(function* () {
    while (true) {
      yield* hasWork.await
      hasWork.closeUnsafe()
      // The fibers that run now add to the batch.
      yield* Effect.yieldNow
      const isWaiting = yield* writeBatch
      if (changed.size > 0 || (requests.length > 0 && !isWaiting)) wake()
      else if (isWaiting)
        yield* Effect.raceFirst(hasWork.await, Effect.sleep(askAgain).pipe(Effect.tap(Effect.sync(wake))))
    }
  })

  const read = Effect.suspend(() => Effect.map(storeCall(parts, "budgets", budgets.list), noteKnown))

  const history = new Map<string, Effect.Effect<ReadonlyArray<Attempt>>>()
  /** Made once for each queue, because every attempt gets one. */
  const readingHistory = new Map<string, Effect.Effect<ReadonlyArray<Attempt>>>()

  const readHistory = (queue: string): Effect.Effect<ReadonlyArray<Attempt>> =>
    Effect.suspend(() => {
      if (!known.has(queue)) return Effect.succeed([])
      const reading = history.get(queue)
      if (reading !== undefined) return reading
      return Effect.flatMap(Effect.cachedWithTTL(readCompleted(parts, queue), readAgain), (reading) => {
        history.set(queue, reading)
        return reading
      })
    })

  const completedAttempts = (queue: string): Effect.Effect<ReadonlyArray<Attempt>> => {
    let reading = readingHistory.get(queue)
    if (reading === undefined) {
      reading = readHistory(queue)
      readingHistory.set(queue, reading)
    }
    return reading
  }

  const settled = (claimed: ReadonlyArray<ClaimedTask>): Effect.Effect<void> => {
    if (known.size === 0) return Effect.void
    const ended = claimed.flatMap((each) => accounts.get(each) ?? [])
    if (ended.length === 0) return Effect.void
    return Effect.match(read, {
      onSuccess: () => {
        for (const account of ended) noteSent(account, spentOf(account), account.freed)
        if (requests.length > 0) wake()
      },
      onFailure: stopSignal.fail
    })
  }

  return {
    guard: (limits) => ({
      ...limits,
      // Known at once, so that it is not a step of the runtime for each attempt.
      get allow() {
        const reason = refusal()
        return Option.isSome(reason) ? Effect.fail(halt(reason.value)) : limits.allow
      },
      stopReason: Effect.suspend(() => (Option.isSome(stop) ? Effect.succeed(stop) : limits.stopReason)),
      refusal: Effect.suspend(() => {
        const reason = refusal()
        return Option.isSome(reason) ? Effect.succeed(reason) : limits.refusal
      }),
      awaitStop: Effect.raceFirst(Deferred.await(stopped), limits.awaitStop)
    }),
    reserve,
    book,
    completedAttempts,
    settled,
    refresh: Effect.tap(read, () => Effect.sync(wake)),
    loop: write
  }
}

/** The number of completed tasks whose attempts are read. */
const examined = 50

/** For this long, the same attempts are returned without reading again. */
const readAgain = Duration.millis(200)

/** They only make an estimate better, so an error of the store is ignored here: the run's own reads report it. */
const readCompleted = ({ store }: Pick<RunParts, "store">, queue: string): Effect.Effect<ReadonlyArray<Attempt>> =>
  store.list({ queue, status: "completed", results: false, limit: examined }).pipe(
    Effect.flatMap(({ tasks }) => Effect.forEach(tasks, ({ id }) => store.attempts(id), { concurrency: 8 })),
    Effect.map((attempts) => attempts.flat()),
    Effect.orElseSucceed(() => [])
  )
