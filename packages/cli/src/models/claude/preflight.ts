/** Checks that cost nothing, before a run. */
import { type ClaudeClient, type ClaudeError, ClaudeVerifier, Pricing, type Reply } from "@baton/adapters/claude"
import * as Diagnosis from "@baton/core/Diagnosis"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Schedule from "effect/Schedule"
import * as Option from "effect/Option"
import { CommandFailed } from "../../system/CommandFailed.ts"
import type { Given, RunFlags } from "../../settings/flags.ts"
import { number, usd } from "../../view/quantity.ts"
import { safe } from "../../view/safeText.ts"
import type { Settings } from "./options.ts"
import * as Requests from "./requests.ts"
import { printMessage } from "../../view/stderr.ts"

/** The API of an executor or a judge. */
export type Api = "claude" | "openai"

/** The parts of a run that use an API. */
export interface Uses {
  readonly executor: boolean
  readonly verifier: boolean
}

/** A model that a run uses. */
export interface RequiredModel {
  readonly model: string
  /** The flag that selects another model. */
  readonly flag: "--model" | "--fallback-model" | "--judge-model"
  /** The maximum length of its outputs. */
  readonly maxTokens: number
}

/** The models that a run with these settings uses. */
export const modelsOf = ({ executor, verifier }: Settings, uses: Uses): ReadonlyArray<RequiredModel> => {
  const withFallbacks = (
    {
      fallbackModels = [],
      model
    }: { readonly model: string; readonly fallbackModels?: ReadonlyArray<string> | undefined },
    flag: RequiredModel["flag"],
    maxTokens: number
  ): ReadonlyArray<RequiredModel> => [
    { model, flag, maxTokens },
    ...fallbackModels.map((fallback) => ({ model: fallback, flag: "--fallback-model" as const, maxTokens }))
  ]
  return [
    ...(uses.executor ? withFallbacks(executor, "--model", executor.maxTokens) : []),
    ...(uses.verifier ? withFallbacks(verifier, "--judge-model", ClaudeVerifier.defaultMaxTokens) : [])
  ]
}

/** Refuses a limit in USD if the price of a model is unknown, because the limit could not be kept. */
export const checkPrices = (
  models: ReadonlyArray<RequiredModel>,
  prices: Pricing.PriceTable,
  limit: Given<number> | undefined
): Effect.Effect<void, CommandFailed> => {
  const unknown = models.find(({ model }) => Pricing.priceOf(prices, model) === undefined)
  if (limit === undefined || unknown === undefined) return Effect.void
  return Effect.fail(
    new CommandFailed({
      message: `${limit.by} needs the price of ${unknown.model}, which is unknown. Set it in USD per million tokens with --price ${unknown.model}=INPUT,OUTPUT`
    })
  )
}

/** Refuses a limit per task that is below one request, because no task could then be completed. */
export const checkTaskLimits = Effect.fnUntraced(function* (
  settings: Settings,
  uses: Uses,
  api: Api,
  billing: Reply.Billing,
  limits: Pick<RunFlags, "maxCostPerTask" | "maxTokensPerTask">
): Effect.fn.Return<void, CommandFailed, Scope.Scope> {
  const { maxCostPerTask: cost, maxTokensPerTask: tokens } = limits
  if (cost === undefined && tokens === undefined) return
  const requests = yield* Requests.make(settings, { executor: api, verifier: api })
  const smallest = [
    ...(uses.executor ? [{ request: yield* requests.execute(""), alternative: ", or lower --max-output-tokens" }] : []),
    ...(uses.verifier ? [{ request: yield* requests.judge("", ""), alternative: "" }] : [])
  ]
  for (const { alternative, request } of smallest) {
    const worst = Pricing.worstCase(settings.prices, request, billing)
    const refuse = (by: string, limit: string, use: string) =>
      new CommandFailed({
        message: `${by} is ${limit}, but one request to ${request.model} can ${use}. Raise it${alternative}.`
      })
    if (cost !== undefined && worst.costUsd !== null && worst.costUsd > cost.value)
      return yield* refuse(cost.by, usd(cost.value), `cost ${usd(worst.costUsd)}`)
    if (tokens !== undefined && worst.tokens > tokens.value)
      return yield* refuse(tokens.by, number(tokens.value), `use ${number(worst.tokens)} tokens`)
  }
}, Effect.scoped)

/**
 * Queries the API about the models, which is free: checks that the key is valid, that the models exist, and that they are
 * not about to be retired. Servers that do not support this query, such as many gateways, are not checked.
 */
export const checkModels = (
  client: ClaudeClient.ClaudeClientService,
  models: ReadonlyArray<RequiredModel>,
  options: CheckOptions
): Effect.Effect<void, CommandFailed> =>
  Effect.forEach(models, (model) => checkModel(client, model, options), { concurrency: 2, discard: true })

interface CheckOptions {
  /** What to do if the server cannot be reached. */
  readonly offline: "refuse" | "ignore"
  /** The setting that has the server's address. */
  readonly address: string
  /** Whether the work is sent in batches, in which answers can be longer. */
  readonly isInBatch?: boolean
}

/** The most tokens of an answer in a batch, for models that otherwise write up to 128,000. */
const mostInBatch = { usually: 128_000, inBatch: 300_000 }

