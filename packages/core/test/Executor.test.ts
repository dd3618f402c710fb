import { assert, describe, it } from "@effect/vitest"
import { Context, DateTime, Effect, Fiber, Layer, References } from "effect"
import { TestClock } from "effect/testing"
import {
  Attempt,
  type AttemptContext,
  Execution,
  ExecutionError,
  Executor,
  RetryPolicy,
  Task,
  Verification,
  Verifier
} from "@baton/core"
import { get, make, tasks } from "./harness.ts"

const service = <E>(layer: Layer.Layer<Executor.Executor, E>) =>
  Effect.flatMap(Layer.build(layer), (context) => Effect.provide(Executor.Executor, context))

const now = DateTime.makeUnsafe(0)
const task = (options: Partial<Task.Task> = {}): Task.Task => ({
  id: Task.TaskId.make("a"),
  queue: "default",
  description: "do a",
  overrides: {},
  status: "in_progress",
  attempts: 1,
  metadata: {},
  priority: 0,
  availableAt: now,
  dependsOn: [],
  verified: false,
  requeues: 0,
  createdAt: now,
  updatedAt: now,
  ...options
})
const at = (attempt: number): AttemptContext => ({
  attempt,
  leaseToken: Attempt.LeaseToken.make(attempt),
  idempotencyKey: `a/${attempt}`,
  dependencies: Effect.succeed([]),
  progress: () => Effect.void,
  earlierAttempts: Effect.succeed([]),
  spend: ({ call }) => call
})
const named = (name: string) => Executor.layer(() => Effect.succeed(Execution.make({ output: name })))

class Greeting extends Context.Service<Greeting, string>()("Greeting") {}

describe("Executor.layer", () => {
  const greet: Layer.Layer<Executor.Executor, never, Greeting> = Executor.layer(({ description }) =>
    Effect.map(Greeting, (greeting) => Execution.make({ output: `${greeting}, ${description}` }))
  )

  it.effect("gives its handler the services of the layer, not those of the fiber that runs it", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make({
        executor: Layer.provide(greet, Layer.succeed(Greeting, "Hello"))
      })
      yield* store.add(tasks("a"))
      yield* Effect.provideService(orchestrator.run, Greeting, "Goodbye")
      assert.strictEqual(journal.of("TaskCompleted")[0]?.output, "Hello, do a")
    })
  )

  it.effect("has task, attempt and queue in its log annotations, as a verifier has", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const note = Effect.map(References.CurrentLogAnnotations, (annotations) => seen.push(annotations))
      const { orchestrator, store } = yield* make({
        config: { queues: ["mail"] },
        executor: Executor.layer(() => Effect.as(note, Execution.make({ output: "x" }))),
        verifier: Verifier.layer(() => Effect.as(note, Verification.pass()))
      })
      yield* store.add([Task.makeNew({ id: "a", description: "x", queue: "mail" })])
      yield* Effect.annotateLogs(orchestrator.run, { app: "shop" })
      const annotations = { app: "shop", taskId: "a", attempt: 1, queue: "mail" }
      assert.deepStrictEqual(seen, [annotations, annotations])
    })
  )

  it.effect("leaves the caller its span and its log annotations", () =>
    Effect.gen(function* () {
      const ofCall = Effect.map(
        Effect.all([Effect.currentSpan, References.CurrentLogAnnotations]),
        ([{ name }, annotations]) => Execution.make({ output: `${name} ${JSON.stringify(annotations)}` })
      )
      const { execute } = yield* service(Executor.layer(() => Effect.orDie(ofCall))).pipe(
        Effect.annotateLogs({ during: "build" }),
        Effect.withSpan("build")
      )
      const { output } = yield* execute(task(), at(1)).pipe(
        Effect.annotateLogs({ during: "call" }),
        Effect.withSpan("call")
      )
      assert.strictEqual(output, 'call {"during":"call"}')
    })
  )
})

describe("Executor.layerFake", () => {
  it.effect("returns a line about the task", () =>
    Effect.gen(function* () {
      const execution = yield* (yield* service(Executor.layerFake())).execute(task(), at(1))
      assert.deepStrictEqual(execution, {
        output: "Fake result for: do a",
        confidence: 0.9,
        metadata: {}
      })
      const other = yield* service(Executor.layerFake({ output: "Dry run" }))
      assert.strictEqual((yield* other.execute(task(), at(1))).output, "Dry run for: do a")
    })
  )

  it.effect("fails every attempt with success: false", () =>
    Effect.gen(function* () {
      const executor = yield* service(Executor.layerFake({ success: false }))
      for (const attempt of [1, 2, 50]) {
        const error = yield* Effect.flip(executor.execute(task(), at(attempt)))
        assert.deepInclude(error, { _tag: "ExecutionError", reason: "Failed", message: "Fake failure" })
      }
    })
  )

  it.effect("fails the first attempts of each task, and then succeeds", () =>
    Effect.gen(function* () {
      const executor = yield* service(Executor.layerFake({ failures: 2 }))
      yield* Effect.flip(executor.execute(task(), at(1)))
      yield* Effect.flip(executor.execute(task(), at(2)))
      yield* executor.execute(task(), at(3))
      yield* Effect.flip(executor.execute(task({ id: Task.TaskId.make("b") }), at(1)))
    })
  )

  it.effect("takes the configured time, with any result", () =>
    Effect.gen(function* () {
      for (const success of [true, false]) {
        const executor = yield* service(Executor.layerFake({ delay: "10 seconds", success }))
        const fiber = yield* Effect.forkChild(Effect.exit(executor.execute(task(), at(1))))
        yield* TestClock.adjust("9 seconds")
        assert.isUndefined(fiber.pollUnsafe())
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* Fiber.join(fiber))._tag, success ? "Success" : "Failure")
      }
    })
  )

  it.effect("follows a script, which overrides the other options", () =>
    Effect.gen(function* () {
      const executor = yield* service(
        Executor.layerFake({
          success: false,
          script: ({ metadata }, { attempt }) => {
            if (metadata["hard"] !== true) return undefined
            if (attempt === 1) {
              return { _tag: "Fail", error: new ExecutionError({ reason: "Permanent", message: "refused" }) }
            }
            return attempt === 2 ? { _tag: "Succeed", output: "scripted" } : { _tag: "Succeed" }
          }
        })
      )
      const hard = task({ metadata: { hard: true } })
      assert.strictEqual((yield* Effect.flip(executor.execute(hard, at(1)))).message, "refused")
      assert.strictEqual((yield* executor.execute(hard, at(2))).output, "scripted")
      assert.strictEqual((yield* executor.execute(hard, at(3))).output, "Fake result for: do a")
      assert.strictEqual((yield* Effect.flip(executor.execute(task(), at(1)))).message, "Fake failure")
    })
  )

  it.effect("hangs until it is interrupted", () =>
    Effect.gen(function* () {
      const executor = yield* service(Executor.layerFake({ script: () => ({ _tag: "Hang" }) }))
      const fiber = yield* Effect.forkChild(executor.execute(task(), at(1)), { startImmediately: true })
      yield* TestClock.adjust("1000 days")
      assert.isUndefined(fiber.pollUnsafe())
      yield* Fiber.interrupt(fiber)
    })
  )
})

