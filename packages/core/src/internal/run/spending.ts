import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { AttemptContext } from "../../AttemptContext.ts"
import type { Reservation, SafetyService, Spend } from "../../Safety.ts"
import { SafetyStop } from "../../SafetyStop.ts"
import type { Task } from "../../Task.ts"
import * as Usage from "../../Usage.ts"
import * as budget from "../safety/budget.ts"
import type { Held } from "./held.ts"
import type { Run } from "./run.ts"

type Limits = Pick<Run["config"], "maxCostPerTask" | "maxTokensPerTask">

/**
 * How an attempt pays for its calls: out of what is left to its task, then out of what is left to the run. The order is the
 * same for all, so no two calls wait for each other.
 */
export const spend = (run: Run, held: Held): AttemptContext["spend"] => {
  const reserve = reserving(run, held)
  return ({ call, isResumable, spent, worstCase }) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(reserve(worstCase), (reservation) =>
        Effect.onExit(restore(call), (exit) => {
          const isPaidLater = isResumable === true && Exit.hasInterrupts(exit) && isMadeAgain(held)
          const usage = spent(exit) ?? (isPaidLater ? Usage.zero : null)
          if (usage === null) {
            // No error and no output tells of it, so it is kept here: the ledger must not say that it cost nothing.
            const unknown = Usage.atMost(worstCase)
            held.usage = Usage.add(held.usage, unknown)
            held.reserved = Usage.add(held.reserved, unknown)
          } else held.reserved = Usage.add(held.reserved, usage)
          return reservation.commit(usage)
        })
      )
    )
}

/** Most tasks have no limit of their own, and many make no call that is paid: a budget is made for the first one that does. */
const reserving = (run: Run, held: Held): SafetyService["reserve"] => {
  const { maxCostPerTask, maxTokensPerTask } = run.config
  if (maxCostPerTask === undefined && maxTokensPerTask === undefined) return run.safety.reserve
  let ofTask: Pick<SafetyService, "reserve"> | undefined
  const own = Effect.suspend(() =>
    ofTask === undefined
      ? Effect.map(taskBudget(run.config, held.claim.task), (made) => (ofTask ??= made))
      : Effect.succeed(ofTask)
  )
  return (worstCase) =>
    Effect.flatMap(own, (ofTask) =>
      Effect.flatMap(ofTask.reserve(worstCase), (own) =>
        Effect.map(
          Effect.onError(run.safety.reserve(worstCase), () => own.commit(Usage.zero)),
          (reservation) => both(own, reservation)
        )
      )
    )
}

/** Whether the call that was cut off is made again, by this attempt's successor. */
const isMadeAgain = ({ abort }: Held): boolean =>
  abort === "shutdown" || abort === "execution-timeout" || abort === "verification-timeout"

/** Why nothing more can be spent on a task, where that is clear before it is started. */
export const usedUp = (limits: Limits, task: Task): string | undefined => {
  const { maxCostPerTask, maxTokensPerTask } = limits
  const used = task.usage ?? Usage.zero
  const cost = Usage.maxUsd(used)
  if (maxCostPerTask !== undefined && cost === null) {
    return "What this task has cost so far is unknown, so its limit in USD cannot hold. Give the price, or drop maxCostPerTask (--max-cost-per-task)."
  }
  if (maxCostPerTask !== undefined && cost !== null && cost >= maxCostPerTask) return overCost(limits, task)
  if (maxTokensPerTask !== undefined && Usage.maxTokens(used) >= maxTokensPerTask) return overTokens(limits, task)
  return undefined
}

/** What is left to a task. */
const taskBudget = Effect.fnUntraced(function* (
  limits: Limits,
  task: Task
): Effect.fn.Return<Pick<SafetyService, "reserve">> {
  const { maxCostPerTask, maxTokensPerTask } = limits
  const used = task.usage ?? Usage.zero
  const left = yield* budget.make({
    maxCostUsd: maxCostPerTask === undefined ? undefined : Math.max(0, maxCostPerTask - (Usage.maxUsd(used) ?? 0)),
    maxTokens: maxTokensPerTask === undefined ? undefined : Math.max(0, maxTokensPerTask - Usage.maxTokens(used))
  })
  return {
    reserve: (worst) =>
      Effect.mapError(left.reserve(worst), (stop) =>
        // Every task would fail for that: it is for the run to stop.
        worst.costUsd === null && stop.limit === "cost"
          ? stop
          : new SafetyStop({
              limit: stop.limit,
              scope: "task",
              message: stop.limit === "cost" ? overCost(limits, task, worst) : overTokens(limits, task, worst)
            })
      )
  }
})

const both = (own: Reservation, ofRun: Reservation): Reservation => ({
  commit: (usage) => Effect.andThen(own.commit(usage), ofRun.commit(usage))
})

const overCost = ({ maxCostPerTask = 0 }: Limits, { usage }: Task, next?: Spend): string => {
  const before = usage === null ? "" : `, earlier attempts have cost ${budget.usd(Usage.maxUsd(usage) ?? 0)}`
  const call =
    next === undefined ? "" : `, and the next call (${next.what}) can cost up to ${budget.usd(next.costUsd ?? 0)}`
  return `The task may cost ${budget.usd(maxCostPerTask)}${before}${call}. Raise maxCostPerTask (--max-cost-per-task), and requeue it.`
}

const overTokens = ({ maxTokensPerTask = 0 }: Limits, { usage }: Task, next?: Spend): string => {
  const before = usage === null ? "" : `, earlier attempts have used ${Usage.maxTokens(usage)}`
  const call = next === undefined ? "" : `, and the next call (${next.what}) can use up to ${next.tokens}`
  return `The task may use ${maxTokensPerTask} tokens${before}${call}. Raise maxTokensPerTask (--max-tokens-per-task), and requeue it.`
}
