import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Attempt } from "../../Attempt.ts"
import type { AttemptContext } from "../../AttemptContext.ts"
import type { Limits, Reservation, Spend } from "../../Safety.ts"
import { SafetyStop } from "../../SafetyStop.ts"
import type { Task } from "../../Task.ts"
import * as Usage from "../../Usage.ts"
import * as runBudget from "../safety/runBudget.ts"
import { narrowed, neededBy } from "../safety/share.ts"
import type { ClaimedTask } from "./claims.ts"
import type { RunParts } from "./parts.ts"
import { storedAttempts } from "./storeCall.ts"

type TaskLimits = Pick<RunParts["config"], "maxCostPerTask" | "maxTokensPerTask">

/**
 * How an attempt pays for its calls: from the budget of its task first, then from the budget of the run, then from that of
 * its queue. The order is the same for all calls, so that no two of them wait for each other.
 */
export const spend = (parts: RunParts, claimed: ClaimedTask): AttemptContext["spend"] => {
  // Made for the first paid call, because many attempts make none.
  let made: { readonly reserve: Reserve; readonly countLost: ReturnType<typeof countingLost> } | undefined
  return ({ call, isResumable, isResumed = false, onGranted, spent, worstCase }) =>
    Effect.uninterruptibleMask((restore) => {
      made ??= { reserve: reserving(parts, claimed), countLost: countingLost(parts, claimed) }
      const { countLost, reserve } = made
      // A batch that a dead worker has sent is found again, so nothing of it is lost.
      const counted = isResumable === true ? Effect.void : countLost(worstCase)
      return Effect.flatMap(Effect.andThen(counted, reserve(worstCase, isResumed)), (reservation) => {
        const granted = reservation.granted ?? worstCase
        const { hold } = reservation
        onGranted?.(granted, hold)
        return Effect.onExit(restore(call), (exit) => {
          const isPaidLater = isResumable === true && Exit.hasInterrupts(exit) && isRepeated(claimed)
          const usage = spent(exit) ?? (isPaidLater ? Usage.zero : undefined)
          // Without this, the ledger would say that a call that was cut off cost nothing.
          const isCommitted = isResumed || (hold !== undefined && hold.keeper() !== "lease")
          claimed.addReservedUsage(usage ?? Usage.atMost(granted), { isUnreported: usage === undefined, isCommitted })
          return reservation.commit(usage)
        })
      })
    })
}

/**
 * Before the first paid call of an attempt, counts the calls that dead workers may have made for the task before it. What they
 * have cost is unknown, and at most as much as this call, because a repeated attempt begins with the call that was cut off.
 */
const countingLost = (parts: RunParts, claimed: ClaimedTask) => {
  const { task, token } = claimed.claim
  // The first claim of a task.
  let isCounted = token === 1
  return ({ costUsd, tokens }: Spend): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (isCounted) return Effect.void
      isCounted = true
      return Effect.map(storedAttempts(parts, task.id), (attempts) => {
        const lost = countLost(attempts.filter((attempt) => attempt.token < token))
        if (lost === 0) return
        claimed.lostUsage = Usage.atMost({ costUsd: costUsd === null ? null : lost * costUsd, tokens: lost * tokens })
      })
    })
}

/** How many of the latest attempts ended without a settlement after the last one that wrote the usage of the task. */
const countLost = (attempts: ReadonlyArray<Attempt>): number => {
  let lost = 0
  for (const { outcome, usage } of attempts.toReversed()) {
    if (outcome !== "lease_expired" && outcome !== "cancelled") break
    lost++
    // Its output was saved, and with it the usage of the attempts before it.
    if (usage !== undefined) break
  }
  return lost
}

/** Reserves what a call can cost. A call that is resumed has its part of the budget of the queue already. */
type Reserve = (worstCase: Spend, isResumed: boolean) => Effect.Effect<Reservation, SafetyStop>

/** Makes the budget of the task for its first paid call: most tasks have no limit, and many make no such call. */
const reserving = (parts: RunParts, claimed: ClaimedTask): Reserve => {
  const { config } = parts
  const { maxCostPerTask, maxTokensPerTask } = config
  const reserveShared = reservingShared(parts, claimed)
  if (maxCostPerTask === undefined && maxTokensPerTask === undefined) return reserveShared
  let taskBudget: Pick<Limits, "reserve"> | undefined
  const getTaskBudget = Effect.suspend(() =>
    taskBudget === undefined
      ? Effect.map(
          makeTaskBudget(config, {
            ...claimed.claim.task,
            usage: Usage.add(claimed.claim.task.usage, claimed.lostUsage)
          }),
          (made) => (taskBudget ??= made)
        )
      : Effect.succeed(taskBudget)
  )
  return (worstCase, isResumed) =>
    Effect.flatMap(getTaskBudget, (taskBudget) =>
      Effect.flatMap(taskBudget.reserve(worstCase), (ofTask) =>
        Effect.map(
          Effect.onError(reserveShared(narrowed(worstCase, ofTask), isResumed), () => ofTask.commit(Usage.zero)),
          (shared) => both(ofTask, shared)
        )
      )
    )
}

