import { assert, describe, it } from "@effect/vitest"
import { Context, DateTime, Effect, Exit, Fiber, Latch, Layer, Queue } from "effect"
import { TestClock } from "effect/testing"
import {
  Event,
  Executor,
  Hooks,
  Orchestrator,
  RetryPolicy,
  Safety,
  Task,
  TaskStore,
  Verification,
  Verifier
} from "@baton/core"
import { anHour, make, numbered, tasks, yields } from "./harness.ts"

const at = DateTime.makeUnsafe(0)
const started = Event.Event.cases.TaskStarted.make({
  at,
  taskId: Task.TaskId.make("a"),
  attempt: 1,
  description: "do a",
  resumed: false
})
const paused = Event.Event.cases.Paused.make({ at })

describe("Hooks.handle", () => {
  it.effect("calls the function for the kind of the event only", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const hook = Hooks.handle({
        TaskStarted: ({ description }) => Effect.sync(() => seen.push(description)),
        Resumed: () => Effect.sync(() => seen.push("resumed"))
      })
      yield* hook(started)
      yield* hook(paused)
      assert.deepStrictEqual(seen, ["do a"])
    })
  )

  it.effect("does nothing for a kind without a function", () =>
    Effect.gen(function* () {
      yield* Hooks.handle({})(started)
      yield* Hooks.handle({ TaskStarted: undefined })(started)
    })
  )

  it.effect("has the exit of the function", () =>
    Effect.gen(function* () {
      const hook = Hooks.handle({ Paused: () => Effect.fail("no") })
      assert.deepStrictEqual(yield* Effect.exit(hook(paused)), Exit.fail("no"))
    })
  )
})

describe("Hooks.layer", () => {
  const parts = Layer.mergeAll(
    Executor.layerFake(),
    Verifier.layerAlwaysPass,
    Safety.layerAllowAll,
    TaskStore.layerMemory
  )
  const orchestrator = Orchestrator.layer().pipe(Layer.provide(parts))

  /** A hook that records its name once per run. */
  const noting = (seen: Array<string>, name: string) =>
    Hooks.layer(({ _tag }) => Effect.sync(() => void (_tag === "RunEnded" && seen.push(name))))

  const run = Effect.flatMap(Orchestrator.Orchestrator, ({ run }) => run)

  it.effect("is empty by default", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* Hooks.current, [])
      const hook: Hooks.Hook = () => Effect.void
      assert.lengthOf(yield* Effect.provide(Hooks.current, Hooks.layer(hook, hook)), 2)
    })
  )

  it.effect("adds to the hooks of other layers, however they are combined", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const [a, b, c] = [noting(seen, "a"), noting(seen, "b"), noting(seen, "c")]
      const combinations = [
        orchestrator.pipe(Layer.provide([a, b, c])),
        orchestrator.pipe(Layer.provide(Layer.mergeAll(a, b, c))),
        orchestrator.pipe(Layer.provide(a), Layer.provide(b), Layer.provide(c)),
        orchestrator.pipe(Layer.provide(Layer.provideMerge(a, b)), Layer.provide(c))
      ]
      for (const combination of combinations) {
        seen.length = 0
        yield* Effect.provide(run, combination, { local: true })
        assert.deepStrictEqual(seen, ["a", "b", "c"])
      }
    })
  )

  it.effect("applies when it is merged with the orchestrator as well, and only once", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const hooks = noting(seen, "a")
      yield* Effect.provide(run, Layer.merge(orchestrator, hooks), { local: true })
      assert.deepStrictEqual(seen, ["a"])
      yield* Effect.provide(run, orchestrator.pipe(Layer.provideMerge(hooks)), { local: true })
      assert.deepStrictEqual(seen, ["a", "a"])
    })
  )

  it.effect("gives hooks the services of the layer, and calls a hook once even if its layer is built twice", () =>
    Effect.gen(function* () {
      class Names extends Context.Service<Names, Array<string>>()("Names") {}
      class Prefix extends Context.Service<Prefix, string>()("Prefix") {}
      const names: Array<string> = []
      const note = (name: string) =>
        Effect.asVoid(Effect.map(Effect.all([Names, Prefix]), ([names, prefix]) => names.push(`${prefix} ${name}`)))
      const hooks: Layer.Layer<never, never, Names | Prefix> = Hooks.layer(
        Hooks.handle({ RunStarted: ({ _tag }) => note(_tag), Paused: () => Effect.as(Prefix, undefined) }),
        ({ _tag }) => (_tag === "RunEnded" ? note(_tag) : Effect.void)
      )
      const provided = hooks.pipe(Layer.provide([Layer.succeed(Names, names), Layer.succeed(Prefix, "saw")]))
      const live = orchestrator.pipe(Layer.provide(provided))
      yield* run.pipe(Effect.provide(provided, { local: true }), Effect.provide(live, { local: true }))
      assert.deepStrictEqual(names, ["saw RunStarted", "saw RunEnded"])
    })
  )

  it.effect("applies only to the orchestrators that it is provided to", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      yield* Effect.provide(run, orchestrator.pipe(Layer.provide(noting(seen, "a"))), { local: true })
      yield* Effect.provide(run, orchestrator.pipe(Layer.provide(noting(seen, "b"))), { local: true })
      assert.deepStrictEqual(seen, ["a", "b"])
    })
  )
})

