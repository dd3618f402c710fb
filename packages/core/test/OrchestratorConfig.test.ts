import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { OrchestratorBuilder, OrchestratorConfig, TaskStore, Executor } from "@baton/core"
import { make } from "./harness.ts"

const messageOf = (config: OrchestratorConfig.OrchestratorConfig) =>
  Effect.map(Effect.flip(OrchestratorConfig.resolve(config)), ({ message }) => message)

describe("OrchestratorConfig", () => {
  it.effect("fills in the defaults, and reads durations as Duration.Input", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* OrchestratorConfig.resolve({}), OrchestratorConfig.defaults)
      const config = yield* OrchestratorConfig.resolve({
        concurrency: 8,
        leaseDuration: "10 seconds",
        drainTimeout: 500,
        executionTimeout: Duration.infinity,
        owner: undefined
      })
      assert.deepStrictEqual(
        [config.concurrency, config.prefetch, config.owner, Duration.toMillis(config.leaseDuration)],
        [8, undefined, "worker", 10_000]
      )
      assert.strictEqual(Duration.toMillis(config.drainTimeout), 500)
      assert.strictEqual(Duration.toMillis(config.executionTimeout), Infinity)
    })
  )

  it.effect("retryOnFailure: false means a single attempt", () =>
    Effect.gen(function* () {
      const config = yield* OrchestratorConfig.resolve({ retryOnFailure: false, maxAttempts: 5 })
      assert.strictEqual(config.maxAttempts, 1)
      assert.strictEqual((yield* OrchestratorConfig.resolve({ maxAttempts: Infinity })).maxAttempts, Infinity)
    })
  )

  const wholeNumber = "a whole number of at least 1"
  const aDuration = 'a duration of at least 0, such as "30 seconds" or a number of milliseconds'
  const invalid: ReadonlyArray<readonly [OrchestratorConfig.OrchestratorConfig, string]> = [
    [{ concurrency: 0 }, `concurrency is 0. Expected ${wholeNumber}.`],
    [{ concurrency: -1 }, `concurrency is -1. Expected ${wholeNumber}.`],
    [{ concurrency: Number.NaN }, `concurrency is NaN. Expected ${wholeNumber}.`],
    [{ concurrency: 1.5 }, `concurrency is 1.5. Expected ${wholeNumber}.`],
    [{ concurrency: Infinity }, `concurrency is Infinity. Expected ${wholeNumber}.`],
    [{ prefetch: Number.NaN }, `prefetch is NaN. Expected ${wholeNumber}.`],
    [{ maxAttempts: Number.NaN }, `maxAttempts is NaN. Expected ${wholeNumber}, or Infinity.`],
    [{ maxCostPerTask: 0 }, "maxCostPerTask is 0. Expected a number above 0."],
    [{ maxTokensPerTask: Number.NaN }, "maxTokensPerTask is NaN. Expected a number above 0."],
    [{ leaseDuration: 0 }, "leaseDuration is 0. Expected a finite duration of at least 1 millisecond."],
    [
      { leaseDuration: "Infinity" },
      'leaseDuration is "Infinity". Expected a finite duration of at least 1 millisecond.'
    ],
    [{ drainTimeout: -1 }, `drainTimeout is -1. Expected ${aDuration}.`],
    [{ executionTimeout: Number.NaN }, `executionTimeout is NaN. Expected ${aDuration}.`]
  ]
  for (const [config, message] of invalid) {
    it.effect(`refuses ${message.slice(0, message.indexOf("."))}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* messageOf(config), message)
        const error = yield* Effect.flip(make({ config }))
        assert.strictEqual(error._tag, "InvalidConfig")
      })
    )
  }

  it.effect("reports every invalid setting", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* messageOf({ concurrency: 0, pauseBetweenTasks: "-5 millis" }),
        `pauseBetweenTasks is "-5 millis". Expected ${aDuration}.\nconcurrency is 0. Expected ${wholeNumber}.`
      )
    })
  )

  it.effect("an invalid setting fails the layer of a builder as well", () =>
    Effect.gen(function* () {
      const layer = OrchestratorBuilder.make()
        .withTaskStore(TaskStore.layerMemory)
        .withExecutor(Executor.layerFake())
        .withConfig({ concurrency: 0 })
        .build()
      const error = yield* Effect.flip(Effect.provide(Effect.void, layer))
      assert.strictEqual(error._tag, "InvalidConfig")
    })
  )
})
