/** Turns the flags of a run into its parts. */
import type { Executor } from "@baton/core/Executor"
import type { OrchestratorConfig } from "@baton/core/OrchestratorConfig"
import type { Safety } from "@baton/core/Safety"
import type { TaskId } from "@baton/core/Task"
import type { TaskStore } from "@baton/core/TaskStore"
import type { Verifier } from "@baton/core/Verifier"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as GlobalFlag from "effect/cli/GlobalFlag"
import type * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import * as Random from "effect/Random"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import type { Apis } from "./plan.ts"
import type { Api } from "../models/claude/preflight.ts"
import type { ReviewedOutputs } from "../system/Kind.ts"
import * as Project from "../settings/Project.ts"
import { createHash } from "node:crypto"
import { CommandFailed } from "../system/CommandFailed.ts"
import { explicit, type Given, origins, type RunFlags, StoreUrl } from "../settings/flags.ts"
import * as hooks from "../hooks/hooks.ts"
import type { ModelUse } from "../view/summary.ts"
import type { SourceError } from "../sources/SourceError.ts"
import { siblingFile } from "../settings/siblingFile.ts"
import { check as checkFile } from "../view/writeFile.ts"
import * as Telemetry from "../system/Telemetry.ts"
import { executors, type PartOptions, verifiers } from "./executors.ts"

/** The layers and settings of a run, except for its store and display. */
export interface RunParts {
  readonly executor: Layer.Layer<Executor, CommandFailed, Platform>
  readonly verifier: Layer.Layer<Verifier, CommandFailed, Platform>
  readonly safety: Layer.Layer<Safety, CommandFailed>
  /** What remains of the budget of the queue at the start of the run. */
  readonly left: { readonly maxCostUsd?: number | undefined; readonly maxTokens?: number | undefined }
  readonly config: OrchestratorConfig
  readonly lease: Duration.Duration
  readonly concurrency: number
  readonly hooks: hooks.Start
  /** Whether `--no-verify` is set. */
  readonly noVerify: boolean
  /** The metered use of each model so far. */
  readonly modelUse: () => ReadonlyArray<ModelUse>
  /** The time since when a task has been waiting for a rate limit, in milliseconds since the epoch. */
  readonly rateLimitedSince: (id: TaskId) => number | undefined
  /** Warnings before the run starts. */
  readonly warnings: Effect.Effect<void, never, TaskStore>
  /** Additional lines for the end of the run. */
  readonly closingLines: Effect.Effect<ReadonlyArray<string>, never, TaskStore>
}

type Platform = ChildProcessSpawner | FileSystem.FileSystem | TaskStore

/** Time to stop a program, so that the orchestrator's timeout does not end the attempt before the program's exit is known. */
const stopGrace = Duration.seconds(15)

