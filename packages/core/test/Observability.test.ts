import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Logger, type LogLevel, Metric, References, Tracer } from "effect"
import { TestClock } from "effect/testing"
import {
  Execution,
  ExecutionError,
  Executor,
  OrchestratorMetrics,
  RetryPolicy,
  Safety,
  Task,
  TaskStoreError,
  Verification,
  Verifier
} from "@baton/core"
import { layerOf, make, memoryStore, tasks, yields } from "./harness.ts"
import { isOfTestClock } from "./testClockWarnings.ts"

/** All spans, in the order in which they were opened. */
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
  it.effect("of a task are a separate trace, linked to the run, whose trace has the calls of the store", () => {
    const { spans, tracer } = makeTracer()
    return Effect.gen(function* () {
      const { orchestrator, store } = yield* make({ verifier: approving })
      yield* store.add(tasks("a", "b"))
      yield* orchestrator.run
      const count = (wanted: string) => spans.filter((span) => path(span) === wanted).length
      assert.strictEqual(count("invoke_workflow baton"), 1)
      assert.strictEqual(count("baton.task"), 2)
      assert.strictEqual(count("baton.task > invoke_agent"), 2)
      assert.strictEqual(count("baton.task > baton.verify"), 2)
      for (const call of ["claim", "checkpoint", "settle", "control", "counts"]) {
        assert.isAtLeast(count(`invoke_workflow baton > TaskStore.${call}`), 1, call)
      }
      assert.isFalse(spans.some(({ name }) => name.includes("await")))
      assert.strictEqual(new Set(spans.map((span) => span.traceId)).size, 3)
      const [run, ...others] = spans
      for (const { links, name } of others) {
        if (name === "baton.task")
          assert.deepStrictEqual(
            links.map(({ span }) => span.spanId),
            [run?.spanId]
          )
      }
    }).pipe(Effect.withTracer(tracer))
  })

  it.effect("have the task, the attempt, the worker and the outcome as attributes", () => {
    const { spans, tracer } = makeTracer()
    return Effect.gen(function* () {
      const { orchestrator, store } = yield* make({
        config: { owner: "laptop", retryPolicy: RetryPolicy.immediate },
        executor: Executor.layer((_, { attempt }) =>
          Effect.succeed(
            Execution.make({
              output: `${attempt}`,
              usage: { inputTokens: 5, outputTokens: 2, cacheReadTokens: 3, cacheWriteTokens: 0, costUsd: 0.25 }
            })
          )
        ),
        verifier: Verifier.layer((_, { output }) =>
          Effect.succeed(output === "1" ? Verification.reject("no", { confidence: 0.5 }) : Verification.pass())
        )
      })
      yield* store.add(tasks("a"))
      yield* orchestrator.run
      const about = (name: string) =>
        spans
          .filter((span) => span.name === name)
          .map(({ attributes }) => [attributes.get("baton.task.id"), attributes.get("baton.task.attempt")])
      const both = [
        ["a", 1],
        ["a", 2]
      ]
      assert.deepStrictEqual(about("baton.task"), both)
      assert.deepStrictEqual(about("invoke_agent"), both)
      assert.deepStrictEqual(about("baton.verify"), both)
      const run = spans.find(({ name }) => name.startsWith("invoke_workflow"))
      assert.match(String(run?.attributes.get("baton.owner")), /^laptop-/)
      const attempts = spans.filter(({ name }) => name === "baton.task")
      assert.deepStrictEqual(
        attempts.map(({ attributes }) => attributes.get("baton.task.outcome")),
        ["rejected", "accepted"]
      )
      assert.deepInclude(Object.fromEntries(attempts[0]?.attributes ?? []), {
        "gen_ai.usage.input_tokens": 8,
        "gen_ai.usage.output_tokens": 2,
        "gen_ai.usage.cache_read.input_tokens": 3,
        "baton.cost.usd": 0.25
      })
      const verdicts = spans.flatMap(({ events }) => events)
      assert.deepStrictEqual(
        verdicts.map(([name, , attributes]) => [name, attributes?.["gen_ai.evaluation.score.label"]]),
        [
          ["gen_ai.evaluation.result", "fail"],
          ["gen_ai.evaluation.result", "pass"]
        ]
      )
    }).pipe(Effect.withTracer(tracer))
  })

  it.effect("of a later attempt continue the trace of the first one, and link to it", () => {
    const { spans, tracer } = makeTracer()
    return Effect.gen(function* () {
      const { orchestrator, store } = yield* make({
        config: { retryPolicy: RetryPolicy.immediate },
        executor: Executor.layerFake({ failures: 2 })
      })
      yield* store.add(tasks("a"))
      yield* orchestrator.run
      const [first, ...later] = spans.filter(({ name }) => name === "baton.task")
      assert.strictEqual(later.length, 2)
      for (const span of later) {
        assert.strictEqual(span.traceId, first?.traceId)
        assert.strictEqual(span.links[0]?.span.spanId, first?.spanId)
      }
    }).pipe(Effect.withTracer(tracer))
  })

  it.effect("continue a trace after a restart, because the store keeps its context", () => {
    const before = makeTracer()
    const after = makeTracer()
    const rejecting = Verifier.layer(() => Effect.succeed(Verification.reject("no")))
    return Effect.gen(function* () {
      const shared = yield* memoryStore
      const parts = { store: layerOf(shared) }
      yield* shared.add(tasks("a"))
      // The first process ends between the attempts: it is interrupted while it waits for the second one.
      const one = yield* make({
        ...parts,
        config: { retryPolicy: RetryPolicy.exponential({ base: "1 hour" }) },
        verifier: rejecting
      }).pipe(Effect.withTracer(before.tracer))
      const run = yield* Effect.forkChild(Effect.withTracer(one.orchestrator.run, before.tracer))
      yield* one.journal.next("TaskRetried")
      yield* Fiber.interrupt(run)
      yield* TestClock.adjust("3 hours")
      const two = yield* make({ ...parts, verifier: approving }).pipe(Effect.withTracer(after.tracer))
      yield* Effect.withTracer(two.orchestrator.run, after.tracer)
      const first = before.spans.find(({ name }) => name === "baton.task")
      const second = after.spans.find(({ name }) => name === "baton.task")
      assert.strictEqual(second?.attributes.get("baton.task.attempt"), 2)
      assert.isDefined(first)
      assert.strictEqual(second?.traceId, first?.traceId)
      assert.strictEqual(second?.links[0]?.span.spanId, first?.spanId)
    })
  })

  it.effect("have all ended when the run has, with its exit", () => {
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
      const executions = spans.filter(({ name }) => name === "invoke_agent")
      assert.deepStrictEqual(
        executions.map(({ status }) => (status._tag === "Ended" ? status.exit._tag : status._tag)).toSorted(),
        ["Failure", "Success"]
      )
    }).pipe(Effect.withTracer(tracer))
  })

  it.effect("of the user's code are children of the span of the attempt", () => {
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
      assert.strictEqual(own === undefined ? "" : path(own), "baton.task > invoke_agent > my request")
    }).pipe(Effect.withTracer(tracer))
  })

  it.effect("are not opened without a tracer", () =>
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
  const about = { owner: "worker", queue: "default" }
  const outcomes = Effect.forEach(["completed", "retried", "failed", "released"], (outcome) =>
    Effect.map(
      Metric.value(Metric.withAttributes(OrchestratorMetrics.attempts, { ...about, outcome })),
      ({ count }) => [outcome, count] as const
    )
  )
  const fresh = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.provideService(effect, Metric.MetricRegistry, new Map())

  it.effect("count attempts by outcome", () =>
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

  it.effect("have the owner of the configuration and the queue of each task", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({ config: { owner: "mailer", queues: ["mail", "bills"] } })
      yield* store.add(
        ["mail", "mail", "bills"].map((queue, n) => Task.makeNew({ id: `${n}`, description: "x", queue }))
      )
      yield* orchestrator.run
      const completed = (queue: string) =>
        Metric.value(
          Metric.withAttributes(OrchestratorMetrics.attempts, { owner: "mailer", queue, outcome: "completed" })
        )
      assert.deepStrictEqual([(yield* completed("mail")).count, (yield* completed("bills")).count], [2, 1])
    }).pipe(fresh)
  )

  it.effect("count released attempts", () =>
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

  it.effect("measure attempts from their start until they are durable", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({ executor: Executor.layerFake({ delay: "2 seconds" }) })
      yield* store.add(tasks("a", "b"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* Effect.repeat(Effect.yieldNow, { times: 50 })
      yield* TestClock.adjust("2 seconds")
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(run)
      const { count, max, min } = yield* Metric.value(Metric.withAttributes(OrchestratorMetrics.attemptDuration, about))
      assert.deepStrictEqual([count, min, max], [2, 2, 2])
    }).pipe(fresh)
  )

  it.effect("count usage and retries, and measure verifications", () =>
    Effect.gen(function* () {
      const usage = (costUsd: number | null) => ({
        inputTokens: 5,
        outputTokens: 2,
        cacheReadTokens: 3,
        cacheWriteTokens: 0,
        costUsd
      })
      const tried = new Set<string>()
      const { orchestrator, store } = yield* make({
        executor: Executor.layer(({ id }) =>
          tried.has(id)
            ? Effect.succeed(Execution.make({ output: "x", usage: usage(id === "a" ? 0.25 : null) }))
            : Effect.suspend(() => {
                tried.add(id)
                return Effect.fail(new ExecutionError({ reason: "Transient", message: "busy" }))
              })
        ),
        verifier: Verifier.layer(() => Effect.as(Effect.sleep("2 seconds"), Verification.pass()))
      })
      yield* store.add(tasks("a", "b"))
      const run = yield* Effect.forkChild(orchestrator.run)
      for (let second = 0; second < 20; second++) {
        yield* Effect.repeat(Effect.yieldNow, { times: 50 })
        yield* TestClock.adjust("1 second")
      }
      yield* Fiber.join(run)
      const counted = (metric: Metric.Counter<number>, attributes: Record<string, string> = {}) =>
        Effect.map(Metric.value(Metric.withAttributes(metric, { ...about, ...attributes })), ({ count }) => count)
      assert.strictEqual(yield* counted(OrchestratorMetrics.tokens, { type: "input" }), 10)
      assert.strictEqual(yield* counted(OrchestratorMetrics.tokens, { type: "cache_read" }), 6)
      assert.strictEqual(yield* counted(OrchestratorMetrics.cost), 0.25)
      assert.strictEqual(yield* counted(OrchestratorMetrics.transientRetries, { of: "execution" }), 2)
      const { count, sum } = yield* Metric.value(Metric.withAttributes(OrchestratorMetrics.verificationDuration, about))
      assert.strictEqual(count, 2)
      // The delays of retries have jitter, so the clock stops between two milliseconds.
      assert.closeTo(sum, 4, 1e-6)
    }).pipe(fresh)
  )

  it.effect("report the state of the circuit breaker", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({
        config: { maxAttempts: 1 },
        executor: Executor.layerFake({ success: false }),
        safety: Safety.layerCircuitBreaker({ maxConsecutiveFailures: 1, coolDown: "1 hour" })
      })
      yield* store.add(tasks("a", "b"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* Effect.repeat(Effect.yieldNow, { times: 200 })
      const states = yield* Effect.forEach(["closed", "open", "half-open"], (state) =>
        Effect.map(
          Metric.value(Metric.withAttributes(OrchestratorMetrics.circuit, { owner: about.owner, state })),
          ({ value }) => value
        )
      )
      assert.deepStrictEqual(states, [0, 1, 0])
      yield* Fiber.interrupt(run)
    }).pipe(fresh)
  )

  it.effect("have a name and a description for exporters", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make()
      yield* store.add(tasks("a"))
      yield* orchestrator.run
      const snapshot = yield* Metric.snapshot
      const names = new Set(snapshot.map(({ id }) => id))
      assert.isTrue(names.has("baton_attempts_total") && names.has("baton_attempt_duration_seconds"))
      for (const { description, id } of snapshot) if (id.startsWith("baton_")) assert.isNotEmpty(description ?? "")
    }).pipe(fresh)
  )

  it.effect("do not measure or count tasks that were claimed ahead and released", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1000 days")
      const gate = yield* Latch.make()
      const { journal, orchestrator, store } = yield* make({
        config: { prefetch: 2 },
        executor: Executor.layer(() => Effect.as(gate.await, Execution.make({ output: "x" })))
      })
      yield* store.add(tasks("a", "b", "c"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("TaskStarted")
      yield* orchestrator.pause
      yield* gate.open
      yield* orchestrator.resume
      yield* Fiber.join(run)
      const { max } = yield* Metric.value(Metric.withAttributes(OrchestratorMetrics.attemptDuration, about))
      assert.isAtMost(max, 1000)
      assert.deepStrictEqual(Object.fromEntries(yield* outcomes), { completed: 3, retried: 0, failed: 0, released: 0 })
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )

  it.effect("report no claimed tasks when the run has ended", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({ executor: Executor.layerFake({ delay: "15 seconds" }) })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* yields()
      yield* TestClock.adjust("11 seconds")
      yield* yields()
      assert.strictEqual((yield* Metric.value(Metric.withAttributes(OrchestratorMetrics.held, about))).value, 1)
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(run)
      assert.strictEqual((yield* Metric.value(Metric.withAttributes(OrchestratorMetrics.held, about))).value, 0)
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )

  it.effect("count lost leases", () =>
    Effect.gen(function* () {
      const real = yield* memoryStore
      const { journal, orchestrator, store } = yield* make({
        executor: Executor.layer(() => Effect.never),
        store: layerOf({
          ...real,
          extend: (leases) =>
            Effect.succeed({ lost: leases.map((lease) => ({ ...lease, status: "in_progress" as const })) })
        })
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.runForever)
      yield* journal.next("TaskStarted")
      yield* TestClock.adjust("10 seconds")
      yield* journal.next("LeaseLost")
      yield* orchestrator.stop
      yield* Fiber.join(run)
      assert.strictEqual((yield* Metric.value(Metric.withAttributes(OrchestratorMetrics.leasesLost, about))).count, 1)
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
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
  const aStoreThatIsAway = Effect.map(memoryStore, (real) => {
    let calls = 0
    return layerOf({
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

  it.effect("have a constant message, and annotations for the module and the details", () => {
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

  it.effect("below the configured level are dropped, those of the run and those of an executor", () => {
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

  it.effect("about hooks are subject to the configured level as well", () => {
    const lines: Array<unknown> = []
    const logger = Logger.make<unknown, void>(({ message }) => {
      if (!isOfTestClock(message)) lines.push(message)
    })
    return Effect.gen(function* () {
      const { orchestrator, store } = yield* make({ config: { logLevel: "None" }, hooks: [() => Effect.fail("no")] })
      yield* store.add(tasks("a"))
      yield* orchestrator.run
      assert.deepStrictEqual(lines, [])
    }).pipe(Effect.provide(Logger.layer([logger])))
  })
})
