/**
 * The contract of `TaskStore`, as a suite of tests for any store.
 *
 * **Example** (a store held against the contract)
 *
 * ```ts unchecked: the store is yours
 * import { TaskStoreSuite } from "@baton/core/testing"
 * import { it } from "@effect/vitest"
 * import * as MyStore from "./MyStore.ts"
 *
 * TaskStoreSuite.suite(it, { name: "my store", layer: MyStore.layer })
 * ```
 *
 * @since 0.1.0
 */
import * as assert from "node:assert/strict"
import type { Vitest } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { TaskStore } from "../TaskStore.ts"
import { adding } from "./internal/adding.ts"
import { administration } from "./internal/administration.ts"
import { checkpoints } from "./internal/checkpoints.ts"
import { claiming } from "./internal/claiming.ts"
import { control } from "./internal/control.ts"
import { dependencies } from "./internal/dependencies.ts"
import { hazards } from "./internal/hazards.ts"
import { leases } from "./internal/leases.ts"
import { ledger } from "./internal/ledger.ts"
import { Commands } from "./internal/model.ts"
import * as ModelCheck from "./internal/modelCheck.ts"
import { reading } from "./internal/reading.ts"
import { settling } from "./internal/settling.ts"
import { sweeping } from "./internal/sweeping.ts"
import { text } from "./internal/text.ts"
import { transferring } from "./internal/transferring.ts"
import { waiting } from "./internal/waiting.ts"
import type { Capabilities, Case, World } from "./internal/world.ts"

/** @since 0.1.0 */
export type { Capabilities } from "./internal/world.ts"

/**
 * What a suite is run on.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Names the store in the tests' names. */
  readonly name: string
  /** Builds a store with nothing in it; built anew for every test, for some twice: two builds must not share their tasks. */
  readonly layer: Layer.Layer<TaskStore, unknown>
  /** Lets milliseconds pass for the store. Default `TestClock.adjust`, or real waiting when `virtualTime` is off. */
  readonly advance?: ((millis: number) => Effect.Effect<void>) | undefined
  /** What the store cannot do: its tests are shown as skipped. Default: it can do everything. */
  readonly capabilities?: Partial<Capabilities> | undefined
}

const everything: Capabilities = { virtualTime: true, loneSurrogates: true }

const groups: ReadonlyArray<readonly [name: string, cases: ReadonlyArray<Case>]> = [
  ["adding", adding],
  ["claiming", claiming],
  ["leases", leases],
  ["settling", settling],
  ["checkpoints", checkpoints],
  ["sweeping", sweeping],
  ["dependencies", dependencies],
  ["waiting", waiting],
  ["ledger", ledger],
  ["control", control],
  ["reading", reading],
  ["administration", administration],
  ["text", text],
  ["transfer", transferring],
  ["withstanding", hazards]
]

/** Real time is dear, so a second of the suite is shorter there; still long enough to tell a late store from a wrong one. */
const realSecond = 250

const testTimeout = 30_000

/**
 * Registers the suite. Time is virtual (`TestClock`) unless the store has a clock of its own (`virtualTime: false`);
 * the cases then run on the real clock and wait.
 *
 * @category constructors
 * @since 0.1.0
 */
export const suite = (it: Vitest.Methods, options: Options): void => {
  const capabilities = { ...everything, ...options.capabilities }
  const unknown = Object.keys(capabilities).filter((name) => !Object.hasOwn(everything, name))
  assert.deepEqual(unknown, [], "every capability is one that the suite knows")

  const { virtualTime } = capabilities
  const test = virtualTime ? it.effect : it.live
  const second = virtualTime ? 1_000 : realSecond
  const advance = options.advance ?? (virtualTime ? TestClock.adjust : Effect.sleep)

  const inWorld = (run: (world: World) => Effect.Effect<void, unknown, Scope.Scope>) =>
    Effect.gen(function* () {
      const store = yield* TaskStore
      yield* run({
        store,
        another: Effect.map(Layer.build(Layer.fresh(options.layer)), Context.get(TaskStore)),
        pass: (seconds) => advance(seconds * second),
        seconds: (seconds) => Duration.millis(seconds * second)
      })
    }).pipe(Effect.provide(options.layer, { local: true }))

  it.describe(`TaskStore (${options.name})`, () => {
    for (const [name, cases] of groups) {
      it.describe(name, () => {
        for (const { name, needs, run } of cases) {
          const register = needs === undefined || capabilities[needs] ? test : test.skip
          register(name, () => inWorld(run), testTimeout)
        }
      })
    }

    test.prop(
      "any sequence of commands does what the state machine says",
      [Commands],
      ([commands]) => inWorld((world) => ModelCheck.check(world, virtualTime, commands)),
      { timeout: virtualTime ? testTimeout : 4 * testTimeout, arbitrary: { runs: virtualTime ? 200 : 20, size: 50 } }
    )
  })
}
