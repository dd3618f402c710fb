import type { Attempt } from "@baton/core/Attempt"
import type { AttemptContext } from "@baton/core/AttemptContext"
import type { Hold, Spend, SpendAmount } from "@baton/core/Safety"
import type { SafetyStop } from "@baton/core/SafetyStop"
import * as Usage from "@baton/core/Usage"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import { type About, type ClientService, type Grant, type Spend as SpendRequest, usageOf } from "./Client.ts"
import type { Dialect } from "./Dialect.ts"
import type { ModelError } from "./ModelError.ts"
import type { MessageRequest } from "./MessageRequest.ts"
import * as Pricing from "./Pricing.ts"
import type { Reply } from "./Reply.ts"
import * as AnswerSizes from "./answerSizes.ts"
import * as InputBounds from "./inputBounds.ts"

/** What the caller knows of a request. */
export type Asked = Omit<About, "queue" | "leaseToken" | "spend">

/** Sends requests under the budgets of the task, of the run and of the queue, each with a span. */
export type Send = (
  request: MessageRequest,
  about: Asked,
  context: AttemptContext,
  queue: string
) => Effect.Effect<Reply, ModelError | SafetyStop>

/**
 * While a budget is short, a request gets a lower `max_tokens` than it asks for: what the budget has left for it, but at least
 * a margin more than the largest answer so far. The API enforces it, so the request cannot cost more than its reservation.
 * An answer that this cuts off is requested again with a higher maximum.
 *
 * The requests of a batch wait for each other for hours, so together they reserve their expected cost, with a
 * margin, and not what each of them can cost. Their `max_tokens` is at most twice the largest answer so far.
 */