/** Chooses the executor, the verifier and the limits. Fails with a message for the user if the flags are inconsistent. */
export const make = Effect.fnUntraced(function* (
  flags: RunFlags,
  owner: string,
  options: {
    readonly endless: boolean
    /** Used instead of the executor that the flags select. */
    readonly executor?: Layer.Layer<Executor>
  }
): Effect.fn.Return<
  RunParts,
  CommandFailed | SourceError,
  FileSystem.FileSystem | Path.Path | GlobalFlag.Setting.Identifier<"store">
> {
  const timeout = flags.timeout.value
  const verifyTimeout = flags.verifyTimeout.value
  const lease = flags.lease.value
  const executor = options.executor === undefined ? yield* chooseExecutor(flags) : undefined
  const verifier = yield* chooseVerifier(flags)
  const apis = yield* apisOf(flags)
  const uses = {
    executor: apis.executor !== undefined,
    verifier: apis.verifier !== undefined,
    agent: executor !== undefined && executor === flags.executor && executor.value === "claude-code"
  }
  const ofCommand = [flags.permanentExitCodes, flags.resultFrom, flags.costFrom].find(
    (given) => given?.origin === "flag"
  )
  if (executor !== undefined && executor === flags.executor && ofCommand !== undefined) {
    const { by } = ofCommand
    return yield* new CommandFailed({ message: `${by} only works with --exec or --shell. Remove ${by}.` })
  }
  yield* checkFlags(flags, uses, apis)
  // Checked before the run, whose end can be hours away.
  if (flags.report !== undefined) yield* checkFile(flags.report.value)
  const isClaude = apis.executor === "claude"
  const batchRun = isClaude ? yield* batchesModule : undefined
  const formerJournal = siblingFile(yield* StoreUrl, "batches")
  if (flags.batch && formerJournal === undefined) {
    return yield* new CommandFailed({
      message:
        "--batch does not work with a store in memory, which is lost before the results arrive. Remove --store memory:."
    })
  }
  if (flags.batch && batchRun !== undefined && formerJournal !== undefined) {
    yield* batchRun.refuseFormerJournal(formerJournal)
  }
  const batching = flags.batch ? batchRun : undefined
  const concurrency = explicit(flags.concurrency) ?? batching?.defaults.concurrency ?? flags.concurrency.value
  const cache = flags.noCache ? undefined : siblingFile(yield* StoreUrl, "cache")
  const usesOf = (api: Api) => ({
    executor: apis.executor === api,
    verifier: apis.verifier === api,
    judgeHasFallbacks: apis.executor === undefined || apis.executor === api
  })
  const ofClaude = usesOf("claude")
  const claude =
    ofClaude.executor || ofClaude.verifier
      ? yield* (yield* claudeModule).make(flags, { ...ofClaude, timeout, verifyTimeout, cache }, flags.batch)
      : undefined
  const ofOpenAi = usesOf("openai")
  const openai =
    ofOpenAi.executor || ofOpenAi.verifier
      ? yield* (yield* openaiModule).make(flags, { ...ofOpenAi, timeout, verifyTimeout, cache })
      : undefined
  const judge = yield* verifierOf(flags, verifier, verifyTimeout, { claude, openai })
  const chosen = flags.review === undefined ? judge : yield* reviewed(flags.review, judge, verifier !== undefined)
  const config: OrchestratorConfig = {
    owner,
    concurrency,
    maxPerKey: flags.maxPerKey.value,
    maxInReview: flags.maxInReview?.value,
    prefetch: flags.prefetch?.value,
    maxAttempts: flags.maxAttempts.value,
    maxCostPerTask: flags.maxCostPerTask?.value,
    maxTokensPerTask: flags.maxTokensPerTask?.value,
    retryPolicy: yield* retryPolicyOf(flags.retryDelay.value),
    executionTimeout: uses.executor || uses.agent ? withWaiting(timeout) : Duration.sum(timeout, stopGrace),
    verificationTimeout: uses.verifier ? withWaiting(verifyTimeout) : Duration.sum(verifyTimeout, stopGrace),
    leaseDuration: lease,
    onCrash: flags.onCrash.value,
    onDependencyFailed: flags.onDependencyFailed.value,
    onUsageLimit: flags.onUsageLimit.value,
    pauseBetweenTasks: flags.pauseBetweenTasks?.value,
    executorId: executor === undefined ? undefined : executorIdOf(flags, executor),
    keepOutputs: flags.keepOutputs,
    drainTimeout: explicit(flags.drainTimeout) ?? batching?.defaults.drainTimeout ?? flags.drainTimeout.value,
    traceContent: yield* Telemetry.capturesContent
  }
  return {
    executor:
      options.executor ??
      (yield* executorOf(flags, executor ?? (yield* chooseExecutor(flags)), timeout, {
        claude,
        openai,
        claudeCode: uses.agent ? yield* (yield* claudeCodeModule).make(flags, timeout) : undefined
      })),
    verifier: batching === undefined || ofClaude.verifier ? chosen : batching.withLimit(chosen),
    safety: yield* safetyOf(flags, options),
    left: {},
    config: batching?.configOf(config) ?? config,
    lease,
    concurrency,
    hooks: yield* hooks.make(flags),
    noVerify: flags.noVerify,
    modelUse: () => [claude, openai].flatMap((parts) => parts?.modelUse() ?? []),
    rateLimitedSince: (id) => claude?.rateLimitedSince(id) ?? openai?.rateLimitedSince(id),
    warnings: flags.batch || batchRun === undefined ? Effect.void : batchRun.warn,
    closingLines: batching?.notice ?? Effect.succeed([])
  }
})

