/** What can be found out before anything is spent. */
import { ClaudeClient, type ClaudeError, ClaudeVerifier, Pricing, type Reply } from "@baton/adapters/claude"
import * as Diagnosis from "@baton/core/Diagnosis"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Schedule from "effect/Schedule"
import * as Option from "effect/Option"
import { CommandFailed } from "../system/CommandFailed.ts"
import type { Given, RunFlags } from "../settings/flags.ts"
import { number, usd } from "../view/quantity.ts"
import { safeText } from "../view/safeText.ts"
import type { Settings } from "./options.ts"
import * as Requests from "./requests.ts"

/** A model that a run will ask. */
export interface Asked {
  readonly model: string
  /** The flag that names another one. */
  readonly flag: "--model" | "--judge-model"
  /** The longest answer that will be asked for. */
  readonly maxTokens: number
}

/** The models that a run with these settings will ask. */
export const askedOf = (
  { executor, verifier }: Settings,
  asks: { readonly executor: boolean; readonly verifier: boolean }
): ReadonlyArray<Asked> => [
  ...(asks.executor ? [{ model: executor.model, flag: "--model" as const, maxTokens: executor.maxTokens }] : []),
  ...(asks.verifier
    ? [{ model: verifier.model, flag: "--judge-model" as const, maxTokens: ClaudeVerifier.defaultMaxTokens }]
    : [])
]

/** Refuses a limit in USD over a model whose price is unknown: it could not be kept. */
export const checkPrices = (
  asked: ReadonlyArray<Asked>,
  prices: Pricing.PriceTable,
  limit: Given<number> | undefined
): Effect.Effect<void, CommandFailed> => {
  const unknown = asked.find(({ model }) => Pricing.priceOf(prices, model) === undefined)
  if (limit === undefined || unknown === undefined) return Effect.void
  return Effect.fail(
    new CommandFailed({
      message: `${limit.by} cannot be kept: the price of ${unknown.model} is unknown. Give it, in USD for a million tokens: --price ${unknown.model}=INPUT,OUTPUT`
    })
  )
}

/** Refuses a limit per task that is below one request, because no task could then be completed. */
export const checkTaskLimits = Effect.fnUntraced(function* (
  settings: Settings,
  asks: { readonly executor: boolean; readonly verifier: boolean },
  billing: Reply.Billing,
  limits: Pick<RunFlags, "maxCostPerTask" | "maxTokensPerTask">
): Effect.fn.Return<void, CommandFailed, Scope.Scope> {
  const { maxCostPerTask: cost, maxTokensPerTask: tokens } = limits
  if (cost === undefined && tokens === undefined) return
  const requests = yield* Requests.make(settings)
  const smallest = [
    ...(asks.executor ? [{ request: yield* requests.execute(""), or: ", or lower --max-output-tokens" }] : []),
    ...(asks.verifier ? [{ request: yield* requests.judge("", ""), or: "" }] : [])
  ]
  for (const { or, request } of smallest) {
    const worst = Pricing.worstCase(settings.prices, request, billing)
    const refuse = (by: string, limit: string, use: string) =>
      new CommandFailed({
        message: `${by} is ${limit}, but one request to ${request.model} can ${use}: raise it${or}.`
      })
    if (cost !== undefined && worst.costUsd !== null && worst.costUsd > cost.value)
      return yield* refuse(cost.by, usd(cost.value), `cost ${usd(worst.costUsd)}`)
    if (tokens !== undefined && worst.tokens > tokens.value)
      return yield* refuse(tokens.by, number(tokens.value), `use ${number(worst.tokens)} tokens`)
  }
}, Effect.scoped)

/**
 * Asks the API about the models, which is free: whether the key is good, whether there are models of these names, and
 * whether they will be there for long. A server that cannot be asked that, as many gateways, is let be.
 */
export const checkModels = Effect.fnUntraced(function* (
  asked: ReadonlyArray<Asked>,
  options: {
    /** What to do where the server cannot be reached at all. */
    readonly offline: "refuse" | "ignore"
  }
): Effect.fn.Return<void, CommandFailed, ClaudeClient.ClaudeClient> {
  const client = yield* ClaudeClient.ClaudeClient
  yield* Effect.forEach(asked, (each) => checkModel(client, each, options.offline), { concurrency: 2, discard: true })
})

