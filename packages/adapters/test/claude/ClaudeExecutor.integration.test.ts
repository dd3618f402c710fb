import { Safety, Verification, Verifier } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import { layer } from "./clients.ts"
import { runList } from "./lists.ts"
import { type Answer, error, reply } from "./server/Answer.ts"
import { chaos } from "./server/chaos.ts"
import { lastText } from "./server/message.ts"
import * as Server from "./server/server.ts"

/** Retries at once what the API would have us wait for. */
const soon = { headers: { "retry-after-ms": "1" } }

const inTurn =
  (...answers: ReadonlyArray<Answer>) =>
  (_: unknown, n: number) =>
    answers[n - 1]

describe("a list of tasks", () => {
  it.live("is executed by Claude, with tokens and cost", () =>
    Effect.gen(function* () {
      const all = Promise.withResolvers<void>()
      const server = yield* Server.make({
        script: ({ body }, n) => {
          if (n === 16) all.resolve()
          // The first of them is answered when all sixteen are there.
          return reply(`Echo: ${lastText(body)}`, { before: all.promise })
        }
      })
      const descriptions = Array.from({ length: 100 }, (_, index) => `Say ${index}`)
      const { stats, tasks } = yield* runList({ client: layer(server.url), descriptions, config: { concurrency: 16 } })
      assert.deepStrictEqual(
        tasks.map(({ result }) => result),
        descriptions.map((description) => `Echo: ${description}`)
      )
      assert.strictEqual(stats.tasksCompleted, 100)
      assert.isAbove(stats.usage?.costUsd ?? 0, 0)
      assert.strictEqual(server.peak(), 16)
    })
  )

  it.live("is shown while its answer arrives", () =>
    Effect.gen(function* () {
      const server = yield* Server.make({ script: () => ({ _tag: "Stall", text: "The first half, and" }) })
      const seen = yield* Deferred.make<string | undefined>()
      const run = runList({
        client: layer(server.url),
        descriptions: ["Count"],
        config: { drainTimeout: 0 },
        onEvent: (event) => {
          if (event._tag === "TaskProgress") Deferred.doneUnsafe(seen, Effect.succeed(event.output))
        }
      })
      const output = yield* Effect.raceFirst(Deferred.await(seen), Effect.andThen(run, Effect.die("the run has ended")))
      assert.isTrue("The first half, and".startsWith(output ?? "missing"), String(output))
    })
  )

  it.live("gets the feedback of the previous attempt, and not of earlier ones", () =>
    Effect.gen(function* () {
      const server = yield* Server.make({ script: inTurn(reply("uno"), reply("due"), reply("tre")) })
      const { tasks } = yield* runList({
        client: layer(server.url),
        descriptions: ["Count"],
        verifier: Verifier.layerPure((_, { output }) =>
          output === "tre" ? Verification.pass() : Verification.reject(`${output} is too low`)
        )
      })
      assert.deepInclude(tasks[0], { status: "completed", result: "tre", attempts: 3 })
      const prompts = server.messages().map(({ body }) => lastText(body))
      assert.strictEqual(prompts[0], "Count")
      assert.include(prompts[1], "uno is too low")
      assert.include(prompts[2], "due is too low")
      assert.notInclude(prompts[2], "uno")
    })
  )

  it.live("continues after an overload, within the same attempt", () =>
    Effect.gen(function* () {
      const server = yield* Server.make({
        script: inTurn(error(529, soon), error(529, soon), error(529, soon), reply("ok"))
      })
      const { tasks } = yield* runList({ client: layer(server.url), descriptions: ["Count"] })
      assert.deepInclude(tasks[0], { status: "completed", result: "ok", attempts: 1 })
      assert.lengthOf(server.messages(), 4)
    })
  )

  it.effect("waits exactly as long as the server asks", () =>
    Effect.gen(function* () {
      const server = yield* Server.make({ script: inTurn(error(429, { retryAfter: 7 }), reply("ok")) })
      const told = yield* Deferred.make<number>()
      const fiber = yield* Effect.forkChild(
        runList({
          client: layer(server.url),
          descriptions: ["Count"],
          onEvent: (event) => {
            if (event._tag === "ExecutionRetried") Deferred.doneUnsafe(told, Effect.succeed(event.delayMillis))
          }
        })
      )
      assert.strictEqual(yield* Deferred.await(told), 7000)
      yield* TestClock.adjust(Duration.millis(6999))
      assert.lengthOf(server.messages(), 1)
      yield* TestClock.adjust(Duration.millis(1))
      const { tasks } = yield* Fiber.join(fiber)
      assert.deepInclude(tasks[0], { status: "completed", attempts: 1 })
    })
  )

  for (const [what, answer] of [
    ["the spend limit is reached", error(429, { errorCode: "enforced_spend_limit_reached", retryAfter: 3600 })],
    ["it would have to wait for a day", error(429, { retryAfter: 86_400 })]
  ] as const) {
    it.live(`stops when ${what} with --on-usage-limit stop, and no attempt counts`, () =>
      Effect.gen(function* () {
        const server = yield* Server.make({ script: () => answer })
        const { reason, tasks } = yield* runList({
          client: layer(server.url),
          descriptions: ["a", "b", "c", "d", "e"],
          config: { onUsageLimit: "stop" }
        })
        assert.deepInclude(reason, { _tag: "LimitReached", limit: "usage" })
        // One more may be on its way when the first one is refused.
        assert.isAtMost(server.messages().length, 2)
        assert.deepStrictEqual(
          tasks.map(({ attempts, status }) => ({ attempts, status })),
          tasks.map(() => ({ attempts: 0, status: "pending" }))
        )
      })
    )
  }

  for (const [what, answer] of [
    ["the key is wrong", error(401)],
    ["the billing needs a person", error(402)],
    ["the model does not exist", error(404)]
  ] as const) {
    it.live(`ends at once when ${what}, and loses no task`, () =>
      Effect.gen(function* () {
        const server = yield* Server.make({ script: () => answer })
        const statuses: Array<string> = []
        const failed = yield* Effect.flip(
          runList({
            client: layer(server.url),
            descriptions: ["a", "b", "c", "d", "e"],
            onEvent: ({ _tag }) => statuses.push(_tag)
          })
        )
        assert.strictEqual(failed._tag, "RunFailed")
        // One more may be on its way when the first one fails.
        assert.isAtMost(server.messages().length, 2)
        assert.notInclude(statuses, "TaskFailed")
        assert.include(statuses, "TaskReleased")
      })
    )
  }

  it.live("moves a refused task to the dead-letter queue without a retry", () =>
    Effect.gen(function* () {
      const server = yield* Server.make({
        script: ({ body }) =>
          lastText(body) === "harm"
            ? reply("", { stopReason: "refusal", stopDetails: { type: "refusal", category: "bio", explanation: null } })
            : undefined
      })
      const { tasks } = yield* runList({ client: layer(server.url), descriptions: ["harm", "help"] })
      assert.deepStrictEqual(
        tasks.map(({ attempts, feedback, status }) => ({ attempts, feedback, status })),
        [
          { attempts: 1, feedback: "Claude refused the task (bio).", status: "failed" },
          { attempts: 1, feedback: undefined, status: "completed" }
        ]
      )
    })
  )

  it.live("doubles the maximum after a task was cut off, within the limit", () =>
    Effect.gen(function* () {
      const server = yield* Server.make({ script: () => reply("word ".repeat(50)) })
      const { tasks } = yield* runList({
        client: layer(server.url),
        executor: { maxTokens: 20, growTo: 100 },
        descriptions: ["Write"]
      })
      assert.deepInclude(tasks[0], { status: "completed", attempts: 3 })
      assert.deepStrictEqual(
        server
          .messages()
          .map(({ body }) => (body instanceof Object && "max_tokens" in body ? body.max_tokens : undefined)),
        [20, 40, 80]
      )
    })
  )

  it.live("completes despite drops, limits and failures", () =>
    Effect.gen(function* () {
      const server = yield* Server.make({
        script: chaos({ dropped: 0.2, failing: 0.2, rateLimited: 0.05, seed: 7 })
      })
      const descriptions = Array.from({ length: 60 }, (_, index) => `Say ${index}`)
      const { tasks } = yield* runList({ client: layer(server.url), descriptions, config: { concurrency: 16 } })
      assert.deepStrictEqual(
        tasks.map(({ attempts, result }) => `${attempts} ${result}`),
        descriptions.map((description) => `1 Echo: ${description}`)
      )
    })
  )

  it.live("never spends more than the budget, at 64 at once, with failures in between", () =>
    Effect.gen(function* () {
      const server = yield* Server.make({
        script: chaos({ dropped: 0.1, failing: 0.1, seed: 3 }, () => reply("word ".repeat(20)))
      })
      const { reason, stats, tasks } = yield* runList({
        client: layer(server.url),
        executor: { maxTokens: 100 },
        descriptions: Array.from({ length: 400 }, (_, index) => `Say ${index}`),
        config: { concurrency: 64 },
        safety: Safety.layerBudget({ maxCostUsd: 0.05 })
      })
      assert.deepInclude(reason, { _tag: "LimitReached", limit: "cost" })
      // What the server answered in full, at 25 tokens of output each and some of input.
      const answered = tasks.filter(({ status }) => status === "completed").length
      assert.isAbove(answered, 20)
      assert.isAtMost(answered * 0.00025, 0.05)
      assert.isAtMost(stats.usage?.costUsd ?? 0, 0.05)
      assert.isAbove(tasks.filter(({ status }) => status === "pending").length, 0)
    })
  )

  it.live("pays once for instructions that all its tasks share", () =>
    Effect.gen(function* () {
      const server = yield* Server.make()
      const { stats } = yield* runList({
        client: layer(server.url),
        executor: { system: "rule ".repeat(1000) },
        descriptions: Array.from({ length: 40 }, (_, index) => `Say ${index}`),
        config: { concurrency: 16 }
      })
      assert.strictEqual(stats.usage?.cacheWriteTokens, 1250)
      assert.strictEqual(stats.usage?.cacheReadTokens, 39 * 1250)
    })
  )

  it.live("gets JSON of a schema, as the API takes it", () =>
    Effect.gen(function* () {
      const server = yield* Server.make()
      const { tasks } = yield* runList({
        client: layer(server.url),
        executor: {
          schema: Schema.Struct({
            passed: Schema.Boolean,
            score: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })),
            issues: Schema.Array(Schema.Struct({ line: Schema.Int, what: Schema.NonEmptyString })),
            note: Schema.optionalKey(Schema.String),
            kind: Schema.Union([Schema.Literal("a"), Schema.Struct({ other: Schema.String })])
          })
        },
        descriptions: ["Judge"]
      })
      assert.deepStrictEqual(JSON.parse(tasks[0]?.result ?? ""), {
        passed: true,
        score: 1,
        issues: [],
        note: "text",
        kind: "a"
      })
    })
  )
})