export const make = (client: ClientService, prices: Pricing.PriceTable, { provider }: Dialect): Send => {
  const bounds = InputBounds.make()
  const seen = new Map<string, Similar>()
  const isBatch = client.billing === "batch"

  const similarTo = (queue: string, model: string): Similar => {
    const key = JSON.stringify([queue, model])
    const known = seen.get(key)
    if (known !== undefined) return known
    const similar: Similar = { sizes: AnswerSizes.make(), running: 0, replies: 0, elsewhere: 0, exploring: new Set() }
    seen.set(key, similar)
    return similar
  }

  /** Sends a request once. `atLeast` is a maximum of tokens that was too low, `isResumed` says that the request is in a batch. */
  const sendOnce = (
    request: MessageRequest,
    about: About,
    context: AttemptContext,
    similar: Similar,
    { atLeast, isResumed }: { readonly atLeast: number; readonly isResumed: boolean }
  ): Effect.Effect<Sent, ModelError | SafetyStop> =>
    Effect.suspend(() => {
      let bound = bounds.of(request)
      let revision = bounds.revision()
      const worst = (maxTokens: number) =>
        Pricing.worstCase(prices, { ...request, max_tokens: maxTokens }, client.billing, bound, geoOf(similar))
      let maxTokens = request.max_tokens
      let isRunning = false
      let wasGiven = false
      let wasSent = false
      let isCutOff = false
      let explorer: symbol | undefined

      const end = Effect.sync(() => {
        if (isRunning) similar.running--
        isRunning = false
        if (explorer !== undefined) similar.exploring.delete(explorer)
        explorer = undefined
      })

      /** The lowest `max_tokens` with which the answer is expected to be complete. */
      const usual = () => {
        const { sizes } = similar
        // An answer of a batch that is cut off costs hours.
        const known = sizes.usual() ?? (isBatch ? undefined : sizes.trial())
        return Math.min(request.max_tokens, Math.max(known ?? request.max_tokens, atLeast, leastMaxTokens(request)))
      }

      const expected: Spend["least"] = (waiting) => {
        const { sizes } = similar
        const expected = atLeast > 0 ? undefined : sizes.expected(waiting)
        if (expected !== undefined) return expected
        // The answers of a batch arrive one after the other: after the last one, all the others are estimated better.
        return atLeast === 0 && sizes.count() > 0 && similar.running > 0 ? undefined : worst(usual())
      }

      /** While little is known, the first requests go one by one, then each reply lets one more go: the others wait to reserve less. */
      const least: Spend["least"] = () => {
        // Replies that arrived while it waited make the bound tighter.
        if (revision !== bounds.revision()) {
          bound = bounds.of(request)
          revision = bounds.revision()
        }
        const isKnown = atLeast > 0 || (similar.sizes.usual() !== undefined && bounds.isLearnedFor(request))
        if (isKnown || explorer === undefined) return worst(usual())
        if (!similar.exploring.has(explorer) && similar.exploring.size >= Math.max(1, similar.replies - 1))
          return undefined
        similar.exploring.add(explorer)
        return worst(usual())
      }

      /** The highest `max_tokens` that an amount pays for. */
      const paidBy = ({ costUsd, tokens }: SpendAmount): number => {
        const { costUsd: input, tokens: withoutAnswer } = worst(0)
        const byTokens = tokens - withoutAnswer
        if (costUsd === null || input === null) return byTokens
        const perToken = (worst(request.max_tokens).costUsd ?? 0) - input
        // Amounts are rounded to a billionth of a dollar.
        return Math.min(byTokens, Math.floor(((costUsd - input) / perToken) * request.max_tokens + 1e-3))
      }

      let held: Hold | undefined
      const onGranted = (granted: SpendAmount, hold: Hold | undefined) => {
        held = hold
        similar.running++
        isRunning = true
        const least = isBatch ? Math.max(usual(), 2 * similar.sizes.largest()) : 1
        maxTokens = Math.min(request.max_tokens, Math.max(paidBy(granted), least))
      }

      const learnFrom = (reply: Reply) => {
        bounds.learn(request, reply)
        isCutOff = wasCutOff(reply, maxTokens, request) || (atLeast === 0 && isOlder(reply, request))
        learn(similar.sizes, reply, isCutOff)
        similar.replies++
        if (reply.inferenceGeo === "us") similar.elsewhere = -Infinity
        else if (reply.inferenceGeo !== undefined && reply.inferenceGeo !== null) similar.elsewhere++
      }

      const spend =
        (span: Tracer.Span | undefined): SpendRequest =>
        <A extends Reply | null>(send: (grant: Grant) => Effect.Effect<A, ModelError>) =>
          Effect.suspend(() => {
            wasGiven = true
            // Replies that arrived while it waited for its turn make the bound tighter.
            bound = bounds.of(request)
            revision = bounds.revision()
            explorer = Symbol()
            const call = Effect.suspend(() => {
              if (maxTokens < request.max_tokens) span?.attribute("gen_ai.request.max_tokens", maxTokens)
              return Effect.tap(send({ maxTokens, hold: held }), (reply) =>
                Effect.sync(() => {
                  if (reply !== null) learnFrom(reply)
                })
              )
            })
            const spending = context.spend<A, ModelError, never>({
              worstCase: { ...worst(request.max_tokens), least: isBatch ? expected : least },
              onGranted,
              call: Effect.ensuring(call, end),
              spent: (exit) => {
                // Its turn had passed, or it was interrupted before it was sent.
                const isUnsent = Exit.isSuccess(exit)
                  ? exit.value === null
                  : !wasSent && Cause.hasInterruptsOnly(exit.cause)
                if (isUnsent) return Usage.zero
                return Exit.isSuccess(exit) ? exit.value?.usage : usageOf(Exit.failCause(exit.cause))
              },
              // It stays in its batch, and the same request of a later attempt gets its reply.
              isResumable: isBatch,
              isResumed
            })
            // Also where nothing was granted.
            return Effect.ensuring(spending, end)
          })

      const observed = (span: Tracer.Span | undefined): About => ({
        ...about,
        isResumed,
        spend: spend(span),
        onSend: () => {
          wasSent = true
          about.onSend?.()
        }
      })
      const sending = withSpan(request, about.purpose, provider, (span) => client.send(request, observed(span)))
      return Effect.flatMap(sending, (reply): Effect.Effect<Sent> =>
        wasGiven || reply.cached
          ? Effect.succeed({ reply, isCutOff, maxTokens })
          : Effect.die(new Error("A client sent a request without `about.spend`, so no budget can hold."))
      )
    })

  return Effect.fnUntraced(function* (request, asked, context, queue) {
    const about: About = { ...asked, queue, leaseToken: context.leaseToken }
    const similar = similarTo(queue, request.model)
    const { completedAttempts } = context
    // A batch learns from its own first answers, because the mean of others can be too low.
    const learning =
      isBatch || completedAttempts === undefined
        ? undefined
        : Effect.map(completedAttempts, (attempts) =>
            learnFromStore(similar, usagesIn(attempts, request.model, about.purpose))
          )
    if (learning !== undefined && isNew(similar)) yield* learning
    let usage: Usage.Usage | undefined
    for (let atLeast = 0; ;) {
      // An earlier attempt has reserved for it, so it is sent even where the budget is used up.
      const isResumed = client.isInBatch === undefined ? false : yield* client.isInBatch(request, about)
      const sending = sendOnce(request, about, context, similar, { atLeast, isResumed })
      const sent: Sent = yield* learning === undefined || !isNew(similar)
        ? sending
        : Effect.acquireUseRelease(
            // Other processes learn at the same time. A request that waits meanwhile reserves less.
            Effect.forkChild(Effect.repeat(Effect.delay(learning, learnAgain), { until: () => !isNew(similar) })),
            () => sending,
            Fiber.interrupt
          )
      const { isCutOff, maxTokens, reply } = sent
      usage = Usage.add(usage, reply.usage)
      if (!isCutOff) return { ...reply, usage }
      atLeast = maxTokens * (isBatch ? growth.batch : growth.standard)
    }
  })
}