/** A connection that fails once may do so in passing. */
const aFewTimes = {
  schedule: Schedule.exponential("200 millis"),
  times: 4,
  while: ({ type }: ClaudeError) => type === "network"
}

const checkModel = Effect.fnUntraced(function* (
  client: ClaudeClient.ClaudeClientService,
  asked: Asked,
  offline: "refuse" | "ignore"
) {
  const { flag, maxTokens, model } = asked
  const result = yield* Effect.result(Effect.retry(client.model(model), aFewTimes))
  if (result._tag === "Failure") {
    const { message, reason, type } = result.failure
    if (type === "network" && offline === "ignore") return
    if (type === "network") {
      return yield* new CommandFailed({ message: `${message} Is ANTHROPIC_BASE_URL right, and this machine online?` })
    }
    if (reason === "Fatal") return yield* new CommandFailed({ message })
    // A server without this endpoint says 404 as well, but in words of its own.
    if (type !== "not_found_error") return
    return yield* new CommandFailed({
      message: `There is no model ${model}, or the key may not use it: name another one with ${flag}.`
    })
  }
  const { lifecycle, maxOutputTokens, retiresAt } = result.success
  if (lifecycle === "retired") {
    const since = retiresAt === null ? "" : ` on ${retiresAt}`
    return yield* new CommandFailed({
      message: `The model ${model} was retired${since}: name another one with ${flag}.`
    })
  }
  if (maxOutputTokens !== null && maxTokens > maxOutputTokens) {
    return yield* new CommandFailed({
      message: `The model ${model} writes ${maxOutputTokens} tokens at most: lower --max-output-tokens, which is ${maxTokens}.`
    })
  }
  if (lifecycle === "deprecated") {
    const when = retiresAt === null ? "soon" : `on ${retiresAt}`
    yield* Console.error(safeText(`warning: the model ${model} goes away ${when}: ${flag} names another one.`))
  }
})

/** What there is to say of the part of a run that asks Claude. The key is never shown. */
export const examine = Effect.fnUntraced(function* (part: "executor" | "verifier", model: Given<string>) {
  const account = yield* Effect.promise(() => import("./account.ts"))
  const found = yield* account.find
  if (Option.isNone(found)) {
    return [
      Diagnosis.fail(
        "key",
        "There is no key for Claude's API.",
        "Put one into the environment as ANTHROPIC_API_KEY: console.anthropic.com has them."
      )
    ]
  }
  const { apiKey, baseUrl } = found.value
  const { ClaudeClient } = yield* Effect.promise(() => import("@baton/adapters/claude"))
  const id = model.value
  const place = baseUrl === undefined ? "" : ` at ${withoutSecrets(baseUrl)}`
  const key = Diagnosis.ok("key", `There is a key for Claude's API${place}.`)
  const asked = ClaudeClient.ClaudeClient.use((client) => client.model(id)).pipe(
    Effect.provide(ClaudeClient.layer({ apiKey, baseUrl, timeout: "10 seconds" })),
    Effect.matchEffect({
      onSuccess: ({ lifecycle, maxOutputTokens, retiresAt }) =>
        Effect.succeed(
          lifecycle === "active"
            ? Diagnosis.ok(
                "model",
                `${id} can be asked${maxOutputTokens === null ? "" : `, for up to ${maxOutputTokens} tokens`}.`
              )
            : Diagnosis.warn(
                "model",
                `${id} is ${lifecycle}${retiresAt === null ? "" : ` (${retiresAt})`}.`,
                `Name another one with ${part === "executor" ? "--model" : "--judge-model"}.`
              )
        ),
      onFailure: ({ message, reason, type }) =>
        Effect.succeed(
          type === "not_found_error"
            ? Diagnosis.fail(
                "model",
                `There is no model ${id}, or the key may not use it.`,
                `Name another one with ${part === "executor" ? "--model" : "--judge-model"}.`
              )
            : reason === "Fatal"
              ? Diagnosis.fail("key", message, "Put a good key into ANTHROPIC_API_KEY.")
              : Diagnosis.warn("model", `It could not be asked whether there is ${id}: ${message}`, "Try again later.")
        )
    })
  )
  const answer = yield* asked
  return answer.check === "key" ? [answer] : [key, answer]
})

/** A password in an address is as secret as a key. */
const withoutSecrets = (url: string): string => url.replace(/\/\/[^@/]*@/, "//…@").replace(/\?.*$/, "?…")
