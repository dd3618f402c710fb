import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, type LogLevel, Metric, References, Tracer } from "effect"
import { TestClock } from "effect/testing"
import {
  Execution,
  Executor,
  OrchestratorMetrics,
  RetryPolicy,
  TaskStore,
  TaskStoreError,
  Verification,
  Verifier
} from "@baton/core"
import { make, tasks } from "./harness.ts"

const memory = Effect.flatMap(Layer.build(TaskStore.layerMemory), (context) =>
  Effect.provide(TaskStore.TaskStore, context)
)

/** Every span that was opened, in order. */
const makeTracer = () => {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  return { spans, tracer }
}

const parentOf = (span: Tracer.Span) =>
  span.parent._tag === "Some" && span.parent.value._tag === "Span" ? span.parent.value : undefined

/** The name of a span with those of its ancestors, outermost first. */
const path = (span: Tracer.Span): string => {
  const parent = parentOf(span)
  return parent === undefined ? span.name : `${path(parent)} > ${span.name}`
}

const approving = Verifier.layer(() => Effect.succeed(Verification.pass()))

describe("spans", () => {
  it.effect("of a run lie within each other: run, attempt, execution and verification, and the store's calls", () => {
    const { spans, tracer } = makeTracer()
    return Effect.gen(function* () {
      const { orchestrator, store } = yield* make({ verifier: approving })
      yield* store.add(tasks("a", "b"))
      yield* orchestrator.run
      const count = (wanted: string) => spans.filter((span) => path(span) === wanted).length
      assert.strictEqual(count("Orchestrator.run"), 1)
      assert.strictEqual(count("Orchestrator.run > Orchestrator.attempt"), 2)
      assert.strictEqual(count("Orchestrator.run > Orchestrator.attempt > Executor.execute"), 2)
      assert.strictEqual(count("Orchestrator.run > Orchestrator.attempt > Verifier.verify"), 2)
      for (const call of ["claim", "checkpoint", "settle", "awaitWork", "control", "counts"]) {
        assert.isAtLeast(count(`Orchestrator.run > TaskStore.${call}`), 1, call)
      }
      assert.strictEqual(new Set(spans.map((span) => span.traceId)).size, 1)
    }).pipe(Effect.withTracer(tracer))
  })

  it.effect("name the task and its attempt, and the worker", () => {
    const { spans, tracer } = makeTracer()
    return Effect.gen(function* () {
      const { orchestrator, store } = yield* make({
        config: { owner: "laptop", retryPolicy: RetryPolicy.immediate },
        executor: Executor.layerFake({ failures: 1 }),
        verifier: approving
      })
      yield* store.add(tasks("a"))
      yield* orchestrator.run
      const about = (name: string) =>
        spans
          .filter((span) => span.name === name)
          .map(({ attributes }) => [attributes.get("task.id"), attributes.get("task.attempt")])
      const both = [
        ["a", 1],
        ["a", 2]
      ]
      assert.deepStrictEqual(about("Orchestrator.attempt"), both)
      assert.deepStrictEqual(about("Executor.execute"), both)
      assert.deepStrictEqual(about("Verifier.verify"), [["a", 2]])
      const run = spans.find(({ name }) => name === "Orchestrator.run")
      assert.match(String(run?.attributes.get("baton.owner")), /^laptop-/)
    }).pipe(Effect.withTracer(tracer))
  })

  it.effect("have all ended when the run has, and say how", () => {
    const { spans, tracer } = makeTracer()
    return Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make({
        config: { concurrency: 2, maxAttempts: 1, drainTimeout: 0 },
        executor: Executor.layer(({ id }) =>
          id === "a" ? Effect.never : Effect.succeed(Execution.make({ output: "x" }))
        )
      })
      yield* store.add(tasks("a", "b"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("TaskCompleted")
      yield* orchestrator.stop
      yield* Fiber.join(run)
      assert.deepStrictEqual(
        spans.filter(({ status }) => status._tag !== "Ended").map(({ name }) => name),
        []
      )
      const executions = spans.filter(({ name }) => name === "Executor.execute")
      assert.deepStrictEqual(
        executions.map(({ status }) => (status._tag === "Ended" ? status.exit._tag : status._tag)).toSorted(),
        ["Failure", "Success"]
      )
    }).pipe(Effect.withTracer(tracer))
  })

  it.effect("of the user's own code lie within those of its attempt", () => {
    const { spans, tracer } = makeTracer()
    return Effect.gen(function* () {
      const { orchestrator, store } = yield* make({
        executor: Executor.layer(() =>
          Effect.succeed(Execution.make({ output: "x" })).pipe(Effect.withSpan("my request"))
        )
      })
      yield* store.add(tasks("a"))
      yield* orchestrator.run
      const own = spans.find(({ name }) => name === "my request")
      assert.strictEqual(
        own === undefined ? "" : path(own),
        "Orchestrator.run > Orchestrator.attempt > Executor.execute > my request"
      )
    }).pipe(Effect.withTracer(tracer))
  })

  it.effect("are not opened where no tracer is installed", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const { orchestrator, store } = yield* make({
        executor: Executor.layer(() =>
          Effect.map(Effect.option(Effect.currentSpan), (span) => {
            seen.push(span._tag)
            return Execution.make({ output: "x" })
          })
        )
      })
      yield* store.add(tasks("a"))
      yield* orchestrator.run
      assert.deepStrictEqual(seen, ["None"])
    })
  )
})

