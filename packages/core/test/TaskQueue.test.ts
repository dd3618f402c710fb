import { assert, describe, it } from "@effect/vitest"
import {
  Executor,
  ExecutionError,
  Orchestrator,
  Safety,
  SafetyStop,
  Task,
  TaskQueue,
  TaskStore,
  TasksRefused,
  Verifier
} from "@baton/core"
import { Context, Effect, Fiber, Layer, Option, Schema } from "effect"
import { TestClock } from "effect/testing"
import { yields } from "./harness.ts"

const Summaries = TaskQueue.make({
  name: "summaries",
  payload: Schema.Struct({ url: Schema.String, since: Schema.DateTimeUtcFromString }),
  result: Schema.Struct({ title: Schema.NonEmptyString, words: Schema.Int.check(Schema.isGreaterThan(0)) }),
  describe: ({ url }) => `Summarise ${url}`
})

const Words = TaskQueue.make({ name: "words", payload: Schema.String, result: Schema.Finite })

const payload = {
  url: "https://example.com",
  since: Schema.decodeSync(Schema.DateTimeUtcFromString)("2026-01-02T00:00:00Z")
}

/** A worker that is built at once, as `Effect.provide` needs it. */
const inBackground = { onEnd: "log" } as const

/** Runs a worker until its queue is drained. */
const drain = <R>(
  executor: Layer.Layer<Executor.Executor, never, R>,
  queue: { readonly name: string; readonly layerVerifier: Layer.Layer<Verifier.Verifier> },
  config = {}
) =>
  Effect.flatMap(Orchestrator.Orchestrator, ({ run }) => run).pipe(
    Effect.provide(
      Orchestrator.layer({ queues: [queue.name], ...config }).pipe(
        Layer.provide([executor, queue.layerVerifier, Safety.layerAllowAll])
      )
    )
  )

