import { assert, describe, it } from "@effect/vitest"
import { Executor, Safety, TaskStore } from "@baton/core"
import { type BatonConfig, defineConfig } from "../../src/settings/defineConfig.ts"

/** The compiler checks that the configuration type rejects these. */
const rejected = () => [
  // @ts-expect-error a duration has a unit
  defineConfig({ timeout: "90" }),
  // @ts-expect-error a choice is one of its names
  defineConfig({ onCrash: "ignore" }),
  // @ts-expect-error `config` stands for the layer that the file contains
  defineConfig({ executor: "config" }),
  // @ts-expect-error a file does not choose itself
  defineConfig({ profile: "nightly" }),
  // @ts-expect-error a profile has the same settings
  defineConfig({ profiles: { nightly: { concurency: 2 } } })
]

describe("defineConfig", () => {
  it("takes every kind of value, and layers", () => {
    const config: BatonConfig = {
      store: TaskStore.layerMemory,
      executor: Executor.layerFake(),
      verifier: "always-pass",
      safety: Safety.layerAllowAll,
      hooks: [],
      concurrency: 4,
      maxCost: 2.5,
      timeout: "90s",
      minConfidence: 0.8,
      quiet: true,
      metricsPort: "0.0.0.0:9464",
      webhook: "https://example.com",
      logLevel: "debug",
      profiles: { nightly: { metricsPort: 9464, store: "memory:" } }
    }
    assert.strictEqual(defineConfig(config), config)
    assert.isFunction(rejected)
  })
})