describe("Executor.layerRoute", () => {
  const routed = Executor.layerRoute({
    executors: { writer: named("writer"), coder: named("coder") },
    select: ({ description, metadata }) =>
      /code/i.test(description) ? "coder" : typeof metadata["kind"] === "string" ? metadata["kind"] : undefined,
    otherwise: named("otherwise")
  })

  it.effect("selects by metadata or by any other property of a task, or else uses `otherwise`", () =>
    Effect.gen(function* () {
      const executor = yield* service(routed)
      const output = (options: Partial<Task.Task>) =>
        Effect.map(executor.execute(task(options), at(1)), (execution) => execution.output)
      assert.strictEqual(yield* output({ metadata: { kind: "writer" } }), "writer")
      assert.strictEqual(yield* output({ description: "review this code" }), "coder")
      assert.strictEqual(yield* output({}), "otherwise")
      assert.strictEqual(yield* output({ metadata: { kind: "painter" } }), "otherwise")
      assert.strictEqual(yield* output({ metadata: { kind: "toString" } }), "otherwise")
      assert.strictEqual(yield* output({ metadata: { kind: "__proto__" } }), "otherwise")
    })
  )

  it.effect("builds each executor once, and their shared dependencies once", () =>
    Effect.gen(function* () {
      class Client extends Context.Service<Client, { readonly id: number }>()("test/Client") {}
      let built = 0
      const client = Layer.effect(
        Client,
        Effect.sync(() => ({ id: ++built }))
      )
      const model = (name: string) =>
        Layer.effect(
          Executor.Executor,
          Effect.map(Client, ({ id }) => ({
            execute: () => Effect.succeed(Execution.make({ output: `${name} of client ${id}` }))
          }))
        ).pipe(Layer.provide(client))
      const executor = yield* service(
        Executor.layerRoute({
          executors: { large: model("large"), small: model("small") },
          select: ({ id }) => id,
          otherwise: model("other")
        })
      )
      const ids = ["large", "small", "x"].map((id) => Task.TaskId.make(id))
      const outputs = yield* Effect.forEach(ids, (id) => executor.execute(task({ id }), at(1)))
      assert.deepStrictEqual(
        outputs.map(({ output }) => output),
        ["large of client 1", "small of client 1", "other of client 1"]
      )
      assert.strictEqual(built, 1)
    })
  )
})

describe("Executor.layerEscalation", () => {
  const ladder = [named("cheap"), named("better"), named("best")] as const
  const outputs = (layer: Layer.Layer<Executor.Executor>, attempts: ReadonlyArray<number>) =>
    Effect.flatMap(service(layer), (executor) =>
      Effect.forEach(attempts, (attempt) => Effect.map(executor.execute(task(), at(attempt)), ({ output }) => output))
    )

  it.effect("moves up after each failed attempt, and stays with the last executor", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* outputs(Executor.layerEscalation({ ladder }), [1, 2, 3, 4, 99]), [
        "cheap",
        "better",
        "best",
        "best",
        "best"
      ])
    })
  )

  it.effect("gives each executor the configured number of attempts", () =>
    Effect.gen(function* () {
      const layer = Executor.layerEscalation({ ladder, attemptsEach: 2 })
      assert.deepStrictEqual(yield* outputs(layer, [1, 2, 3, 4, 5, 6, 7]), [
        "cheap",
        "cheap",
        "better",
        "better",
        "best",
        "best",
        "best"
      ])
      const atLeastOne = Executor.layerEscalation({ ladder, attemptsEach: 0 })
      assert.deepStrictEqual(yield* outputs(atLeastOne, [1, 2]), ["cheap", "better"])
    })
  )

  it.effect("in a run, the better executor does what the cheap one failed", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({
        config: { retryPolicy: RetryPolicy.immediate },
        executor: Executor.layerEscalation({ ladder }),
        verifier: Verifier.layerPure(({ id }, { output }) =>
          id === "easy" || output === "better" ? Verification.pass() : Verification.reject("not good enough")
        )
      })
      yield* store.add(tasks("easy", "hard"))
      yield* orchestrator.run
      assert.strictEqual((yield* get(store, "easy")).result, "cheap")
      assert.strictEqual((yield* get(store, "hard")).result, "better")
    })
  )
})