describe("a typed queue", () => {
  it.effect("gives its handler the decoded payload, and the caller that awaits the task its decoded result", () =>
    Effect.gen(function* () {
      const worker = Summaries.toLayer(
        ({ since, url }, { attempt }) =>
          Effect.succeed({ title: `${url} ${since.epochMilliseconds} ${attempt}`, words: 3 }),
        inBackground
      )
      yield* Effect.gen(function* () {
        const { added } = yield* Summaries.add([{ id: "a", payload }])
        assert.deepStrictEqual(added, [Summaries.taskId("a")])
        const result = yield* Summaries.await("a")
        assert.deepStrictEqual(result, { title: `https://example.com ${payload.since.epochMilliseconds} 1`, words: 3 })
        assert.deepStrictEqual(yield* Summaries.result("a"), Option.some(result))
      }).pipe(Effect.provide(worker))
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )

  it.effect("stores payload, description and queue, and keeps its ids apart from those of other queues", () =>
    Effect.gen(function* () {
      yield* Summaries.add([{ id: "1", payload, priority: 5, metadata: { team: "blue" } }])
      yield* Words.add([{ id: "1", payload: "one two" }])
      const store = yield* TaskStore.TaskStore
      const { tasks } = yield* store.list()
      assert.deepStrictEqual(
        tasks.map(({ description, id, payload, priority, queue }) => ({ description, id, payload, priority, queue })),
        [
          {
            description: "Summarise https://example.com",
            id: Task.TaskId.make("summaries/1"),
            payload: { url: "https://example.com", since: "2026-01-02T00:00:00.000Z" },
            priority: 5,
            queue: "summaries"
          },
          { description: '"one two"', id: Task.TaskId.make("words/1"), payload: "one two", priority: 0, queue: "words" }
        ]
      )
      assert.deepStrictEqual(tasks.map(Task.localId), ["1", "1"])
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )

  it.effect("takes an equal payload for the same task, and refuses another one", () =>
    Effect.gen(function* () {
      yield* Words.add([{ id: "1", payload: "one" }])
      assert.strictEqual((yield* Words.add([{ id: "1", payload: "one" }])).existing, 1)
      const refused = yield* Effect.flip(Words.add([{ id: "1", payload: "two" }]))
      assert.instanceOf(refused, TasksRefused)
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )

  it.effect("gives its handler the payload null, which a store keeps as none", () =>
    Effect.gen(function* () {
      const Optional = TaskQueue.make({
        name: "optional",
        payload: Schema.NullOr(Schema.String),
        result: Schema.NullOr(Schema.String)
      })
      yield* Optional.add([{ id: "none", payload: null }])
      const found = yield* TaskStore.TaskStore.use(({ get }) => get(Optional.taskId("none")))
      assert.notProperty(Option.getOrThrow(found), "payload")
      const worker = Optional.toLayer((payload) => Effect.succeed(payload), inBackground)
      assert.isNull(yield* Effect.provide(Optional.await("none"), worker))
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )

  it.effect("adds nothing when a payload does not fit the schema", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Words.add([
          { id: "good", payload: "one" },
          { id: "bad", payload: 1 as never }
        ])
      )
      assert.instanceOf(error, TaskQueue.InvalidPayload)
      assert.match(error.message, /The payload of task "bad" of the queue "words" is not valid: Expected string/)
      assert.deepStrictEqual(yield* (yield* TaskStore.TaskStore).queues, [])
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )

  it.effect("rejects a result that does not fit the schema, with the message of the schema as feedback", () =>
    Effect.gen(function* () {
      const feedback: Array<string | undefined> = []
      yield* Summaries.add([{ id: "a", payload }])
      const executor = Summaries.layerExecutor((_, { attempt, previous }) => {
        feedback.push(previous?.feedback)
        return Effect.succeed(attempt === 1 ? { title: "", words: -1 } : { title: "x", words: 1 })
      })
      const running = yield* Effect.forkChild(drain(executor, Summaries))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(running)
      assert.strictEqual((yield* Summaries.await("a")).title, "x")
      assert.strictEqual(feedback[0], undefined)
      assert.match(feedback[1] ?? "", /The result does not fit its schema: .*title.*words/s)
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )

  it.effect("rejects the output of a handler that returns nothing", () =>
    Effect.gen(function* () {
      yield* Words.add([{ id: "a", payload: "x" }])
      yield* drain(
        Words.layerExecutor(() => Effect.succeed(undefined as never)),
        Words,
        { maxAttempts: 1 }
      )
      const error = yield* Effect.flip(Words.await("a"))
      assert.instanceOf(error, TaskQueue.NoResult)
      assert.strictEqual(error.status, "failed")
      assert.match(
        error.message,
        /^Task "a" of the queue "words" failed after 1 attempt: The result does not fit its schema/
      )
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )

  it.effect("sends a task whose payload no longer fits to the dead-letter queue", () =>
    Effect.gen(function* () {
      const Former = TaskQueue.make({ name: "words", payload: Schema.Finite, result: Schema.Finite })
      yield* Former.add([{ id: "a", payload: 1 }])
      yield* drain(
        Words.layerExecutor(() => Effect.die("not called")),
        Words
      )
      const error = yield* Effect.flip(Words.await("a"))
      assert.match(
        error.message,
        /after 1 attempt: The payload does not fit the schema of the queue "words": Expected string/
      )
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )

  it.effect("says that a task was cancelled, does not exist, or has a result of another version", () =>
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      yield* Words.add([
        { id: "cancelled", payload: "x" },
        { id: "old", payload: "x" }
      ])
      yield* store.cancel({ ids: [Words.taskId("cancelled")] })
      assert.deepStrictEqual(yield* Words.result("old"), Option.none())
      yield* drain(Executor.layerFake({ output: "not JSON" }), { ...Words, layerVerifier: Verifier.layerAlwaysPass })
      const statuses = yield* Effect.forEach(["cancelled", "missing", "old"], (id) =>
        Effect.map(Effect.flip(Words.await(id)), (error) => (error._tag === "NoResult" ? error.status : error._tag))
      )
      assert.deepStrictEqual(statuses, ["cancelled", "missing", "unreadable"])
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )

  it.effect("has handlers with requirements, which the layer captures", () =>
    Effect.gen(function* () {
      class Greeting extends Context.Service<Greeting, { readonly text: string }>()("test/Greeting") {}
      yield* Words.add([{ id: "a", payload: "x" }])
      const executor = Words.layerExecutor(() => Effect.map(Greeting, ({ text }) => text.length))
      yield* drain(Layer.provide(executor, Layer.succeed(Greeting, { text: "hello" })), Words)
      assert.strictEqual(yield* Words.await("a"), 5)
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )

  it.effect("passes on the errors of its handler, and its limits", () =>
    Effect.gen(function* () {
      yield* Words.add([{ id: "a", payload: "x" }])
      const failing = Words.layerExecutor(() =>
        Effect.fail(new ExecutionError({ reason: "Permanent", message: "No such page." }))
      )
      yield* drain(failing, Words)
      assert.match((yield* Effect.flip(Words.await("a"))).message, /No such page\.$/)
      yield* Words.add([{ id: "b", payload: "x" }])
      const limited = Words.layerExecutor(() => Effect.fail(new SafetyStop({ limit: "cost", message: "Enough." })))
      assert.strictEqual((yield* drain(limited, Words)).reason._tag, "LimitReached")
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )

  it.effect("runs together with other queues on one store, each with its own handler and settings", () =>
    Effect.gen(function* () {
      const workers = Layer.mergeAll(
        Words.toLayer((text) => Effect.succeed(text.length), { ...inBackground, concurrency: 2 }),
        Summaries.toLayer(() => Effect.succeed({ title: "t", words: 1 }), inBackground)
      )
      yield* Effect.gen(function* () {
        yield* Words.add([{ id: "1", payload: "four" }])
        yield* Summaries.add([{ id: "1", payload }])
        assert.strictEqual(yield* Words.await("1"), 4)
        assert.strictEqual((yield* Summaries.await("1")).words, 1)
      }).pipe(Effect.provide(workers))
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )

  it.effect("has its own concurrency, whatever other queues of the process have", () =>
    Effect.gen(function* () {
      const running = { words: 0, summaries: 0 }
      const most = { words: 0, summaries: 0 }
      const during = <A>(name: keyof typeof running, result: A) =>
        Effect.acquireUseRelease(
          Effect.sync(() => (most[name] = Math.max(most[name], ++running[name]))),
          () => Effect.as(Effect.sleep("1 second"), result),
          () => Effect.sync(() => running[name]--)
        )
      const workers = Layer.mergeAll(
        Words.toLayer(() => during("words", 1), { ...inBackground, concurrency: 3 }),
        Summaries.toLayer(() => during("summaries", { title: "t", words: 1 }), { ...inBackground, concurrency: 1 })
      )
      const ids = ["1", "2", "3", "4"]
      yield* Words.add(ids.map((id) => ({ id, payload: id })))
      yield* Summaries.add(ids.map((id) => ({ id, payload })))
      const awaited = Effect.forEach(ids, (id) => Effect.andThen(Words.await(id), Summaries.await(id)))
      const done = yield* Effect.forkChild(Effect.provide(awaited, workers))
      yield* Effect.repeat(Effect.andThen(TestClock.adjust("1 second"), yields()), { times: 6 })
      yield* Fiber.join(done)
      assert.deepStrictEqual(most, { words: 3, summaries: 1 })
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )

  it.effect("awaits a thousand tasks at once", () =>
    Effect.gen(function* () {
      const ids = Array.from({ length: 1_000 }, (_, index) => String(index))
      yield* Words.add(ids.map((id) => ({ id, payload: id })))
      const worker = Words.toLayer((text) => Effect.succeed(Number(text)), { ...inBackground, concurrency: 8 })
      const results = yield* Effect.forEach(ids, (id) => Words.await(id), { concurrency: "unbounded" }).pipe(
        Effect.provide(worker)
      )
      assert.deepStrictEqual(results, ids.map(Number))
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )
})
