import { ClaudeClient, ClaudeExecutor, ClaudeVerifier, type MessageRequest, Pricing } from "@baton/adapters/claude"
import { Budget, Orchestrator, RetryPolicy, Safety, Task, TaskStore, Verifier } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Latch, Layer, Schedule, Schema } from "effect"
import { TestClock } from "effect/testing"
import { failure, reply } from "./requests.ts"
import { soak } from "../../../core/test/soak.ts"

const prices = Pricing.listed

/** The same numbers for the same seed. */
const random = (seed: number) => {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** A server with its own bill. Four bytes are a token; a long system prompt is read from the cache after the first request. */
const serverOf = (options: {
  readonly random: () => number
  /** The tokens that an answer to a prompt would have without a maximum. */
  readonly answer: (random: number) => number
  /** The share of requests that break off after they were billed. */
  readonly broken?: number
  readonly turns?: number
}) => {
  const bill = { usd: 0, requests: 0, cutOff: 0, running: 0, peak: 0 }
  const written = new Set<string>()
  const answer = (request: MessageRequest.MessageRequest, about: ClaudeClient.About) =>
    Effect.gen(function* () {
      about.onSend?.()
      bill.running++
      bill.peak = Math.max(bill.peak, bill.running)
      for (let turn = Math.floor(options.random() * (options.turns ?? 4)); turn >= 0; turn--) yield* Effect.yieldNow
      const outputTokens = Math.min(request.max_tokens, Math.ceil(options.answer(options.random())))
      const system = tokensOf(JSON.stringify(request.system ?? ""))
      const isMarked = request.system?.some((block) => block.cache_control !== undefined) === true
      const isRead = isMarked && written.has(request.model)
      written.add(request.model)
      const tokens: Pricing.Billed = {
        inputTokens: tokensOf(JSON.stringify(request.messages)) + (isMarked ? 0 : system),
        cacheReadTokens: isRead ? system : 0,
        cacheWriteTokens: isMarked && !isRead ? system : 0,
        outputTokens,
        billing: "standard",
        inferenceGeo: "us"
      }
      const usage = Pricing.usageOf(prices, request.model, tokens)
      bill.usd += usage.costUsd ?? NaN
      bill.requests++
      about.onStart?.()
      if (options.random() < (options.broken ?? 0)) return yield* failure({ reason: "Failed" })
      const isCut = outputTokens === request.max_tokens
      if (isCut) bill.cutOff++
      return reply(isVerdict(request) ? verdict : "done", { usage, stopReason: isCut ? "max_tokens" : "end_turn" })
    }).pipe(Effect.ensuring(Effect.sync(() => void bill.running--)))
  const send: ClaudeClient.ClaudeClientService["send"] = (request, about) =>
    (about.spend ?? ClaudeClient.withoutBudget)((grant) => answer(ClaudeClient.granted(request, grant), about))
  const client: ClaudeClient.ClaudeClientService = {
    billing: "standard",
    send,
    countTokens: () => Effect.die("not asked for"),
    model: () => Effect.die("not asked for")
  }
  return { bill, client: Layer.succeed(ClaudeClient.ClaudeClient, client) }
}

const tokensOf = (text: string) => Math.ceil(Buffer.byteLength(text) / 4)
const isVerdict = ({ output_config }: MessageRequest.MessageRequest) => output_config !== undefined
const verdict = JSON.stringify({ reasoning: "", passed: true, confidence: 1, feedback: "", issues: [] })

/** Runs 500 tasks in a queue with a budget, until the budget or the list is used up. */
const run = Effect.fnUntraced(function* (options: {
  readonly limit: number
  readonly concurrency: number
  readonly client: Layer.Layer<ClaudeClient.ClaudeClient>
  readonly executor: Parameters<typeof ClaudeExecutor.layer>[0]
  readonly judged?: boolean
  readonly store?: TaskStore.TaskStore["Service"]
}) {
  const parts = Orchestrator.layer({
    concurrency: options.concurrency,
    retryPolicy: RetryPolicy.immediate,
    transientRetry: Schedule.recurs(2)
  }).pipe(
    Layer.provide([
      Layer.provide(ClaudeExecutor.layer(options.executor), options.client),
      options.judged === true ? Layer.provide(ClaudeVerifier.layer(), options.client) : Verifier.layerNone,
      Safety.layerAllowAll
    ]),
    Layer.provideMerge(
      options.store === undefined ? TaskStore.layerMemory : Layer.succeed(TaskStore.TaskStore, options.store)
    )
  )
  return yield* Effect.gen(function* () {
    const store = yield* TaskStore.TaskStore
    const budgets = yield* Effect.orDie(Effect.fromNullishOr(store.budgets))
    yield* budgets.set("default", { limit: { nanoUsd: Budget.toNanoUsd(options.limit) } })
    const tasks = Array.from({ length: 500 }, (_, n) => `Task ${n}`)
    yield* store.add(
      tasks.map((id, n) => Task.makeNew({ id, description: `${id}: ${"describe it. ".repeat(n % 20)}` }))
    )
    const summary = yield* Orchestrator.Orchestrator.use((orchestrator) => orchestrator.run)
    const [budget] = yield* budgets.list
    return { summary, budget }
  }).pipe(Effect.provide(parts), Effect.orDie)
})

/** Records the `max_tokens` that requests were granted, and waits before each of them is sent. */
const recording =
  (
    { spend = ClaudeClient.withoutBudget }: ClaudeClient.About,
    granted: Array<number | undefined>,
    wait: Effect.Effect<void> = Effect.void
  ): ClaudeClient.Spend =>
  (send) =>
    spend((grant) => {
      granted.push(grant.maxTokens)
      return Effect.andThen(wait, send(grant))
    })

describe("a run under a small budget", () => {
  const Case = Schema.Struct({
    seed: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_000_000 })),
    /** Answers are up to this long, from alike to very different. */
    longest: Schema.Int.check(Schema.isBetween({ minimum: 10, maximum: 8000 })),
    power: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 6 })),
    /** The limit as a number of average calls. */
    calls: Schema.Int.check(Schema.isBetween({ minimum: 5, maximum: 400 })),
    broken: Schema.Literals([0, 0.1]),
    judged: Schema.Boolean
  })

  it.effect.prop(
    "with 64 fibers and random costs, the bill never exceeds it",
    [Case],
    ([{ broken, calls, judged, longest, power, seed }]) =>
      Effect.gen(function* () {
        const limit = (calls * longest * 10) / (power + 1) / 1e6
        const { bill, client } = serverOf({
          random: random(seed),
          answer: (random) => 1 + longest * random ** power,
          broken
        })
        const { budget } = yield* run({ limit, concurrency: 64, client, executor: {}, judged })
        assert.isAtMost(bill.usd, limit + 1e-12)
        assert.strictEqual(budget?.reserved.nanoUsd, 0)
        assert.isAtLeast(Budget.toUsd(budget?.committed.nanoUsd ?? 0), bill.usd - 1e-9)
      }),
    { timeout: soak * 600_000, arbitrary: { runs: soak * 6 } }
  )

  it.effect("spends at least 95 % of $0.50 with 32 fibers, under a system prompt of 5,400 tokens", () =>
    Effect.gen(function* () {
      const { bill, client } = serverOf({ random: random(7), turns: 100, answer: (random) => 100 + 400 * random })
      const { summary } = yield* run({
        limit: 0.5,
        concurrency: 32,
        client,
        executor: { system: "You sort support tickets. ".repeat(831) }
      })
      assert.deepInclude(summary.reason, { _tag: "LimitReached", limit: "cost" })
      assert.isAtMost(bill.usd, 0.5)
      assert.isAtLeast(bill.usd, 0.475)
      assert.isAtLeast(bill.peak, 12)
    })
  )

  it.effect("lowers max_tokens to what the budget has left, and repeats an answer that this cuts off", () =>
    Effect.gen(function* () {
      let n = 0
      const { bill, client } = serverOf({
        random: random(3),
        // One answer is much longer than all before it.
        answer: () => (++n === 40 ? 4000 : 200)
      })
      const { summary } = yield* run({ limit: 0.3, concurrency: 8, client, executor: {} })
      assert.deepInclude(summary.reason, { _tag: "LimitReached", limit: "cost" })
      assert.strictEqual(summary.counts.failed, 0)
      assert.isAtMost(bill.usd, 0.3)
      assert.isAtLeast(bill.usd, 0.285)
    })
  )

  it.effect("knows what the answers in the store have used, so that a rerun spends a rest below its worst case", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(TaskStore.layerMemory)
      const store = Context.get(context, TaskStore.TaskStore)
      const { bill, client } = serverOf({ random: random(5), answer: (random) => 100 + 100 * random })
      const options = { concurrency: 4, client, executor: {}, store }
      yield* run({ ...options, limit: 0.2 })
      assert.isAtLeast(bill.usd, 0.19)
      // The first request of a run would reserve $0.09 without them.
      yield* run({ ...options, limit: 0.23 })
      assert.isAtLeast(bill.usd, 0.2185)
      assert.isAtMost(bill.usd, 0.23)
    })
  )

  it.effect(
    "reserves its worst case for the first request alone, and four times the first answer for the next ones",
    () =>
      Effect.gen(function* () {
        const { client } = serverOf({ random: random(11), answer: () => 150 })
        const server = Context.get(yield* Layer.build(client), ClaudeClient.ClaudeClient)
        const asked: Array<number | undefined> = []
        const recorded = Layer.succeed(ClaudeClient.ClaudeClient, {
          ...server,
          send: (request, about) => server.send(request, { ...about, spend: recording(about, asked) })
        })
        yield* run({ limit: 0.2, concurrency: 4, client: recorded, executor: {} })
        assert.deepStrictEqual(asked.slice(0, 3), [8192, 600, 600])
        assert.isAtMost(Math.max(...asked.flatMap((maxTokens) => maxTokens ?? []).slice(3)), 200)
      })
  )

  it.effect("learns from the answers to other processes while its first request is under way", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(TaskStore.layerMemory)
      const store = Context.get(context, TaskStore.TaskStore)
      const { bill, client } = serverOf({ random: random(9), answer: (random) => 100 + 100 * random })
      const server = Context.get(yield* Layer.build(client), ClaudeClient.ClaudeClient)
      const answered = yield* Latch.make()
      const asked: Array<number | undefined> = []
      const slow = Layer.succeed(ClaudeClient.ClaudeClient, {
        ...server,
        send: (request, about) => server.send(request, { ...about, spend: recording(about, asked, answered.await) })
      })
      const options = { concurrency: 4, executor: {}, store }
      const first = yield* Effect.forkChild(run({ ...options, limit: 0.4, client: slow }))
      yield* Effect.repeat(Effect.yieldNow, { until: () => asked.length > 0 })
      const second = yield* Effect.forkChild(run({ ...options, limit: 0.4, client }))
      yield* Effect.repeat(Effect.yieldNow, { until: () => bill.requests >= 50 })
      assert.deepStrictEqual(asked, [8192])
      yield* TestClock.adjust("1 second")
      yield* answered.open
      const runs = yield* Effect.forkChild(Fiber.joinAll([first, second]))
      yield* Effect.repeat(TestClock.adjust("1 second"), { until: () => runs.pollUnsafe() !== undefined })
      yield* Fiber.join(runs)
      assert.isAtLeast(asked.length, 4)
      assert.isAtMost(Math.max(...asked.flatMap((maxTokens) => maxTokens ?? []).slice(1)), 300)
      assert.isAtMost(bill.usd, 0.4)
    })
  )
})
