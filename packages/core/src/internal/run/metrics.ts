import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Metrics from "../../OrchestratorMetrics.ts"
import type { BreakerState } from "../../Safety.ts"
import * as Usage from "../../Usage.ts"
import { attemptOutcome, type SettledOutcome } from "./settlement.ts"

const attemptsByOutcome: Readonly<Record<SettledOutcome, Metric.Counter<number>>> = {
  completed: Metric.withAttributes(Metrics.attempts, { outcome: "completed" }),
  retried: Metric.withAttributes(Metrics.attempts, { outcome: "retried" }),
  failed: Metric.withAttributes(Metrics.attempts, { outcome: "failed" }),
  released: Metric.withAttributes(Metrics.attempts, { outcome: "released" })
}

const settledOutcomes = Object.values(attemptOutcome)

/** The attempts that one write settled, by outcome, and their usage. */
export interface AttemptBatch {
  readonly outcomes: Record<SettledOutcome, number>
  usage: Usage.Usage | null
  knownCostUsd: number
}

export const makeAttemptBatch = (): AttemptBatch => ({
  outcomes: { completed: 0, retried: 0, failed: 0, released: 0 },
  usage: null,
  knownCostUsd: 0
})

export const addUsage = (batch: AttemptBatch, usage: Usage.Usage | null): void => {
  if (usage === null) return
  batch.usage = Usage.add(batch.usage, usage)
  batch.knownCostUsd += usage.costUsd ?? 0
}

export const countAttempts = Effect.fnUntraced(function* ({ knownCostUsd, outcomes, usage }: AttemptBatch) {
  for (const outcome of settledOutcomes) {
    if (outcomes[outcome] > 0) yield* Metric.update(attemptsByOutcome[outcome], outcomes[outcome])
  }
  if (knownCostUsd > 0) yield* Metric.update(Metrics.cost, knownCostUsd)
  if (usage === null) return
  for (const [metric, kind] of tokensByType) {
    if (usage[kind] > 0) yield* Metric.update(metric, usage[kind])
  }
})

const tokensByType = [
  [Metric.withAttributes(Metrics.tokens, { type: "input" }), "inputTokens"],
  [Metric.withAttributes(Metrics.tokens, { type: "output" }), "outputTokens"],
  [Metric.withAttributes(Metrics.tokens, { type: "cache_read" }), "cacheReadTokens"],
  [Metric.withAttributes(Metrics.tokens, { type: "cache_write" }), "cacheWriteTokens"]
] as const

export const measureAttempt = (millis: number): Effect.Effect<void> =>
  Metric.update(Metrics.attemptDuration, millis / 1000)

export const measureVerification = (millis: number): Effect.Effect<void> =>
  Metric.update(Metrics.verificationDuration, millis / 1000)

export const countRetry = (of: "execution" | "verification"): Effect.Effect<void> => Metric.update(retriesOf[of], 1)

const retriesOf = {
  execution: Metric.withAttributes(Metrics.transientRetries, { of: "execution" }),
  verification: Metric.withAttributes(Metrics.transientRetries, { of: "verification" })
}

export const countLostLease: Effect.Effect<void> = Metric.update(Metrics.leasesLost, 1)

export const setHeld = (tasks: number): Effect.Effect<void> => Metric.update(Metrics.held, tasks)

export const setCircuit = Effect.fnUntraced(function* (state: BreakerState["state"]) {
  for (const [name, metric] of circuitByState) yield* Metric.update(metric, name === state ? 1 : 0)
})

const circuitByState = (["closed", "open", "half-open"] as const).map(
  (state) => [state, Metric.withAttributes(Metrics.circuit, { state })] as const
)