describe("metrics", () => {
  const outcomes = Effect.forEach(["completed", "retried", "failed", "released"], (outcome) =>
    Effect.map(
      Metric.value(Metric.withAttributes(OrchestratorMetrics.attempts, { outcome })),
      ({ count }) => [outcome, count] as const
    )
  )
  const fresh = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.provideService(effect, Metric.MetricRegistry, new Map())

  it.effect("count how attempts ended", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({
        config: { maxAttempts: 2, retryPolicy: RetryPolicy.immediate, concurrency: 4 },
        executor: Executor.layerFake({
          script: ({ id }, { attempt }) =>
            id.startsWith("bad") || (id === "shaky" && attempt === 1) ? undefined : { _tag: "Succeed" },
          success: false
        })
      })
      yield* store.add(tasks("a", "b", "c", "shaky", "bad-1", "bad-2"))
      yield* orchestrator.run
      assert.deepStrictEqual(Object.fromEntries(yield* outcomes), { completed: 4, retried: 3, failed: 2, released: 0 })
    }).pipe(fresh)
  )

  it.effect("count what was given back", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make({
        config: { drainTimeout: 0 },
        executor: Executor.layer(() => Effect.never)
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("TaskStarted")
      yield* orchestrator.stop
      yield* Fiber.join(run)
      assert.deepStrictEqual(Object.fromEntries(yield* outcomes), { completed: 0, retried: 0, failed: 0, released: 1 })
    }).pipe(fresh)
  )

  it.effect("measure attempts from their start to their durable end", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({ executor: Executor.layerFake({ delay: "2 seconds" }) })
      yield* store.add(tasks("a", "b"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* Effect.repeat(Effect.yieldNow, { times: 50 })
      yield* TestClock.adjust("2 seconds")
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(run)
      const { count, max, min } = yield* Metric.value(OrchestratorMetrics.attemptDuration)
      assert.deepStrictEqual([count, min, max], [2, 2000, 2000])
    }).pipe(fresh)
  )

  it.effect("have a name and a description for exporters", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make()
      yield* store.add(tasks("a"))
      yield* orchestrator.run
      const snapshot = yield* Metric.snapshot
      const names = new Set(snapshot.map(({ id }) => id))
      assert.isTrue(names.has("baton_attempts_total") && names.has("baton_attempt_duration_milliseconds"))
      for (const { description, id } of snapshot) if (id.startsWith("baton_")) assert.isNotEmpty(description ?? "")
    }).pipe(fresh)
  )
})

