/**
 * What `baton plan` does: all that `baton run` would do first, and then sums in place of work.
 *
 * @since 0.1.0
 */
import { ClaudeClient } from "@baton/adapters/claude"
import { defaults } from "@baton/core/OrchestratorConfig"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as account from "./account.ts"
import * as preflight from "./preflight.ts"
import * as settings from "./settings.ts"
import type { RunFlags, SourceFlags } from "../settings/runFlags.ts"
import * as Estimate from "./estimate.ts"
import * as History from "./history.ts"
import * as Requests from "./requests.ts"
import * as Tokens from "./tokens.ts"
import * as Workload from "./workload.ts"

/**
 * The object that `baton plan --json` prints.
 *
 * @category models
 * @since 0.1.0
 */
export const PlanReport = Schema.Struct({
  tasks: Schema.Struct({
    /** In the sources and not in the store. */
    new: Schema.Int,
    /** In the sources, and in the store already or repeated. */
    existing: Schema.Int,
    /** Over already, as their source says. */
    skipped: Schema.Int,
    /** In the store, and not over. */
    pending: Schema.Int,
    /** What a run would work on: `new` and `pending`. */
    total: Schema.Int
  }),
  /** The first prompts, as they would be sent. */
  prompts: Schema.Array(Schema.String),
  /** Null where nothing is known of costs, because it is not Claude's API that does the work. */
  estimate: Schema.NullOr(
    Schema.Struct({
      parts: Schema.Array(Estimate.PartEstimate),
      /** In USD; null where a price is unknown. */
      costUsd: Schema.NullOr(Estimate.Range),
      batchCostUsd: Schema.NullOr(Estimate.Range),
      maxAttempts: Schema.Int,
      /** How the tokens of prompts are known. */
      inputBasis: Tokens.Basis,
      /** From how many completed tasks the length of answers is known; 0 where it is assumed. */
      completedTasks: Schema.Int,
      /** What the expected costs count on. */
      answerTokens: Schema.Int
    })
  ),
  /** What `--max-cost` holds a run to. */
  maxCostUsd: Schema.NullOr(Schema.Finite)
})

/** @since 0.1.0 */
export interface PlanReport extends Schema.Schema.Type<typeof PlanReport> {}

/** Which parts of the run ask Claude's API. */
export interface Asks {
  readonly executor: boolean
  readonly verifier: boolean
}

/**
 * Plans a run. Nothing is written and nothing is spent: counting tokens is free of charge.
 *
 * @category running
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (flags: RunFlags & SourceFlags, asks: Asks) {
  const read = asks.executor ? yield* settings.read(flags) : undefined
  const work = yield* Workload.read(flags.sources, flags)
  const { added, existing, pending, skipped } = work
  const report = {
    tasks: { new: added, existing, skipped, pending, total: added + pending },
    prompts: work.first,
    maxCostUsd: flags.maxCost?.value ?? null
  }
  if (read === undefined) return { ...report, estimate: null }

  const requests = yield* Requests.make(read)
  const client = yield* clientFor(preflight.askedOf(read, asks))
  const judging = (description: string) => requests.judge(description, ".")
  const rate = Effect.fnUntraced(function* (requestFor: Requests.Requests["execute"]) {
    return client === undefined
      ? Tokens.guess(yield* requestFor("."))
      : yield* Tokens.count(client, work.sample, requestFor)
  })
  const executor = { empty: yield* requests.execute("."), rate: yield* rate(requests.execute) }
  const judge = asks.verifier ? { empty: yield* judging("."), rate: yield* rate(judging) } : null
  const maxAttempts = flags.maxAttempts ?? defaults.maxAttempts
  const history = yield* History.read({ model: read.executor.model, maxTokens: read.executor.maxTokens })
  const parts = Estimate.make({
    executor,
    judge,
    prices: read.prices,
    lengths: work.lengths,
    maxAttempts,
    confirm: read.verifier.confirm ?? 0,
    history
  })
  return {
    ...report,
    estimate: {
      parts,
      costUsd: Estimate.sum(parts.map(({ costUsd }) => costUsd)),
      batchCostUsd: Estimate.sum(parts.map(({ batchCostUsd }) => batchCostUsd)),
      maxAttempts,
      inputBasis: executor.rate.basis,
      completedTasks: history.tasks,
      answerTokens: history.answerTokens
    }
  } satisfies PlanReport
}, Effect.scoped)

/** None without a key. What is wrong with the key or with a model is better told now than by the run. */
const clientFor = Effect.fnUntraced(function* (asked: ReadonlyArray<preflight.Asked>) {
  const found = yield* account.find
  if (Option.isNone(found)) return undefined
  const context = yield* Layer.build(ClaudeClient.layer({ ...found.value, timeout: "30 seconds" }))
  yield* Effect.provide(preflight.checkModels(asked, { offline: "ignore" }), context)
  return Context.get(context, ClaudeClient.ClaudeClient)
})
