import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type { Resolved } from "../../OrchestratorConfig.ts"
import * as Metrics from "../../OrchestratorMetrics.ts"
import type { BreakerState } from "../../Safety.ts"
import * as Usage from "../../Usage.ts"
import type { ClaimedTask } from "./claims.ts"
import { attemptOutcome, type SettledOutcome } from "./settlement.ts"

/** The attempts of one queue that one write settled, by outcome, and their usage. */
export interface AttemptBatch {
  readonly outcomes: Record<SettledOutcome, number>
  /** In milliseconds. */
  readonly durations: Array<number>
  usage: Usage.Usage | undefined
  knownCostUsd: number
}

/** The metrics of one orchestrator. Those about a task have its queue. */
export interface RunMetrics {
  readonly of: (queue: string) => QueueMetrics
  readonly setHeld: (claims: Iterable<ClaimedTask>) => Effect.Effect<void>
  readonly setCircuit: (state: BreakerState["state"]) => Effect.Effect<void>
  /** Adds the batches of several queues. */
  readonly countAttempts: (batches: AttemptBatches) => Effect.Effect<void>
}

export interface QueueMetrics {
  readonly measureVerification: (millis: number) => Effect.Effect<void>
  readonly countRetry: (of: "execution" | "verification") => Effect.Effect<void>
  readonly countLostLease: Effect.Effect<void>
  readonly countAttempts: (batch: AttemptBatch) => Effect.Effect<void>
  readonly setHeld: (tasks: number) => Effect.Effect<void>
}

/** The batches of one write, by queue. */
export class AttemptBatches {
  readonly byQueue = new Map<string, AttemptBatch>()

  of(queue: string): AttemptBatch {
    const known = this.byQueue.get(queue)
    if (known !== undefined) return known
    const outcomes = { completed: 0, in_review: 0, retried: 0, failed: 0, released: 0 }
    const batch = { outcomes, durations: [], usage: undefined, knownCostUsd: 0 }
    this.byQueue.set(queue, batch)
    return batch
  }
}

export const addUsage = (batch: AttemptBatch, usage: Usage.Usage | undefined): void => {
  if (usage === undefined) return
  batch.usage = Usage.add(batch.usage, usage)
  batch.knownCostUsd += usage.costUsd ?? 0
}

export const make = ({ owner, queues }: Pick<Resolved, "owner" | "queues">): RunMetrics => {
  const byQueue = new Map(queues.map((queue) => [queue, ofQueue({ owner, queue })]))
  const circuits = (["closed", "open", "half-open"] as const).map(
    (state) => [state, Metric.withAttributes(Metrics.circuit, { owner, state })] as const
  )
  const of = (queue: string): QueueMetrics => {
    const known = byQueue.get(queue)
    if (known !== undefined) return known
    const made = ofQueue({ owner, queue })
    byQueue.set(queue, made)
    return made
  }
  return {
    of,
    setHeld: Effect.fnUntraced(function* (claims) {
      const held = new Map(Array.from(byQueue.keys(), (queue) => [queue, 0]))
      for (const { claim } of claims) held.set(claim.task.queue, (held.get(claim.task.queue) ?? 0) + 1)
      for (const [queue, tasks] of held) yield* of(queue).setHeld(tasks)
    }),
    setCircuit: Effect.fnUntraced(function* (state) {
      for (const [name, metric] of circuits) yield* Metric.update(metric, name === state ? 1 : 0)
    }),
    countAttempts: Effect.fnUntraced(function* ({ byQueue }) {
      for (const [queue, batch] of byQueue) yield* of(queue).countAttempts(batch)
    })
  }
}

const settledOutcomes = Object.values(attemptOutcome)

const ofQueue = (about: { readonly owner: string; readonly queue: string }): QueueMetrics => {
  const attempts = settledOutcomes.map(
    (outcome) => [outcome, Metric.withAttributes(Metrics.attempts, { ...about, outcome })] as const
  )
  const tokens = tokenTypes.map(
    ([type, kind]) => [kind, Metric.withAttributes(Metrics.tokens, { ...about, type })] as const
  )
  const retries = {
    execution: Metric.withAttributes(Metrics.transientRetries, { ...about, of: "execution" }),
    verification: Metric.withAttributes(Metrics.transientRetries, { ...about, of: "verification" })
  }
  const cost = Metric.withAttributes(Metrics.cost, about)
  const attemptDuration = Metric.withAttributes(Metrics.attemptDuration, about)
  const verificationDuration = Metric.withAttributes(Metrics.verificationDuration, about)
  const leasesLost = Metric.withAttributes(Metrics.leasesLost, about)
  const held = Metric.withAttributes(Metrics.held, about)
  return {
    measureVerification: (millis) => Metric.update(verificationDuration, millis / 1000),
    countRetry: (of) => Metric.update(retries[of], 1),
    countLostLease: Metric.update(leasesLost, 1),
    countAttempts: Effect.fnUntraced(function* ({ durations, knownCostUsd, outcomes, usage }) {
      // All at once: an effect per attempt costs more than the histogram does.
      yield* Effect.contextWith((context: Context.Context<never>) =>
        Effect.sync(() => {
          for (const millis of durations) attemptDuration.updateUnsafe(millis / 1000, context)
        })
      )
      for (const [outcome, metric] of attempts) {
        if (outcomes[outcome] > 0) yield* Metric.update(metric, outcomes[outcome])
      }
      if (knownCostUsd > 0) yield* Metric.update(cost, knownCostUsd)
      if (usage === undefined) return
      for (const [kind, metric] of tokens) {
        if (usage[kind] > 0) yield* Metric.update(metric, usage[kind])
      }
    }),
    setHeld: (tasks) => Metric.update(held, tasks)
  }
}

const tokenTypes = [
  ["input", "inputTokens"],
  ["output", "outputTokens"],
  ["cache_read", "cacheReadTokens"],
  ["cache_write", "cacheWriteTokens"]
] as const
