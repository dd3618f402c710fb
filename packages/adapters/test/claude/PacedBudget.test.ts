import { ClaudeClient, ClaudeExecutor, ClaudeVerifier, Pacing, Pricing } from "@baton/adapters/claude"
import { Budget, Orchestrator, RetryPolicy, Safety, Task, TaskStore, Usage, Verifier } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Duration, Effect, Exit, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { failure, reply, request } from "./requests.ts"
import { clockThatWaits } from "./clockThatWaits.ts"

const model = "claude-haiku-5-5"
const verdict = JSON.stringify({ reasoning: "", passed: true, confidence: 1, feedback: "", issues: [] })

/** An API that answers after two seconds, and a client that keeps to a pace. */
const pacedClient = Effect.fnUntraced(function* (options: Pacing.Options) {
  const pacing = yield* Pacing.make(options)
  const server = { requests: 0, running: 0, peak: 0, usd: 0, sentAt: new Array<number>() }
  const answer = (about: ClaudeClient.About) => (permit: Pacing.Permit) =>
    Effect.gen(function* () {
      about.onSend?.()
      server.requests++
      server.peak = Math.max(server.peak, ++server.running)
      server.sentAt.push(yield* Effect.clockWith((clock) => clock.currentTimeMillis))
      yield* Effect.sleep("2 seconds")
      const tokens = { ...Usage.zero, inputTokens: 100, outputTokens: 100, billing: "standard" as const }
      const usage = Pricing.usageOf(Pricing.listed, permit.request.model, { ...tokens, inferenceGeo: "us" })
      server.usd += usage.costUsd ?? NaN
      return reply(permit.request.output_config === undefined ? "done" : verdict, { usage })
    }).pipe(Effect.ensuring(Effect.sync(() => void server.running--)))
  const client: ClaudeClient.ClaudeClientService = {
    billing: "standard",
    send: (request, about) => pacing.pace(request, answer(about), about.spend),
    countTokens: () => Effect.die("not asked for"),
    model: () => Effect.die("not asked for")
  }
  return { server, client: Layer.succeed(ClaudeClient.ClaudeClient, client), pacing }
})

/** A run of 200 tasks with 64 fibers in a queue with a budget. */
const start = Effect.fnUntraced(function* (options: {
  readonly limit: number
  readonly client: Layer.Layer<ClaudeClient.ClaudeClient>
  readonly isJudged?: boolean
  readonly maxCostPerTask?: number
}) {
  const parts = Orchestrator.layer({
    concurrency: 64,
    leaseDuration: "1 hour",
    drainTimeout: 0,
    executionTimeout: "1 day",
    verificationTimeout: "1 day",
    retryPolicy: RetryPolicy.immediate,
    maxCostPerTask: options.maxCostPerTask
  }).pipe(
    Layer.provide([
      Layer.provide(ClaudeExecutor.layer({ model, maxTokens: 1000 }), options.client),
      options.isJudged === true
        ? Layer.provide(ClaudeVerifier.layer({ model: "claude-sonnet-5-5" }), options.client)
        : Verifier.layerNone,
      Safety.layerAllowAll
    ]),
    Layer.provideMerge(TaskStore.layerMemory)
  )
  const context = yield* Layer.build(parts)
  const store = Context.get(context, TaskStore.TaskStore)
  const budgets = yield* Effect.orDie(Effect.fromNullishOr(store.budgets))
  yield* budgets.set("default", { limit: { nanoUsd: Budget.toNanoUsd(options.limit) } })
  yield* store.add(Array.from({ length: 200 }, (_, n) => Task.makeNew({ id: `task-${n}`, description: `Task ${n}` })))
  const running = yield* Effect.forkChild(Context.get(context, Orchestrator.Orchestrator).run)
  const budget = Effect.map(budgets.list, ([budget]) => ({
    reserved: Budget.toUsd(budget?.reserved.nanoUsd ?? NaN),
    committed: Budget.toUsd(budget?.committed.nanoUsd ?? NaN)
  }))
  return { budget, running, store }
})

const pass = (step: Duration.Input, times: number) => Effect.repeat(TestClock.adjust(step), { times: times - 1 })

/** Lets time pass until a run has ended. */
const finish = <A, E>(running: Fiber.Fiber<A, E>) =>
  Effect.andThen(
    Effect.repeat(TestClock.adjust("2 seconds"), { until: () => running.pollUnsafe() !== undefined }),
    Fiber.join(running)
  )

/** The most that one of these requests can have reserved. */
const most = 0.02