describe("logs", () => {
  interface Line {
    readonly level: LogLevel.LogLevel
    readonly message: string
    readonly annotations: Readonly<Record<string, unknown>>
  }
  const capture = () => {
    const lines: Array<Line> = []
    const logger = Logger.make<unknown, void>(({ fiber, logLevel, message }) => {
      lines.push({
        level: logLevel,
        message: Array.isArray(message) ? message.map(String).join(" ") : String(message),
        annotations: fiber.getRef(References.CurrentLogAnnotations)
      })
    })
    return { lines, layer: Logger.layer([logger]) }
  }

  const aHookThatFails = { hooks: [() => Effect.fail("no")] }
  const aStoreThatIsAway = Effect.map(memory, (real) => {
    let calls = 0
    return Layer.succeed(TaskStore.TaskStore, {
      ...real,
      settle: (settlements) =>
        Effect.suspend(() =>
          ++calls === 1
            ? Effect.fail(new TaskStoreError({ reason: "Unavailable", message: "connection refused" }))
            : real.settle(settlements)
        )
    })
  })

  const runOne = Effect.fnUntraced(function* (parts: Parameters<typeof make>[0]) {
    const { orchestrator, store } = yield* make(parts)
    yield* store.add(tasks("a"))
    const run = yield* Effect.forkChild(orchestrator.run)
    yield* Effect.repeat(Effect.yieldNow, { times: 200 })
    yield* TestClock.adjust("10 seconds")
    return yield* Fiber.join(run)
  })

  it.effect("are a constant message with annotations: where, and what about", () => {
    const { layer, lines } = capture()
    return Effect.gen(function* () {
      yield* runOne({ ...aHookThatFails, store: yield* aStoreThatIsAway })
      const hook = lines.find(({ message }) => message.startsWith("A hook failed"))
      assert.deepInclude(hook?.annotations, { module: "Hooks", event: "RunStarted" })
      assert.strictEqual(hook?.level, "Warn")
      const store = lines.find(({ message }) => message.startsWith("The store did not answer"))
      assert.deepInclude(store?.annotations, { module: "TaskStore", operation: "settle" })
      assert.strictEqual(store?.level, "Warn")
    }).pipe(Effect.provide(layer))
  })

  it.effect("carry the annotations of the surrounding program", () => {
    const { layer, lines } = capture()
    return Effect.gen(function* () {
      yield* runOne({ store: yield* aStoreThatIsAway })
      assert.strictEqual(lines[0]?.annotations["service"], "nightly")
    }).pipe(Effect.annotateLogs({ service: "nightly" }), Effect.provide(layer))
  })

  it.effect("below the configured level are not written, neither the run's own nor an executor's", () => {
    const { layer, lines } = capture()
    return Effect.gen(function* () {
      const chatty = Executor.layer(() =>
        Effect.gen(function* () {
          yield* Effect.logDebug("debug")
          yield* Effect.logInfo("info")
          yield* Effect.logError("error")
          return Execution.make({ output: "x" })
        })
      )
      yield* runOne({ executor: chatty, store: yield* aStoreThatIsAway, config: { logLevel: "Error" } })
      assert.deepStrictEqual(
        lines.map(({ message }) => message),
        ["error"]
      )
      lines.length = 0
      yield* runOne({ executor: chatty, config: { logLevel: "Debug" } })
      assert.includeMembers(
        lines.map(({ message }) => message),
        ["debug", "info", "error"]
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect("contain no description, no output and no feedback", () => {
    const { layer, lines } = capture()
    return Effect.gen(function* () {
      yield* runOne({
        ...aHookThatFails,
        store: yield* aStoreThatIsAway,
        config: { logLevel: "All", maxAttempts: 1 },
        executor: Executor.layer(() => Effect.succeed(Execution.make({ output: "secret output" }))),
        verifier: Verifier.layerPure(() => Verification.reject("secret feedback"))
      })
      assert.isNotEmpty(lines)
      assert.notMatch(JSON.stringify(lines), /secret|do a/)
    }).pipe(Effect.provide(layer))
  })
})