describe("the hooks of a run", () => {
  it.effect("are called one at a time in their order, for one event at a time", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      const hook =
        (name: string): Hooks.Hook =>
        ({ _tag }) =>
          Effect.gen(function* () {
            calls.push(`${name} ${_tag}`)
            yield* Effect.repeat(Effect.yieldNow, { times: 5 })
            calls.push(`${name} end`)
          })
      const { orchestrator, store } = yield* make({
        config: { concurrency: 3, retryPolicy: RetryPolicy.immediate },
        hooks: [hook("first"), hook("second")],
        verifier: Verifier.layerPure(({ attempts }) =>
          attempts === 1 ? Verification.reject("no") : Verification.pass()
        )
      })
      yield* store.add(tasks("a", "b", "c"))
      yield* orchestrator.run
      assert.isAbove(calls.length, 40)
      for (let index = 0; index < calls.length; index += 4) {
        const event = calls[index]?.replace("first ", "")
        assert.deepStrictEqual(calls.slice(index, index + 4), [
          `first ${event}`,
          "first end",
          `second ${event}`,
          "second end"
        ])
      }
    })
  )

  it.effect("receive every event once and in order, even if they fail or die", () =>
    Effect.gen(function* () {
      const seen: Array<Event.Event> = []
      const { journal, orchestrator, store } = yield* make({
        config: { concurrency: 8, maxAttempts: 2, retryPolicy: RetryPolicy.immediate },
        executor: Executor.layerFake({ failures: 1 }),
        hooks: [
          (event) =>
            Effect.suspend(() => {
              seen.push(event)
              return seen.length % 2 === 0 ? Effect.fail("no") : Effect.die(new Error("a hook's bug"))
            })
        ]
      })
      yield* store.add(tasks(...Array.from({ length: 200 }, (_, index) => `t${index}`)))
      yield* orchestrator.run
      assert.deepStrictEqual(seen, journal.events)
      const byTask = Map.groupBy(seen, (event) => ("taskId" in event ? event.taskId : ""))
      for (const [taskId, events] of byTask) {
        if (taskId === "") continue
        assert.deepStrictEqual(
          events.map(({ _tag }) => _tag),
          ["TaskStarted", "TaskRetried", "TaskStarted", "TaskCompleted"]
        )
      }
    })
  )

  it.effect("a handler that throws before it returns an effect counts as one that died", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make({
        hooks: [
          () => {
            throw new Error("a hook's bug")
          }
        ]
      })
      yield* store.add(tasks("a"))
      assert.strictEqual((yield* orchestrator.run).stats.tasksCompleted, 1)
      assert.strictEqual(journal.tags().at(-1), "RunEnded")
    })
  )

  it.effect("have received every event when the run returns", () =>
    Effect.gen(function* () {
      const gate = yield* Latch.make()
      let last = ""
      const { orchestrator, store } = yield* make({
        hooks: [
          ({ _tag }) =>
            Effect.andThen(
              gate.await,
              Effect.sync(() => void (last = _tag))
            )
        ]
      })
      yield* store.add(tasks("a", "b"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* Effect.repeat(Effect.yieldNow, { times: 200 })
      assert.isUndefined(run.pollUnsafe())
      yield* gate.open
      yield* Fiber.join(run)
      assert.strictEqual(last, "RunEnded")
    })
  )

  it.effect("include those in the context in which it runs", () =>
    Effect.gen(function* () {
      let called = 0
      const layer = Hooks.layer(() => Effect.sync(() => called++))
      const { orchestrator, store } = yield* make()
      yield* store.add(tasks("a"))
      yield* Effect.provide(orchestrator.run, layer)
      assert.strictEqual(called, 4)
    })
  )

  it.effect("that fail, die or hang stop nothing, and the others receive every event", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make({
        hooks: [
          () => Effect.fail("a hook's error"),
          () => Effect.die(new Error("a hook's defect")),
          ({ _tag }) => (_tag === "TaskStarted" ? Effect.never : Effect.void)
        ]
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("RunStarted")
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual((yield* Fiber.join(run)).stats.tasksCompleted, 1)
      assert.deepStrictEqual(journal.tags(), ["RunStarted", "TaskStarted", "TaskCompleted", "RunEnded"])
    })
  )

  it.effect("that hang on every event do not stall the run", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({ config: { concurrency: 64 }, hooks: [() => Effect.never] })
      yield* store.add(numbered(6000))
      const run = yield* Effect.forkDetach(orchestrator.run)
      yield* yields(5000)
      yield* anHour
      const ended = run.pollUnsafe() !== undefined
      const { tasksCompleted } = yield* orchestrator.stats
      yield* orchestrator.stop
      assert.deepStrictEqual([ended, tasksCompleted], [true, 6000])
    })
  )

  it.effect("receive every event even if they are slower than the work", () =>
    Effect.gen(function* () {
      const count = 2070
      const gate = yield* Latch.make()
      const seen: Array<string> = []
      const done = yield* Queue.unbounded<void>()
      const context = yield* Layer.build(
        Orchestrator.layer({ concurrency: count }).pipe(
          Layer.provide([
            Executor.layerFake(),
            Verifier.layerAlwaysPass,
            Safety.layerAllowAll,
            Hooks.layer((event) =>
              Effect.andThen(
                gate.await,
                Effect.sync(() => {
                  seen.push(event._tag)
                  if (event._tag === "RunEnded") Queue.offerUnsafe(done, undefined)
                })
              )
            )
          ]),
          Layer.provideMerge(TaskStore.layerMemory)
        )
      )
      const orchestrator = yield* Effect.provide(Orchestrator.Orchestrator, context)
      const store = yield* Effect.provide(TaskStore.TaskStore, context)
      yield* store.add(Array.from({ length: count }, (_, index) => Task.makeNew({ id: `t${index}`, description: "x" })))
      yield* Effect.forkChild(orchestrator.run)
      yield* yields(20_000)
      yield* gate.open
      yield* Queue.take(done)
      assert.strictEqual(seen.filter((tag) => tag === "TaskStarted").length, count)
      assert.strictEqual(seen.filter((tag) => tag === "TaskCompleted").length, count)
    })
  )
})
