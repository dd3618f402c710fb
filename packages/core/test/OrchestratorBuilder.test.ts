import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Option } from "effect"
import {
  type Event,
  Execution,
  Executor,
  type Hooks,
  Orchestrator,
  OrchestratorBuilder,
  type OrchestratorConfig,
  RetryPolicy,
  Safety,
  Task,
  TaskStore,
  TaskStoreError,
  Verification,
  Verifier
} from "@baton/core"

const descriptions = [
  "Write a haiku about orchestration",
  "Explain the conductor pattern in one sentence",
  "List 3 benefits of modular architecture"
] as const

/** Rejects the first draft of the haiku. */
const strict = Verifier.layerPure(({ description }, { output }) =>
  description.includes("haiku") && !output.endsWith("(improved)")
    ? Verification.reject("Not polished enough")
    : Verification.pass()
)
const eager = Executor.layer((task, { previous }) =>
  Effect.succeed(Execution.make({ output: `${task.description}${previous === undefined ? "" : " (improved)"}` }))
)

describe("OrchestratorBuilder", () => {
  it.effect("builds the whole demo: sample tasks, a verifier, a circuit breaker, hooks, a summary", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const say = (line: string) => Effect.sync(() => void lines.push(line))

      const demo = OrchestratorBuilder.make()
        .withTaskStore(TaskStore.layerMemory)
        .withExecutor(eager)
        .withVerifier(strict)
        .withSafety(Safety.layerCircuitBreaker({ maxIterations: 50, maxConsecutiveFailures: 3 }))
        .withConfig({
          verifyResults: true,
          retryOnFailure: true,
          maxAttempts: 3,
          retryPolicy: RetryPolicy.immediate
        })
        .onRunStart(() => say("= demo ="))
        .onTaskStart(({ description }) => say(`▶ ${description.slice(0, 12)}`))
        .onTaskRetry(({ feedback }) => say(`↻ ${feedback}`))
        .onTaskComplete(({ output }) => say(`✓ ${output.slice(-10)}`))
        .onTaskFail(() => say("✗ Failed"))
        .onRunEnd(({ stats }) => say(`${stats.tasksCompleted} done`))
        .build()

      const program = Effect.gen(function* () {
        const store = yield* TaskStore.TaskStore
        const orchestrator = yield* Orchestrator.Orchestrator
        const safety = yield* Safety.Safety
        if ((yield* store.counts).pending === 0) {
          yield* store.add(descriptions.map((description, index) => Task.makeNew({ id: `${index + 1}`, description })))
        }
        const summary = yield* orchestrator.run
        const { tasks } = yield* store.list()
        return { summary, tasks, stop: yield* safety.stopReason }
      })

      const { stop, summary, tasks } = yield* Effect.provide(program, demo)
      assert.isTrue(Option.isNone(stop))
      assert.strictEqual(summary.reason._tag, "Drained")
      assert.deepInclude(summary.stats, { tasksStarted: 4, tasksCompleted: 3, tasksRetried: 1, executions: 4 })
      assert.deepStrictEqual(
        tasks.map(({ attempts, result, status }) => [status, attempts, result]),
        [
          ["completed", 2, `${descriptions[0]} (improved)`],
          ["completed", 1, descriptions[1]],
          ["completed", 1, descriptions[2]]
        ]
      )
      assert.deepStrictEqual([lines[0], lines[1], lines.at(-1)], ["= demo =", "▶ Write a haik", "3 done"])
      const told = (mark: string) => lines.filter((line) => line.startsWith(mark)).length
      assert.deepStrictEqual([told("▶"), told("↻ Not polished enough"), told("✓"), told("✗")], [4, 1, 3, 0])
    })
  )

  const run = <E, R>(layer: Layer.Layer<Orchestrator.Orchestrator | TaskStore.TaskStore, E, R>) =>
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      yield* store.add([Task.makeNew({ id: "a", description: "do a" })])
      const summary = yield* Orchestrator.Orchestrator.use(({ run }) => run)
      const { tasks } = yield* store.list()
      return { summary, result: tasks[0]?.result, verified: tasks[0]?.verified }
    }).pipe(Effect.provide(layer, { local: true }))

  it.effect("settings of several calls add up, and a later one replaces an earlier one", () =>
    Effect.gen(function* () {
      const layer = OrchestratorBuilder.make()
        .withExecutor(Executor.layerFake({ success: false }))
        .withTaskStore(TaskStore.layerMemory)
        .withConfig({ maxAttempts: 2, retryPolicy: RetryPolicy.exponential({ base: "1 hour" }) })
        .withConfig({ retryPolicy: RetryPolicy.immediate })
        .build()
      const { summary } = yield* run(layer)
      assert.deepInclude(summary.stats, { executions: 2, tasksFailed: 1 })
    })
  )

  it.effect("without a verifier tasks complete as unverified; without safety there are no limits", () =>
    Effect.gen(function* () {
      const layer = OrchestratorBuilder.make()
        .withExecutor(Executor.layerFake())
        .withTaskStore(TaskStore.layerMemory)
        .build()
      const { summary, verified } = yield* run(layer)
      assert.strictEqual(summary.stats.tasksUnverified, 1)
      assert.isFalse(verified)
    })
  )

  it.effect("the later of two layers of a service replaces the earlier one", () =>
    Effect.gen(function* () {
      const layer = OrchestratorBuilder.make()
        .withTaskStore(TaskStore.layerMemory)
        .withVerifier(Verifier.layerPure(() => Verification.reject("never")))
        .withExecutor(Executor.layerFake({ output: "first" }))
        .withExecutor(Executor.layerFake({ output: "second" }))
        .withVerifier(Verifier.layerAlwaysPass)
        .build()
      assert.deepInclude(yield* run(layer), { result: "second for: do a", verified: true })
    })
  )

  it.effect("every step returns a new builder, so that several can start from one", () =>
    Effect.gen(function* () {
      const events: Array<string> = []
      const hook =
        (name: string): Hooks.Hook =>
        () =>
          Effect.sync(() => void events.push(name))
      const base = OrchestratorBuilder.make().withTaskStore(TaskStore.layerMemory).withHook(hook("base"))
      const one = base.withExecutor(Executor.layerFake({ output: "one" })).withHook(hook("one"))
      const other = base.withExecutor(Executor.layerFake({ output: "other" }))
      assert.strictEqual((yield* run(other.build())).result, "other for: do a")
      assert.isFalse(events.includes("one"))
      events.length = 0
      assert.strictEqual((yield* run(one.build())).result, "one for: do a")
      assert.deepStrictEqual(events.slice(0, 2), ["base", "one"])
    })
  )

  it.effect("a setting that is given again is replaced", () =>
    Effect.gen(function* () {
      const layer = OrchestratorBuilder.make()
        .withConfig({ maxAttempts: 9 })
        .withTaskStore(TaskStore.layerMemory)
        .withExecutor(Executor.layerFake({ success: false }))
        .withConfig({ maxAttempts: 1 })
        .build()
      const { summary } = yield* run(layer)
      assert.deepInclude(summary.stats, { tasksFailed: 1, executions: 1 })
    })
  )

  it.effect("has the errors of its layers", () =>
    Effect.gen(function* () {
      const error = new TaskStoreError({ reason: "Unusable", message: "the file is corrupt" })
      const layer = OrchestratorBuilder.make()
        .withTaskStore(Layer.effect(TaskStore.TaskStore, Effect.fail(error)))
        .withExecutor(Executor.layerFake())
        .build()
      assert.deepStrictEqual(yield* Effect.exit(run(layer)), Exit.fail(error))
    })
  )
})

