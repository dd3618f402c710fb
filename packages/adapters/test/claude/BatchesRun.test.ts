import { ClaudeClient, ClaudeExecutor, ClaudeVerifier, Pricing } from "@baton/adapters/claude"
import { Budget, Orchestrator, RetryPolicy, Safety, Task, TaskStore, Verifier, Usage } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as Send from "../../src/claude/internal/batches/send.ts"
import * as Api from "./batches/api.ts"
import { clockThatWaits } from "./clockThatWaits.ts"
import { make as scripted } from "./scripted.ts"

const model = "claude-haiku-5-5"
const verdict = (passed: boolean, feedback = "") =>
  JSON.stringify({ reasoning: "", passed, confidence: 1, feedback, issues: [] })
const isJudged = ({ params }: Parameters<typeof Api.promptOf>[0]) => params.output_config !== undefined

/** Runs a list to its end; batches have ended when they are created. */
const run = Effect.fnUntraced(
  function* (options: {
    readonly tasks: number
    readonly answer: Parameters<typeof Api.make>[0]
    readonly judged?: boolean
    readonly safety?: Layer.Layer<Safety.Safety>
    /** The budget of the queue in USD. */
    readonly budget?: number
    readonly concurrency?: number
  }) {
    const { api, batches, endAtOnce } = yield* Api.make(options.answer)
    endAtOnce()
    const client = Layer.effect(
      ClaudeClient.ClaudeClient,
      Effect.gen(function* () {
        const { attempts, batches } = yield* TaskStore.TaskStore
        const sending = yield* Effect.flatMap(Effect.orDie(Effect.fromNullishOr(batches)), (journal) =>
          Send.make(api, { attempts, batches: journal })
        )
        return { ...(yield* ClaudeClient.ClaudeClient), billing: "batch" as const, ...sending }
      })
    ).pipe(Layer.provide(scripted().layer))
    const parts = Orchestrator.layer({
      concurrency: options.concurrency ?? 100,
      executionTimeout: "3 days",
      verificationTimeout: "3 days",
      retryPolicy: RetryPolicy.immediate
    }).pipe(
      Layer.provide([
        Layer.provide(ClaudeExecutor.layer({ model }), client),
        options.judged === true ? Layer.provide(ClaudeVerifier.layer({ model }), client) : Verifier.layerNone,
        options.safety ?? Safety.layerAllowAll
      ]),
      Layer.provideMerge(TaskStore.layerMemory)
    )
    return yield* Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      if (options.budget !== undefined) {
        const limit = { nanoUsd: Budget.toNanoUsd(options.budget) }
        yield* Effect.flatMap(Effect.orDie(Effect.fromNullishOr(store.budgets)), ({ set }) => set("default", { limit }))
      }
      const ids = Array.from({ length: options.tasks }, (_, n) => `task-${n}`)
      yield* store.add(ids.map((id) => Task.makeNew({ id, description: id })))
      const running = yield* Effect.forkChild(Orchestrator.Orchestrator.use((orchestrator) => orchestrator.run))
      for (let minute = 0; minute < 60; minute++) yield* TestClock.adjust("1 minute")
      const { stats } = yield* Fiber.join(running)
      const { tasks } = yield* store.list({ limit: 100 })
      const [budget] = yield* Effect.flatMap(Effect.orDie(Effect.fromNullishOr(store.budgets)), ({ list }) => list)
      return {
        stats,
        tasks,
        spent: Budget.toUsd(budget?.committed.nanoUsd ?? 0),
        sizes: batches().map(({ requests }) => requests.length),
        batches: batches()
      }
    }).pipe(Effect.provide(parts))
  },
  Effect.provide(clockThatWaits, { local: true })
)

describe("a run in batches", () => {
  it.effect("spends an attempt on failed and expired requests, which succeed in the next batch", () =>
    Effect.gen(function* () {
      const seen = new Set<string>()
      const { sizes, stats, tasks } = yield* run({
        tasks: 6,
        answer: (prompt) => {
          const id = prompt.slice(0, 6)
          if (seen.has(id)) return "done"
          seen.add(id)
          switch (Number(id.at(-1)) % 3) {
            case 0:
              return { type: "expired" }
            case 1:
              return { type: "errored", error: "api_error" }
            default:
              return "done"
          }
        }
      })
      assert.deepStrictEqual(sizes, [6, 4])
      assert.strictEqual(stats.tasksCompleted, 6)
      assert.deepStrictEqual(
        tasks.map(({ attempts }) => attempts),
        [2, 2, 1, 2, 2, 1]
      )
      // Only the answers were paid for.
      assert.strictEqual(stats.usage?.inputTokens, 60)
    })
  )

  it.effect("judges in a second batch, and retries with the feedback in a third", () =>
    Effect.gen(function* () {
      const { batches, sizes, stats } = yield* run({
        tasks: 4,
        judged: true,
        answer: (prompt, request) => {
          if (!isJudged(request)) return prompt.includes("too short") ? "a long answer" : "short"
          return prompt.includes("a long answer") ? verdict(true) : verdict(false, "too short")
        }
      })
      assert.deepStrictEqual(sizes, [4, 4, 4, 4])
      assert.strictEqual(stats.tasksCompleted, 4)
      for (const request of batches[2]?.requests ?? []) assert.include(Api.promptOf(request), "too short")
      const cost = Pricing.costUsd(Pricing.listed, model, {
        ...Usage.zero,
        inputTokens: 160,
        outputTokens: 80,
        billing: "batch"
      })
      assert.approximately(stats.usage?.costUsd ?? 0, cost ?? 0, 1e-9)
    })
  )

  it.effect("with a small budget sends a few requests at a time, and continues with the rest of the budget", () =>
    Effect.gen(function* () {
      const { sizes, stats } = yield* run({
        tasks: 6,
        answer: () => "done",
        // One request reserves about 9,000 tokens, and uses 15.
        safety: Safety.layerBudget({ maxTokens: 20_000 })
      })
      assert.strictEqual(stats.tasksCompleted, 6)
      assert.isAbove(sizes.length, 1)
      assert.strictEqual(
        sizes.reduce((sum, size) => sum + size, 0),
        6
      )
    })
  )

  it.effect("learns from a first batch what answers cost, and sends all the others in a second one", () =>
    Effect.gen(function* () {
      // From 200 to 400 tokens, and no order: $0.00015 each on average, where the first can reserve $0.00225.
      const tokensOf = (prompt: string) => 200 + ((Number(prompt.slice(5)) * 7919) % 201)
      const { sizes, spent, stats } = yield* run({
        tasks: 1000,
        concurrency: 10_000,
        budget: 0.1,
        answer: (prompt) => ({ text: "done", outputTokens: tokensOf(prompt) })
      })
      assert.strictEqual(stats.tasksCompleted, 1000)
      assert.strictEqual(sizes.length, 2)
      assert.isAtMost(spent, 0.1)
      assert.isAtLeast(spent, 0.07)
    })
  )

  it.effect("asks again for an answer that is longer than twice the largest before it", () =>
    Effect.gen(function* () {
      const { batches, sizes, stats } = yield* run({
        tasks: 200,
        concurrency: 10_000,
        budget: 0.05,
        answer: (prompt) => ({ text: prompt, outputTokens: prompt === "task-150" ? 3000 : 100 })
      })
      assert.strictEqual(stats.tasksCompleted, 200)
      assert.strictEqual(sizes.length, 3)
      assert.strictEqual(sizes[2], 1)
      assert.isAtMost(Math.max(...(batches[1]?.requests ?? []).map(({ params }) => params.max_tokens)), 1000)
    })
  )
})