/**
 * The timeout of an attempt in which `timeout` limits each request: time for a few requests, and an hour of waiting for
 * rate limits.
 */
const withWaiting = (timeout: Duration.Duration) => Duration.sum(Duration.times(timeout, 6), Duration.hours(1))

/** The APIs that the executor and the verifier use. The flags need not select an executor. */
export const apisOf = Effect.fnUntraced(function* (flags: RunFlags) {
  const executor = yield* choose(flags.exec, flags.shell, flags.executor)
  const verifier = yield* chooseVerifier(flags)
  return {
    executor: executor !== undefined && executor === flags.executor ? apiOf(executor.value) : undefined,
    verifier: verifier !== undefined && verifier === flags.verifier ? apiOf(verifier.value) : undefined
  }
})

const apiOf = (name: string): Api | undefined => (name === "claude" || name === "openai" ? name : undefined)

/** Hashed, because a command can contain a secret. */
const executorIdOf = (flags: RunFlags, { value }: Given<string>): string => {
  const { baseUrl, effort, fallbackModel, model, outputSchema, resultFrom, system, systemFile } = flags
  const { codeExecution, webFetch, webSearch } = flags
  const ofModel = value === "claude" || value === "claude-code" || value === "openai"
  const ofCommand = resultFrom === undefined ? [] : [resultFrom]
  const ofServer = value === "openai" ? [baseUrl] : []
  const settings = ofModel ? [model, system, systemFile, outputSchema, effort, ...ofServer] : ofCommand
  const id = JSON.stringify([
    value,
    ...settings.map((given) => given?.value ?? null),
    // Without it, the id is that of versions that had none.
    ...(ofModel && fallbackModel !== undefined ? [fallbackModel.value] : []),
    ...(value === "claude" && (webSearch ?? webFetch ?? (codeExecution || undefined)) !== undefined
      ? [{ webSearch: webSearch?.value, webFetch: webFetch?.value, codeExecution }]
      : [])
  ])
  return createHash("sha256").update(id).digest("hex").slice(0, 12)
}

const chooseExecutor = Effect.fnUntraced(function* (flags: RunFlags) {
  const chosen = yield* choose(flags.exec, flags.shell, flags.executor)
  if (chosen !== undefined) return chosen
  return yield* new CommandFailed({
    message:
      "No executor is set. Add a command, as in --exec 'claude -p', or --executor claude; --executor fake only tries out a list."
  })
})