/** Never called: the compiler checks the types. */
export const types = () => {
  const empty = OrchestratorBuilder.make()
  const withStore = empty.withTaskStore(TaskStore.layerMemory)
  const withExecutor = empty.withExecutor(Executor.layerFake())

  // @ts-expect-error the store and the executor are missing
  empty.build()
  // @ts-expect-error the executor is missing
  withStore.build()
  // @ts-expect-error the store is missing
  withExecutor.build()
  // @ts-expect-error a verifier does not replace an executor
  withStore.withVerifier(Verifier.layerNone).withSafety(Safety.layerAllowAll).build()
  expectSame<ThisParameterType<typeof withStore.build>, "Call withExecutor(layer) before build().">(true)
  expectSame<ThisParameterType<typeof withExecutor.build>, "Call withTaskStore(layer) before build().">(true)
  expectSame<
    ThisParameterType<typeof empty.build>,
    "Call withExecutor(layer) before build()." | "Call withTaskStore(layer) before build()."
  >(true)
  // @ts-expect-error an executor is not a store
  empty.withTaskStore(Executor.layerFake())

  class Key extends Context.Service<Key, string>()("test/Key") {}
  class Disk extends Context.Service<Disk, string>()("test/Disk") {}
  class NoKey {
    readonly _tag = "NoKey"
  }
  class NoDisk {
    readonly _tag = "NoDisk"
  }
  const executor: Layer.Layer<Executor.Executor, NoKey, Key> = Layer.effect(
    Executor.Executor,
    Effect.andThen(Key, Effect.fail(new NoKey()))
  )
  const store: Layer.Layer<TaskStore.TaskStore, NoDisk, Disk> = Layer.effect(
    TaskStore.TaskStore,
    Effect.andThen(Disk, Effect.fail(new NoDisk()))
  )

  // The exact services, errors and requirements.
  const whole = withStore.withExecutor(executor).build()
  expectSame<Gives<typeof whole>, Orchestrator.Orchestrator | TaskStore.TaskStore | Executor.Executor | Rest>(true)
  expectSame<Layer.Error<typeof whole>, NoKey | OrchestratorConfig.InvalidConfig>(true)
  expectSame<Layer.Services<typeof whole>, Key>(true)

  const both = empty
    .withExecutor(executor)
    .withTaskStore(store)
    .onTaskComplete(() => Effect.fail("ignored"))
    .build()
  expectSame<Layer.Error<typeof both>, NoKey | NoDisk | OrchestratorConfig.InvalidConfig>(true)
  expectSame<Layer.Services<typeof both>, Key | Disk>(true)

  const plain = withStore.withExecutor(Executor.layerFake()).build()
  expectSame<Layer.Error<typeof plain>, OrchestratorConfig.InvalidConfig>(true)
  expectSame<Layer.Services<typeof plain>, never>(true)

  // A handler receives the fields of its kind of event.
  withStore.onTaskRetry((event) => {
    expectSame<typeof event, Extract<Event.Event, { readonly _tag: "TaskRetried" }>>(true)
    return Effect.void
  })
  // @ts-expect-error an event of another kind has no feedback
  withStore.onTaskStart(({ feedback }) => Effect.log(feedback))

  // Layers that are combined keep their own errors and requirements.
  const route = Executor.layerRoute({
    executors: { a: executor, b: Executor.layerFake() },
    select: ({ id }) => id,
    otherwise: Executor.layerFake()
  })
  expectSame<typeof route, Layer.Layer<Executor.Executor, NoKey, Key>>(true)
  const ladder = Executor.layerEscalation({ ladder: [Executor.layerFake(), executor] })
  expectSame<typeof ladder, Layer.Layer<Executor.Executor, NoKey, Key>>(true)
  // @ts-expect-error a ladder has at least one step
  Executor.layerEscalation({ ladder: [] })
  const judge: Layer.Layer<Verifier.Verifier, NoKey, Key> = Layer.effect(
    Verifier.Verifier,
    Effect.andThen(Key, Effect.fail(new NoKey()))
  )
  const panel = Verifier.layerQuorum(2, judge, Verifier.layerAlwaysPass, Verifier.layerMinConfidence(0.5, judge))
  expectSame<typeof panel, Layer.Layer<Verifier.Verifier, NoKey, Key>>(true)
  const limits = Safety.layerAll(Safety.layerDeadline("1 hour"), Safety.layerAllowAll)
  expectSame<typeof limits, Layer.Layer<Safety.Safety>>(true)
}

type Rest = Verifier.Verifier | Safety.Safety
type Gives<L> = L extends Layer.Layer<infer A, infer _E, infer _R> ? A : never
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

const expectSame = <A, B>(_same: Same<A, B>): void => {}
