import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Latch, Layer, Logger, Scope } from "effect"
import {
  Execution,
  ExecutionError,
  Executor,
  Hooks,
  Orchestrator,
  type OrchestratorConfig,
  Safety,
  TaskStore,
  Verifier
} from "@baton/core"
import { tasks, yields } from "./harness.ts"
import { isOfTestClock } from "./testClockWarnings.ts"

/** An orchestrator whose parts record when they are closed, next to the events of its runs. */
const recorded = Effect.fnUntraced(function* (
  options: {
    readonly config?: OrchestratorConfig.OrchestratorConfig
    readonly execute?: Effect.Effect<Execution.Execution, ExecutionError>
  } = {}
) {
  const log: Array<string> = []
  const started = yield* Latch.make()
  const note = (line: string) => Effect.sync(() => void log.push(line))
  const closing = (name: string) => Layer.effectDiscard(Effect.addFinalizer(() => note(`${name} closed`)))
  const execute: Effect.Effect<Execution.Execution, ExecutionError> =
    options.execute ?? Effect.succeed(Execution.make({ output: "x" }))
  const layer = Orchestrator.layer(options.config).pipe(
    Layer.provide([
      Executor.layer(() => Effect.andThen(started.open, execute)).pipe(Layer.merge(closing("executor"))),
      Verifier.layerAlwaysPass,
      Safety.layerAllowAll,
      Hooks.layer(({ _tag }) => note(_tag))
    ]),
    Layer.provideMerge(TaskStore.layerMemory.pipe(Layer.merge(closing("store"))))
  )
  return { layer, log, started }
})