/** A flag for an executor that is not used is an error; a variable is ignored, because it may be for other runs. */
const checkFlags = (
  flags: RunFlags,
  uses: { readonly executor: boolean; readonly agent: boolean; readonly verifier: boolean },
  apis: Apis
) => {
  const { confirm, criteria, judgeModel, minConfidence } = flags
  const { effort, maxOutputTokens, model, outputSchema, system, systemFile } = flags
  const { allowedTools, costFrom, cwd, maxCostPerAttempt, maxTurns, permissionMode } = flags
  const forJudge = [judgeModel, criteria, confirm, minConfidence]
  const forAgent = [permissionMode, allowedTools, cwd, maxTurns, ...(costFrom === undefined ? [maxCostPerAttempt] : [])]
  if (flags.batch && apis.executor !== "claude") {
    return Effect.fail(
      new CommandFailed({
        message: "--batch only works with --executor claude. Add --executor claude, or remove --batch."
      })
    )
  }
  const tool =
    [flags.webSearch, flags.webFetch].find((given) => given?.origin === "flag")?.by ??
    (flags.codeExecution ? "--code-execution" : undefined)
  if (tool !== undefined && apis.executor !== "claude") {
    return Effect.fail(
      new CommandFailed({
        message: `${tool} only works with --executor claude, because Claude's API runs this tool. Add --executor claude, or remove ${tool}.`
      })
    )
  }
  const misplaced = [
    ...(uses.executor ? [] : [systemFile, maxOutputTokens, outputSchema]),
    ...(uses.executor || uses.verifier ? [] : [flags.fallbackModel]),
    ...(uses.executor || uses.agent ? [] : [model, system, effort]),
    ...(uses.agent ? [] : forAgent),
    ...(uses.verifier ? [] : forJudge),
    ...(apis.executor === "openai" || apis.verifier === "openai" ? [] : [flags.baseUrl])
  ].find((given) => given?.origin === "flag")
  if (misplaced === undefined) return Effect.void
  if (misplaced === flags.baseUrl) {
    const { by } = misplaced
    return Effect.fail(
      new CommandFailed({
        message: `${by} only works with --executor openai or --verifier openai. Add one of them, or remove ${by}.`
      })
    )
  }
  const isFor = (part: ReadonlyArray<unknown>) => part.includes(misplaced)
  const part = isFor(forJudge) ? "--verifier claude" : isFor(forAgent) ? "--executor claude-code" : "--executor claude"
  const also = isFor(forAgent) ? "" : " or openai"
  return Effect.fail(
    new CommandFailed({
      message: `${misplaced.by} only works with ${part}${also}. Add ${part}, or remove ${misplaced.by}.`
    })
  )
}

const batchesModule = Effect.promise(() => import("./batchRun.ts"))
const claudeModule = Effect.promise(() => import("../models/claude/parts.ts"))
const openaiModule = Effect.promise(() => import("../models/openai/parts.ts"))
const claudeCodeModule = Effect.promise(() => import("../models/claude/claudeCode.ts"))

const executorOf = Effect.fnUntraced(function* (
  flags: RunFlags,
  chosen: Given<string>,
  timeout: Duration.Duration,
  options: PartOptions
) {
  if (chosen === flags.executor) return yield* executors[flags.executor.value](options)
  const { make } = yield* Effect.promise(() => import("./commandExecutor.ts"))
  return yield* make(flags, chosen, timeout)
})

const chooseVerifier = Effect.fnUntraced(function* (flags: RunFlags) {
  const chosen = yield* choose(flags.verify, flags.verifier)
  if (chosen?.origin === "flag" && flags.noVerify) {
    return yield* new CommandFailed({
      message: `${chosen.by} and --no-verify are both given. Remove one of them.`
    })
  }
  return flags.noVerify ? undefined : chosen
})

const verifierOf = Effect.fnUntraced(function* (
  flags: RunFlags,
  chosen: Given<string> | undefined,
  timeout: Duration.Duration,
  options: PartOptions
) {
  if (chosen === undefined) {
    const { layerNone } = yield* Effect.promise(() => import("@baton/core/Verifier"))
    return layerNone
  }
  if (chosen === flags.verifier) return yield* verifiers[flags.verifier.value](options)
  const { commandModule, parse } = yield* Effect.promise(() => import("./commandExecutor.ts"))
  const { Command, CommandVerifier } = yield* commandModule
  return CommandVerifier.layer({
    command: yield* parse(Command, chosen),
    timeout,
    idleTimeout: flags.idleTimeout?.value
  })
})

/** Below this confidence, a verifier counts as unsure. */
const sureFrom = 0.8

