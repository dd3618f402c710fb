import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Latch, Layer, Scope } from "effect"
import {
  Execution,
  Executor,
  Hooks,
  Orchestrator,
  type OrchestratorConfig,
  Safety,
  TaskStore,
  Verifier
} from "@baton/core"
import { tasks, yields } from "./harness.ts"

/** An orchestrator whose parts record when they are closed, next to the events of its runs. */
const recorded = Effect.fnUntraced(function* (
  options: {
    readonly config?: OrchestratorConfig.OrchestratorConfig
    readonly execute?: Effect.Effect<Execution.Execution>
  } = {}
) {
  const log: Array<string> = []
  const started = yield* Latch.make()
  const note = (line: string) => Effect.sync(() => void log.push(line))
  const closing = (name: string) => Layer.effectDiscard(Effect.addFinalizer(() => note(`${name} closed`)))
  const execute = options.execute ?? Effect.succeed(Execution.make({ output: "x" }))
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

  it.effect("does not wait for running tasks when the program failed, so that its error shows at once", () =>
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
