import { ClaudeClient, ClaudeExecutor } from "@baton/adapters/claude"
import { Budget, Orchestrator, RetryPolicy, Safety, Task, TaskStore, Verifier } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Schema, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Send from "../../src/claude/internal/batches/send.ts"
import * as Api from "./batches/api.ts"
import { used } from "./requests.ts"
import { clockThatWaits } from "./clockThatWaits.ts"
import { make as scripted } from "./scripted.ts"
import { soak } from "../../../core/test/soak.ts"

const model = "claude-haiku-5-5"
type Store = TaskStore.TaskStore["Service"]

const makeDice = (seed: number) => {
  let state = seed
  return (sides: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * sides)
  }
}

/** Answers of different sizes, so that each has its own cost. */
const tokensOf = (prompt: string) => 1 + (Number(prompt.slice(5)) % 7)

/** A process that can be killed: from then on it sends nothing and receives no answer. Its last call may have arrived. */
const mortal = (store: Store, api: Awaited<Effect.Success<ReturnType<typeof Api.make>>>["api"]) => {
  let isDead = false
  const call = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.suspend(() =>
      isDead
        ? Effect.never
        : Effect.tap(effect, () => Effect.andThen(Effect.yieldNow, isDead ? Effect.never : Effect.void))
    )
  const { batches, budgets } = store
  if (batches === undefined || budgets === undefined) throw new Error("the store keeps no batches")
  return {
    kill: Effect.sync(() => {
      isDead = true
    }),
    store: {
      ...store,
      claim: (options) => call(store.claim(options)),
      start: (leases) => call(store.start(leases)),
      checkpoint: (checkpoints) => call(store.checkpoint(checkpoints)),
      settle: (settlements) => call(store.settle(settlements)),
      extend: (leases, lease) => call(store.extend(leases, lease)),
      sweep: (options) => call(store.sweep(options)),
      budgets: { ...budgets, reserve: (spending) => call(budgets.reserve(spending)) },
      batches: {
        begin: (batch, requests) => call(batches.begin(batch, requests)),
        created: (run, id) => call(batches.created(run, id)),
        find: (keys) => call(batches.find(keys)),
        take: (requests) => call(batches.take(requests)),
        unanswered: (run) => call(batches.unanswered(run)),
        record: (run, answers) => call(batches.record(run, answers)),
        drop: (run) => call(batches.drop(run)),
        end: (run) => call(batches.end(run)),
        list: call(batches.list),
        prune: (age) => call(batches.prune(age))
      }
    } satisfies Store,
    api: {
      create: (requests, bytes) => call(api.create(requests, bytes)),
      retrieve: (id) => call(api.retrieve(id)),
      cancel: (id) => call(api.cancel(id)),
      list: Stream.unwrap(call(Effect.succeed(api.list))),
      results: (id) => Stream.unwrap(call(Effect.succeed(api.results(id))))
    } satisfies typeof api
  }
}

/** Starts a worker, which is not stopped. Returns how to kill it. */
const startWorker = Effect.fnUntraced(function* (store: Store, api: Parameters<typeof mortal>[1]) {
  const process = mortal(store, api)
  const client = Layer.effect(
    ClaudeClient.ClaudeClient,
    Effect.gen(function* () {
      const sending = yield* Send.make(process.api, process.store)
      return { ...(yield* ClaudeClient.ClaudeClient), billing: "batch" as const, ...sending }
    })
  ).pipe(Layer.provide(scripted().layer))
  const scope = yield* Scope.make()
  const context = yield* Layer.buildWithScope(
    Orchestrator.layer({
      concurrency: 30,
      leaseDuration: "5 minutes",
      executionTimeout: "3 days",
      maxAttempts: 1000,
      retryPolicy: RetryPolicy.immediate
    }).pipe(
      Layer.provide([
        Layer.provide(ClaudeExecutor.layer({ model, maxTokens: 100 }), client),
        Verifier.layerNone,
        Safety.layerAllowAll,
        Layer.succeed(TaskStore.TaskStore, process.store)
      ])
    ),
    scope
  )
  yield* Effect.forkDetach(Context.get(context, Orchestrator.Orchestrator).run)
  return process.kill
})

describe("workers that are killed at any moment", () => {
  it.effect.prop(
    "pay for each request once, and the budget of the queue has committed the bill",
    [Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 31 }))],
    ([seed]) =>
      Effect.gen(function* () {
        const dice = makeDice(seed)
        const { api, batches, end, endAtOnce, next } = yield* Api.make((prompt) => ({
          text: prompt,
          outputTokens: tokensOf(prompt)
        }))
        const memory = Context.get(yield* Layer.build(TaskStore.layerMemory), TaskStore.TaskStore)
        const budgets = yield* Effect.orDie(Effect.fromNullishOr(memory.budgets))
        const committed = Effect.map(budgets.list, ([budget]) => budget?.committed ?? Budget.zero)
        /** What the leases of dead workers had reserved for requests that were not about to become a batch. */
        let unsent = Budget.zero
        const store: Store = {
          ...memory,
          sweep: Effect.fnUntraced(function* (options: TaskStore.SweepOptions) {
            const before = yield* committed
            const swept = yield* memory.sweep(options)
            unsent = Budget.add(unsent, Budget.subtract(yield* committed, before))
            return swept
          })
        }
        const total = 1 + dice(20)
        // Enough for a few requests at their worst case, and for all at their true cost.
        yield* budgets.set("default", { limit: { nanoUsd: Budget.toNanoUsd(0.001 + 0.0001 * total) } })
        yield* store.add(
          Array.from({ length: total }, (_, n) => Task.makeNew({ id: `task-${n}`, description: `task-${n}` }))
        )
        for (let n = 0; n < 4; n++) next((["ok", "ok", "lose", "vanish"] as const)[dice(4)] ?? "ok")

        for (let life = 0; life < 3; life++) {
          const kill = yield* startWorker(store, api)
          for (let step = dice(6); step >= 0; step--) {
            yield* TestClock.adjust(`${1 + dice(40)} seconds`)
            if (dice(3) === 0) end()
          }
          yield* kill
          // The lease ends.
          yield* TestClock.adjust("301 seconds")
        }
        endAtOnce()
        end()
        const stop = yield* startWorker(store, api)
        for (let step = 0; step < 10; step++) yield* TestClock.adjust("5 minutes")
        yield* stop

        assert.strictEqual((yield* store.counts).completed, total, `seed ${seed}`)
        const sent = batches().flatMap(({ requests }) => requests)
        assert.strictEqual(new Set(sent.map(({ custom_id }) => custom_id)).size, sent.length, `seed ${seed}`)
        assert.lengthOf(sent, total)
        const bill = sent.reduce((sum, request) => {
          const outputTokens = tokensOf(Api.promptOf(request))
          return Budget.add(sum, Budget.ofUsage(used({ inputTokens: 10, outputTokens, billing: "batch" }, model)))
        }, Budget.zero)
        const [budget] = yield* budgets.list
        assert.deepStrictEqual(
          { committed: budget?.committed, reserved: budget?.reserved },
          { committed: Budget.add(bill, unsent), reserved: Budget.zero },
          `seed ${seed}`
        )
      }).pipe(Effect.provide(clockThatWaits, { local: true })),
    { timeout: soak * 600_000, arbitrary: { runs: soak * 6 } }
  )
})