describe("requests that wait for the pace", () => {
  for (const isJudged of [false, true]) {
    it.effect(`have reserved nothing of the budget of the queue${isJudged ? ", the judge's neither" : ""}`, () =>
      Effect.gen(function* () {
        const { client, server } = yield* pacedClient({ requestsPerMinute: 6 })
        const { budget } = yield* start({ limit: 10, client, isJudged })
        for (let minute = 0; minute < 2; minute++) {
          yield* pass("5 seconds", 12)
          assert.isAtMost((yield* budget).reserved, server.running * most)
        }
        assert.isAtLeast(server.requests, 12)
        // Between two answers, nothing is reserved although 60 requests wait.
        yield* Effect.repeat(TestClock.adjust("1 second"), { until: () => server.running === 0 })
        const { committed, reserved } = yield* budget
        assert.strictEqual(reserved, 0)
        assert.approximately(committed, server.usd, 1e-9)
      }).pipe(Effect.provide(clockThatWaits, { local: true }))
    )
  }

  it.effect("leave the budget to others, which use at least 95 % of it together with them", () =>
    Effect.gen(function* () {
      const { client, server } = yield* pacedClient({ requestsPerMinute: 60 })
      const { running } = yield* start({ limit: 0.01, client })
      const { reason } = yield* finish(running)
      assert.deepInclude(reason, { _tag: "LimitReached", limit: "cost" })
      assert.isAtMost(server.usd, 0.01)
      assert.isAtLeast(server.usd, 0.0095)
    }).pipe(Effect.provide(clockThatWaits, { local: true }))
  )

  it.effect("are refused soon after the budget is used up, although the pace is slow", () =>
    Effect.gen(function* () {
      const { client, server } = yield* pacedClient({ requestsPerMinute: 6 })
      const { running } = yield* start({ limit: 0.004, client })
      const { reason } = yield* finish(running)
      assert.deepInclude(reason, { _tag: "LimitReached", limit: "cost" })
      const last = server.sentAt.at(-1) ?? NaN
      const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
      // Sixty requests waited: at six a minute, their turns would take ten minutes.
      assert.isAtMost(now - last, 60_000)
    }).pipe(Effect.provide(clockThatWaits, { local: true }))
  )

  it.effect("fail one by one where each task is over its own limit, and take no turn from others", () =>
    Effect.gen(function* () {
      const { client, server } = yield* pacedClient({ requestsPerMinute: 6 })
      const { running } = yield* start({ limit: 10, client, maxCostPerTask: 0.000001 })
      const { counts } = yield* finish(running)
      assert.strictEqual(counts.failed, 200)
      assert.strictEqual(server.requests, 0)
    }).pipe(Effect.provide(clockThatWaits, { local: true }))
  )
})

describe("a turn", () => {
  /** A budget that has room when the test says so. */
  const gate = () => {
    const open = Deferred.makeUnsafe<void>()
    const log = { asked: 0, sent: 0, givenBack: 0 }
    const spend: ClaudeClient.Spend = (send) =>
      Effect.suspend(() => {
        log.asked++
        return Effect.andThen(
          Deferred.await(open),
          Effect.tap(send({}), (reply) => Effect.sync(() => void (reply === null ? log.givenBack++ : log.sent++)))
        )
      })
    return { log, spend, open: Deferred.succeed(open, undefined) }
  }

  const small = request("Hello", { max_tokens: 10 })
  const answer = Effect.delay(Effect.succeed(reply("text")), "100 millis")

  it.effect("passes to the next request while the first one waits for its budget", () =>
    Effect.gen(function* () {
      const pacing = yield* Pacing.make({ requestsPerMinute: 1 })
      const first = gate()
      const waiting = yield* Effect.forkChild(
        pacing.pace(small, () => answer, first.spend),
        { startImmediately: true }
      )
      const next = yield* Effect.forkChild(
        pacing.pace(small, () => answer),
        { startImmediately: true }
      )
      yield* TestClock.adjust("2 seconds")
      assert.isDefined(next.pollUnsafe())
      // The budget has room now, and the minute's request is used up: nothing stays reserved.
      yield* first.open
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(first.log, { asked: 1, sent: 0, givenBack: 1 })
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(first.log, { asked: 2, sent: 1, givenBack: 1 })
      yield* Fiber.join(waiting)
    })
  )

  it.effect("keeps its place in the queue after it has passed", () =>
    Effect.gen(function* () {
      const pacing = yield* Pacing.make({ requestsPerMinute: 1 })
      const sent: Array<string> = []
      const named = (name: string) =>
        Effect.andThen(
          Effect.sync(() => void sent.push(name)),
          answer
        )
      const first = gate()
      const fork = (name: string, spend?: ClaudeClient.Spend) =>
        Effect.forkChild(
          pacing.pace(small, () => named(name), spend),
          { startImmediately: true }
        )
      const fibers = [yield* fork("a", first.spend), yield* fork("b"), yield* fork("c"), yield* fork("d")]
      yield* TestClock.adjust("2 seconds")
      yield* first.open
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(sent, ["b", "a", "c", "d"])
      yield* Fiber.joinAll(fibers)
    })
  )

  it.effect("is checked again before the request is sent: the server may have asked for a pause meanwhile", () =>
    Effect.gen(function* () {
      const pacing = yield* Pacing.make()
      const first = gate()
      const waiting = yield* Effect.forkChild(
        pacing.pace(small, () => answer, first.spend),
        { startImmediately: true }
      )
      const refused = failure({
        status: 429,
        type: "rate_limit_error",
        usage: Usage.zero,
        retryAfter: Duration.seconds(30)
      })
      yield* Effect.flip(pacing.pace(small, () => Effect.fail(refused)))
      yield* first.open
      yield* TestClock.adjust("29 seconds")
      assert.deepStrictEqual(first.log, { asked: 1, sent: 0, givenBack: 1 })
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(first.log.sent, 1)
      yield* Fiber.join(waiting)
    })
  )

  it.effect("of a request that is interrupted while it waits for its budget goes to the next one", () =>
    Effect.gen(function* () {
      const pacing = yield* Pacing.make({ requestsPerMinute: 1 })
      const waiting = yield* Effect.forkChild(
        pacing.pace(small, () => answer, gate().spend),
        { startImmediately: true }
      )
      const next = yield* Effect.forkChild(
        pacing.pace(small, () => answer),
        { startImmediately: true }
      )
      yield* Fiber.interrupt(waiting)
      yield* TestClock.adjust("100 millis")
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(next)))
      assert.deepInclude((yield* pacing.snapshot)[0], { running: 0, waiting: 0 })
    })
  )
})