/** How often a request that waits reads the answers in the store, while too few are known. */
const learnAgain = Duration.seconds(1)

/** Whether too few answers are known. */
const isNew = ({ sizes }: Similar): boolean => sizes.count() < AnswerSizes.few

/** The store also has the answers to other workers. */
const learnFromStore = (similar: Similar, usages: ReadonlyArray<Usage.Usage>): void => {
  if (!isNew(similar) || usages.length <= similar.sizes.count()) return
  similar.sizes = AnswerSizes.make()
  for (const usage of usages) similar.sizes.add(usage)
}

/** By how much the maximum grows after an answer that it cut off. Every answer costs, and each batch takes hours. */
const growth = { standard: 4, batch: 16 }

/** A workspace has one place for all its requests, so the next ones run where the last ones ran. */
const geoOf = ({ elsewhere }: Similar) => (elsewhere >= AnswerSizes.few ? "elsewhere" : "us")

/** Requests with answers of a similar size. */
interface Similar {
  sizes: AnswerSizes.AnswerSizes
  /** How many of them are granted and have no reply. */
  running: number
  /** How many of them were answered in this run. */
  replies: number
  /** How many replies reported a place outside the US; negative infinity after one from the US. */
  elsewhere: number
  /** Those under way that reserve much, because little is known. */
  readonly exploring: Set<symbol>
}

interface Sent {
  readonly reply: Reply
  /** Whether the answer ended at a lower maximum than the request asked for. */
  readonly isCutOff: boolean
  readonly maxTokens: number
}

/** What the answers in the store have used. An attempt with several requests counts with their sum. */
const usagesIn = (
  attempts: ReadonlyArray<Attempt>,
  model: string,
  purpose: About["purpose"]
): ReadonlyArray<Usage.Usage> =>
  attempts
    .flatMap(({ execution, verification }) =>
      purpose === "judge"
        ? (verification?.usage ?? [])
        : execution?.metadata["model"] === model && execution.metadata["cached"] !== true
          ? (execution.usage ?? [])
          : []
    )
    .filter(({ outputTokens }) => outputTokens > 0)