/** Lets people decide about some of the outputs. */
const reviewed = Effect.fnUntraced(function* (
  { by, value }: Given<ReviewedOutputs>,
  judge: Layer.Layer<Verifier, CommandFailed, Platform>,
  isVerified: boolean
) {
  if (value === "unsure" && !isVerified) {
    return yield* new CommandFailed({
      message: `${by} unsure needs a verifier. Add one, as in --verifier claude, or let people review everything with ${by} all.`
    })
  }
  if ((yield* StoreUrl).startsWith("memory:")) {
    return yield* new CommandFailed({
      message: `${by} does not work with a store in memory, which is lost before anybody can decide. Remove --store memory:.`
    })
  }
  const { layerReviewIf } = yield* Effect.promise(() => import("@baton/core/Verifier"))
  if (value === "unsure") {
    return layerReviewIf(
      ({ confidence, passed }) =>
        confidence < sureFrom
          ? `The verifier ${passed ? "accepts" : "rejects"} the output, and is only ${Math.round(confidence * 100)}% sure.`
          : undefined,
      judge
    )
  }
  if (value === "all") {
    return layerReviewIf(({ passed }) => (passed ? "All accepted outputs are reviewed." : undefined), judge)
  }
  return layerReviewIf(
    ({ passed }) =>
      passed
        ? Effect.map(Random.next, (drawn) =>
            drawn < value
              ? `A random ${Math.round(value * 1000) / 10}% of the accepted outputs is reviewed.`
              : undefined
          )
        : undefined,
    judge
  )
})

/** Selects the candidate with the highest precedence. Two candidates with the same precedence are an error. */
const choose = <A extends Given<string>>(
  ...candidates: ReadonlyArray<A | undefined>
): Effect.Effect<A | undefined, CommandFailed> => {
  const present = candidates.filter((candidate) => candidate !== undefined)
  const [first, second] =
    origins.map((from) => present.filter(({ origin }) => origin === from)).find(({ length }) => length > 0) ?? []
  return second === undefined || first === undefined
    ? Effect.succeed(first)
    : Effect.fail(new CommandFailed({ message: `${first.by} and ${second.by} are both given. Remove one of them.` }))
}

/** A wrong command or a missing key fails every task of a list. */
const failuresBeforeSuccess = 10

const safetyOf = Effect.fnUntraced(function* (flags: RunFlags, { endless }: { readonly endless: boolean }) {
  const Safety = yield* Effect.promise(() => import("@baton/core/Safety"))
  const { maxConsecutiveFailures, maxCostPerRun, maxDuration, maxIterations, maxTokensPerRun, noBreaker } = flags
  // A worker may start with ten tasks that somebody else added and that all fail; others follow.
  const isUnbroken = endless || noBreaker || maxConsecutiveFailures !== undefined
  const limits = [
    Safety.layerCircuitBreaker({
      maxIterations: maxIterations?.value,
      maxConsecutiveFailures: maxConsecutiveFailures?.value,
      maxFailuresBeforeSuccess: isUnbroken ? undefined : failuresBeforeSuccess
    }),
    ...(maxCostPerRun === undefined && maxTokensPerRun === undefined
      ? []
      : [Safety.layerBudget({ maxCostUsd: maxCostPerRun?.value, maxTokens: maxTokensPerRun?.value })]),
    ...(maxDuration === undefined ? [] : [Safety.layerDeadline(maxDuration.value)]),
    ...((yield* Project.Project).parts.safety === undefined ? [] : [Project.part("safety", Safety.Safety)])
  ]
  return Safety.layerAll(...limits)
})

const retryPolicyOf = Effect.fnUntraced(function* (delay: Duration.Duration) {
  const RetryPolicy = yield* Effect.promise(() => import("@baton/core/RetryPolicy"))
  return Duration.isZero(delay) ? RetryPolicy.immediate : RetryPolicy.exponential({ base: delay })
})