describe("a layer that is closed while its orchestrator runs", () => {
  it.effect("stops the run, and the program ends at once", () =>
    Effect.gen(function* () {
      const { layer, log } = yield* recorded()
      const summary = yield* Effect.gen(function* () {
        const orchestrator = yield* Orchestrator.Orchestrator
        const run = yield* Effect.forkChild(orchestrator.runForever)
        yield* yields()
        return run
      }).pipe(Effect.provide(layer), Effect.flatMap(Fiber.join))
      assert.strictEqual(summary.reason._tag, "Stopped")
      assert.deepStrictEqual(log, ["RunStarted", "RunEnded", "executor closed", "store closed"])
    })
  )

  it.effect("stops a run in an outer scope as well, before its parts are closed", () =>
    Effect.gen(function* () {
      const { layer, log, started } = yield* recorded({
        execute: Effect.as(yields(50), Execution.make({ output: "x" }))
      })
      const outer = yield* Scope.make()
      yield* Effect.gen(function* () {
        const orchestrator = yield* Orchestrator.Orchestrator
        const store = yield* TaskStore.TaskStore
        yield* Effect.forkIn(orchestrator.runForever, outer)
        yield* store.add(tasks("a"))
        yield* started.await
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(log, [
        "RunStarted",
        "TaskStarted",
        "Draining",
        "TaskCompleted",
        "RunEnded",
        "executor closed",
        "store closed"
      ])
      yield* Scope.close(outer, Exit.void)
    })
  )

  it.effect("does not wait for running tasks if the program failed, so that its error shows at once", () =>
    Effect.gen(function* () {
      const { layer, log, started } = yield* recorded({ execute: Effect.never })
      const error = yield* Effect.gen(function* () {
        const orchestrator = yield* Orchestrator.Orchestrator
        const store = yield* TaskStore.TaskStore
        yield* Effect.forkChild(orchestrator.runForever)
        yield* store.add(tasks("a"))
        yield* started.await
        return yield* Effect.fail("an assertion failed")
      }).pipe(Effect.provide(layer), Effect.flip)
      assert.strictEqual(error, "an assertion failed")
      assert.deepStrictEqual(log.slice(-4), ["TaskReleased", "RunEnded", "executor closed", "store closed"])
    })
  )

  it.effect("an orchestrator that was closed does not run again", () =>
    Effect.gen(function* () {
      const { layer } = yield* recorded()
      const orchestrator = yield* Effect.provide(Orchestrator.Orchestrator, layer)
      const error = yield* Effect.flip(orchestrator.run)
      assert.strictEqual(error._tag, "RunFailed")
      assert.include(error.message, "closed")
    })
  )
})

describe("Orchestrator.layerWorker", () => {
  const fatal = new ExecutionError({ reason: "Fatal", message: "the key was refused" })

  /** An application of a worker, a server, and a task. */
  const application = Effect.fnUntraced(function* (
    execute: Effect.Effect<Execution.Execution, ExecutionError>,
    options?: Parameters<typeof Orchestrator.layerWorker>[0]
  ) {
    const lines: Array<string> = []
    const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
      if (isOfTestClock(message)) return
      lines.push(`${logLevel}: ${Array.isArray(message) ? message.map(String).join(" ") : String(message)}`)
    })
    const { layer, log, started } = yield* recorded({ execute })
    const server = Layer.effectDiscard(Effect.addFinalizer(() => Effect.sync(() => void log.push("server closed"))))
    const task = Layer.effectDiscard(Effect.flatMap(TaskStore.TaskStore, (store) => store.add(tasks("a"))))
    return {
      lines,
      log,
      started,
      layer: <E>(other: Layer.Layer<never, E, TaskStore.TaskStore> = Layer.empty) =>
        Layer.mergeAll(server, task, other, Orchestrator.layerWorker(options)).pipe(
          Layer.provideMerge(layer),
          Layer.provide(Logger.layer([logger]))
        )
    }
  })

  it.effect("fails the application on a fatal error, after the run has ended", () =>
    Effect.gen(function* () {
      const { layer, lines, log } = yield* application(Effect.fail(fatal))
      const error = yield* Effect.flip(Layer.launch(layer()))
      assert.deepInclude(error, { _tag: "RunFailed", message: "the key was refused" })
      assert.deepStrictEqual(lines, ["Error: The worker failed"])
      assert.isBelow(log.indexOf("RunEnded"), log.indexOf("executor closed"))
      assert.include(log, "server closed")
    })
  )

  it.effect("fails the application when a stop was requested through the store", () =>
    Effect.gen(function* () {
      const { layer, lines, started } = yield* application(Effect.succeed(Execution.make({ output: "x" })))
      const stopping = Layer.effectDiscard(
        Effect.flatMap(TaskStore.TaskStore, (store) => Effect.andThen(started.await, store.request("stop")))
      )
      const error = yield* Effect.flip(Layer.launch(layer(stopping)))
      assert.deepInclude(error, { _tag: "RunFailed", message: "The worker ended: a stop was requested" })
      assert.deepStrictEqual(lines, ["Warn: The worker ended"])
    })
  )

  it.effect("drains before its parts are closed when the application is interrupted", () =>
    Effect.gen(function* () {
      const { layer, lines, log, started } = yield* application(Effect.as(yields(50), Execution.make({ output: "x" })))
      const launched = yield* Effect.forkChild(Layer.launch(layer()))
      yield* started.await
      yield* Fiber.interrupt(launched)
      assert.deepStrictEqual(lines, ["Info: The worker was stopped"])
      const end = log.slice(log.indexOf("Draining"))
      assert.deepStrictEqual(end.slice(0, 3), ["Draining", "TaskCompleted", "RunEnded"])
      assert.isAbove(end.indexOf("executor closed"), 2)
    })
  )

  it.effect("is built at once with onEnd: log, and the application continues after its end", () =>
    Effect.gen(function* () {
      const { layer, lines, log } = yield* application(Effect.fail(fatal), { onEnd: "log" })
      yield* Effect.gen(function* () {
        yield* yields(1000)
        assert.deepStrictEqual(lines, ["Error: The worker failed"])
        assert.include(log, "RunEnded")
        assert.notInclude(log, "server closed")
      }).pipe(Effect.provide(layer()))
    })
  )
})