/** Whether the maximum of a short budget cut the answer off. */
const wasCutOff = ({ stopReason }: Reply, maxTokens: number, request: MessageRequest): boolean =>
  stopReason === "max_tokens" && maxTokens < request.max_tokens

/** Whether the maximum of an earlier run cut the answer off: a reply of its batch answers the same request of this run. */
const isOlder = ({ billing, stopReason, usage }: Reply, request: MessageRequest): boolean =>
  stopReason === "max_tokens" &&
  billing === "batch" &&
  usage !== undefined &&
  usage.outputTokens < request.max_tokens / 2

const learn = (sizes: AnswerSizes.AnswerSizes, { cached, usage }: Reply, isCutOff: boolean): void => {
  if (cached || usage === undefined) return
  if (isCutOff) sizes.addCutOff(usage.outputTokens)
  else sizes.add(usage)
}

/** The budget for thinking is a part of `max_tokens`. */
const leastMaxTokens = ({ thinking }: MessageRequest): number => {
  const budget = thinking?.["budget_tokens"]
  return typeof budget === "number" ? budget + 1 : 1
}

/**
 * A span for one request, named by the OpenTelemetry GenAI conventions; it does not contain the prompt or the answer. The SDK's
 * span is switched off, because it would duplicate this one.
 * https://github.com/open-telemetry/semantic-conventions-genai
 */
const withSpan = (
  request: MessageRequest,
  purpose: About["purpose"],
  provider: string,
  send: (span: Tracer.Span | undefined) => Effect.Effect<Reply, ModelError | SafetyStop>
): Effect.Effect<Reply, ModelError | SafetyStop> =>
  Effect.withFiber((fiber) =>
    // Effect's own tracer keeps spans in memory, where nothing reads them, and a span costs time.
    fiber.getRef(Tracer.Tracer) === Tracer.nativeTracer
      ? send(undefined)
      : Effect.useSpan(
          `chat ${request.model}`,
          { kind: "client", attributes: attributesOf(request, purpose, provider) },
          (span) =>
            Effect.onExit(Effect.withParentSpan(send(span), span), (exit) => Effect.sync(() => describe(span, exit)))
        )
  )

const attributesOf = (request: MessageRequest, purpose: About["purpose"], provider: string) => ({
  "gen_ai.operation.name": "chat",
  "gen_ai.provider.name": provider,
  "gen_ai.request.model": request.model,
  "gen_ai.request.max_tokens": request.max_tokens,
  "gen_ai.request.stream": true,
  "gen_ai.output.type": request.output_config?.format === undefined ? "text" : "json",
  "baton.purpose": purpose
})

const describe = (span: Tracer.Span, exit: Exit.Exit<Reply, ModelError | SafetyStop>): void => {
  if (Exit.isFailure(exit)) {
    const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
    if (error !== undefined) span.attribute("error.type", error._tag === "SafetyStop" ? error._tag : error.type)
    return
  }
  const { billing, cached, id, model, stopReason, usage } = exit.value
  span.attribute("gen_ai.response.id", id)
  span.attribute("gen_ai.response.model", model)
  span.attribute("gen_ai.response.finish_reasons", [stopReason])
  if (usage !== undefined) {
    const { cacheReadTokens, cacheWriteTokens, inputTokens, outputTokens } = usage
    span.attribute("gen_ai.usage.input_tokens", inputTokens + cacheReadTokens + cacheWriteTokens)
    span.attribute("gen_ai.usage.output_tokens", outputTokens)
    span.attribute("gen_ai.usage.cache_read.input_tokens", cacheReadTokens)
    span.attribute("gen_ai.usage.cache_write.input_tokens", cacheWriteTokens)
  }
  span.attribute("baton.response.cached", cached)
  span.attribute("baton.response.billing", billing)
}