/** Network errors are often transient. */
const networkRetry = {
  schedule: Schedule.exponential("200 millis"),
  times: 4,
  while: ({ type }: ClaudeError) => type === "network"
}

const checkModel = Effect.fnUntraced(function* (
  client: ClaudeClient.ClaudeClientService,
  required: RequiredModel,
  { address, isInBatch = false, offline }: CheckOptions
) {
  const { flag, maxTokens, model } = required
  const result = yield* Effect.result(Effect.retry(client.model(model), networkRetry))
  if (result._tag === "Failure") {
    const { message, reason, type } = result.failure
    if (type === "network" && offline === "ignore") return
    if (type === "network") {
      return yield* new CommandFailed({ message: `${message} Check ${address} and the network connection.` })
    }
    // Some OpenAI-compatible servers describe no models. The first request reports a wrong address in the same words.
    if (type === "no_endpoint") return
    if (reason === "Fatal") return yield* new CommandFailed({ message })
    // A server without this endpoint also answers 404, but with another error type.
    if (type !== "not_found_error") return
    return yield* new CommandFailed({
      message: `The model ${model} does not exist, or the key has no access to it. Choose another one with ${flag}.`
    })
  }
  const { lifecycle, maxOutputTokens, retiresAt } = result.success
  if (lifecycle === "retired") {
    const since = retiresAt === null ? "" : ` on ${retiresAt}`
    return yield* new CommandFailed({
      message: `The model ${model} was retired${since}. Choose another one with ${flag}.`
    })
  }
  const most = isInBatch && maxOutputTokens === mostInBatch.usually ? mostInBatch.inBatch : maxOutputTokens
  if (most !== null && maxTokens > most) {
    return yield* new CommandFailed({
      message: `--max-output-tokens is ${maxTokens}, but the model ${model} writes at most ${most} tokens. Lower --max-output-tokens.`
    })
  }
  if (lifecycle === "deprecated") {
    const when = retiresAt === null ? "soon" : `on ${retiresAt}`
    yield* printMessage(safe`warning: the model ${model} will be retired ${when}. Choose another one with ${flag}.`)
  }
})

/** Checks the key and the model for a part of a run. The key is never shown. */
export const examine = Effect.fnUntraced(function* (part: "executor" | "verifier", model: Given<string>) {
  const account = yield* Effect.promise(() => import("./account.ts"))
  const found = yield* account.find
  if (Option.isNone(found)) {
    return [
      Diagnosis.fail(
        "key",
        "There is no key for Claude's API.",
        "Get one at console.anthropic.com and set ANTHROPIC_API_KEY."
      )
    ]
  }
  const { apiKey, baseUrl } = found.value
  const { ClaudeClient } = yield* Effect.promise(() => import("@baton/adapters/claude"))
  const location = baseUrl === undefined ? "" : ` at ${withoutSecrets(baseUrl)}`
  const key = Diagnosis.ok("key", `There is a key for Claude's API${location}.`)
  const client = yield* Effect.provide(
    ClaudeClient.ClaudeClient,
    ClaudeClient.layer({ apiKey, baseUrl, timeout: "10 seconds" })
  )
  const answer = yield* examineModel(client, { part, id: model.value, variable: "ANTHROPIC_API_KEY" })
  return answer.check === "key" ? [answer] : [key, answer]
}, Effect.scoped)

/** Checks that a server answers, accepts the key and has the model. */
export const examineModel = (
  client: ClaudeClient.ClaudeClientService,
  {
    id,
    part,
    variable
  }: {
    readonly part: "executor" | "verifier"
    readonly id: string
    /** The variable with the key. */
    readonly variable: string
  }
): Effect.Effect<Diagnosis.Diagnosis> =>
  client.model(id).pipe(
    Effect.matchEffect({
      onSuccess: ({ lifecycle, maxOutputTokens, retiresAt }) =>
        Effect.succeed(
          lifecycle === "active"
            ? Diagnosis.ok(
                "model",
                `${id} is available${maxOutputTokens === null ? "" : ` and writes up to ${maxOutputTokens} tokens`}.`
              )
            : Diagnosis.warn(
                "model",
                `${id} is ${lifecycle}${retiresAt === null ? "" : ` (${retiresAt})`}.`,
                `Choose another one with ${part === "executor" ? "--model" : "--judge-model"}.`
              )
        ),
      onFailure: ({ message, reason, type }) =>
        Effect.succeed(
          type === "not_found_error"
            ? Diagnosis.fail(
                "model",
                `The model ${id} does not exist, or the key has no access to it.`,
                `Choose another one with ${part === "executor" ? "--model" : "--judge-model"}.`
              )
            : type === "no_endpoint"
              ? Diagnosis.warn(
                  "model",
                  `The server does not say whether it has the model ${id}.`,
                  "Check the address: the base URL of most servers ends in /v1."
                )
              : reason === "Fatal"
                ? Diagnosis.fail("key", message, `Set ${variable} to a valid key.`)
                : Diagnosis.warn("model", `The model ${id} could not be checked: ${message}`, "Try again later.")
        )
    })
  )

/** Removes passwords and parameters, which are as secret as a key. */
export const withoutSecrets = (url: string): string => url.replace(/\/\/[^@/]*@/, "//…@").replace(/\?.*$/, "?…")