/** Reserves from the budgets of the run and of the queue. */
const reservingShared =
  ({ budgets, safety }: RunParts, claimed: ClaimedTask): Reserve =>
  (worstCase, isResumed) =>
    budgets === undefined || isResumed
      ? safety.reserve(worstCase)
      : Effect.flatMap(safety.reserve(worstCase), (ofRun) =>
          Effect.map(
            Effect.onError(budgets.reserve(claimed, narrowed(worstCase, ofRun)), () => ofRun.commit(Usage.zero)),
            (ofQueue) => both(ofRun, ofQueue)
          )
        )

/** Whether the next attempt makes the call that was cut off again. */
const isRepeated = ({ abortReason }: ClaimedTask): boolean =>
  abortReason === "shutdown" || abortReason === "execution-timeout" || abortReason === "verification-timeout"

/** Why nothing more can be spent on a task, when that is known before it is started. */
export const usedUp = (limits: TaskLimits, task: Task): string | undefined => {
  const { maxCostPerTask, maxTokensPerTask } = limits
  const used = task.usage ?? Usage.zero
  const cost = Usage.maxUsd(used)
  if (maxCostPerTask !== undefined && cost === null) {
    return "The cost of this task so far is unknown, so its limit in USD cannot hold. Give the price, or drop maxCostPerTask (--max-cost-per-task)."
  }
  if (maxCostPerTask !== undefined && cost !== null && cost >= maxCostPerTask) return overCost(limits, task)
  if (maxTokensPerTask !== undefined && Usage.maxTokens(used) >= maxTokensPerTask) return overTokens(limits, task)
  return undefined
}

const makeTaskBudget = Effect.fnUntraced(function* (
  limits: TaskLimits,
  task: Task
): Effect.fn.Return<Pick<Limits, "reserve">> {
  const { maxCostPerTask, maxTokensPerTask } = limits
  const used = task.usage ?? Usage.zero
  const left = yield* runBudget.make({
    // An attempt makes one call at a time.
    parts: 1,
    maxCostUsd: maxCostPerTask === undefined ? undefined : Math.max(0, maxCostPerTask - (Usage.maxUsd(used) ?? 0)),
    maxTokens: maxTokensPerTask === undefined ? undefined : Math.max(0, maxTokensPerTask - Usage.maxTokens(used))
  })
  return {
    reserve: (worst) =>
      Effect.mapError(left.reserve(withoutWaiting(worst)), (stop) =>
        // An unknown price fails every task, so it stops the run.
        worst.costUsd === null && stop.limit === "cost"
          ? stop
          : new SafetyStop({
              limit: stop.limit,
              scope: "task",
              message:
                stop.limit === "cost"
                  ? overCost(limits, task, neededBy(worst, 1))
                  : overTokens(limits, task, neededBy(worst, 1))
            })
      )
  }
})

/** The calls that this one could learn from are those of other tasks, and have their own budgets. */
const withoutWaiting = (spend: Spend): Spend => {
  const { least } = spend
  return least === undefined ? spend : { ...spend, least: (waiting) => least(waiting) ?? spend }
}

/** The second budget considered what the first had granted. */
const both = (first: Reservation, second: Reservation): Reservation => ({
  granted: second.granted ?? first.granted,
  hold: second.hold ?? first.hold,
  commit: (usage) => Effect.andThen(first.commit(usage), second.commit(usage))
})

const overCost = ({ maxCostPerTask = 0 }: TaskLimits, { usage }: Task, next?: Spend): string => {
  const before = usage === undefined ? "" : `, earlier attempts have cost ${runBudget.usd(Usage.maxUsd(usage) ?? 0)}`
  const call =
    next === undefined ? "" : `, and the next call (${next.what}) can cost up to ${runBudget.usd(next.costUsd ?? 0)}`
  return `The task may cost ${runBudget.usd(maxCostPerTask)}${before}${call}. Raise maxCostPerTask (--max-cost-per-task), and requeue it.`
}

const overTokens = ({ maxTokensPerTask = 0 }: TaskLimits, { usage }: Task, next?: Spend): string => {
  const before = usage === undefined ? "" : `, earlier attempts have used ${Usage.maxTokens(usage)}`
  const call = next === undefined ? "" : `, and the next call (${next.what}) can use up to ${next.tokens}`
  return `The task may use ${maxTokensPerTask} tokens${before}${call}. Raise maxTokensPerTask (--max-tokens-per-task), and requeue it.`
}
