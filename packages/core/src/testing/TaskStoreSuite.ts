/**
 * The contract of `TaskStore`, as a suite of tests for any store.
 *
 * A store is tested at places: a file, a schema, a prefix. The suite opens the store at an empty place for each case, closes
 * it and opens it again between the operations of the case, and where several processes can share a place, it makes the
 * operations through two connections in turn. So a store passes only if it really keeps its results.
 *
 * **Example** (a store held against the contract)
 *
 * ```ts unchecked: the store is yours
 * import { TaskStoreSuite } from "@baton/core/testing"
 * import { it } from "@effect/vitest"
 * import * as MyStore from "./MyStore.ts"
 *
 * TaskStoreSuite.suite(it, {
 *   name: "my store",
 *   makePlace: MyStore.temporaryFile,
 *   open: (filename) => MyStore.layer({ filename })
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as assert from "node:assert/strict"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import type { TaskStore } from "../TaskStore.ts"
import { adding } from "./internal/adding.ts"
import { administration } from "./internal/administration.ts"
import { badInput, badInputInQueues } from "./internal/badInput.ts"
import { batches, batchesWithBudgets, noBatches } from "./internal/batches.ts"
import { budgets, noBudgets } from "./internal/budgets.ts"
import { checkpoints } from "./internal/checkpoints.ts"
import { claiming } from "./internal/claiming.ts"
import * as Connections from "./internal/connections.ts"
import { control } from "./internal/control.ts"
import { dependencies } from "./internal/dependencies.ts"
import type { Case, Fixture } from "./internal/fixture.ts"
import { failing, withoutFailing } from "./internal/failing.ts"
import { hazards } from "./internal/hazards.ts"
import { keys, withoutKeys } from "./internal/keys.ts"
import { leases } from "./internal/leases.ts"
import { ledger } from "./internal/ledger.ts"
import { Commands } from "./internal/model.ts"
import * as ModelCheck from "./internal/modelCheck.ts"
import { concurrency, noConcurrency } from "./internal/concurrency.ts"
import { noPauses, pauses, pausesWithKeys } from "./internal/pauses.ts"
import { noRateShares, rateShares } from "./internal/rateShares.ts"
import { noProgress, progress } from "./internal/progress.ts"
import { queues } from "./internal/queues.ts"
import { reading } from "./internal/reading.ts"
import { noRevisions, revising } from "./internal/revising.ts"
import { noReviews, reviews } from "./internal/reviews.ts"
import { settling } from "./internal/settling.ts"
import { starting, withoutStarts } from "./internal/starting.ts"
import { sweeping } from "./internal/sweeping.ts"
import { text } from "./internal/text.ts"
import { transferring } from "./internal/transferring.ts"
import { usageOfQueues, usageOfRevised } from "./internal/usage.ts"
import { waiting } from "./internal/waiting.ts"
import { workers } from "./internal/workers.ts"

/**
 * What distinguishes stores. Everything else in the suite is the contract.
 *
 * @category models
 * @since 0.1.0
 */
export interface Capabilities {
  /** Time passes for the store only when the test says so. Off for a store with its own clock. Default on. */
  readonly virtualTime: boolean
  /**
   * How a place can be opened.
   *
   * - `shared` (the default): by several processes at a time
   * - `exclusive`: by one process at a time; leases and stop requests end when it closes the place
   * - `once`: closing a place deletes its tasks
   */
  readonly places: "shared" | "exclusive" | "once"
  /** The store supports concurrency keys. Off: it has to refuse tasks that have one. Default on. */
  readonly concurrencyKeys: boolean
  /** The store keeps the budgets of queues. Off for a driver without `budgets`, whose tests are then skipped. Default on. */
  readonly budgets: boolean
  /** The store can change the work of stored tasks. Off for a driver without `revise`: it has to refuse. Default on. */
  readonly revisions: boolean
  /** The store distinguishes tasks that have started from those that are only claimed. Off for a driver without `start`. Default on. */
  readonly starts: boolean
  /** The store can fail tasks that wait for others. Off for a driver without `failWaiting`: it has to refuse. Default on. */
  readonly dependentFailures: boolean
  /** The store holds tasks for review. Off for a driver without `decide`, whose tests are then skipped. Default on. */
  readonly reviews: boolean
  /** The store keeps the pauses of queues. Off for a driver without `pauses`, whose tests are then skipped. Default on. */
  readonly pauses: boolean
  /**
   * The concurrency of running workers can be set, and processes share rate limits. Off for a driver without `texts`, whose tests
   * are then skipped. Default on.
   */
  readonly texts: boolean
  /** The store keeps the progress of attempts. Off for a driver without `progress`, whose tests are then skipped. Default on. */
  readonly progress: boolean
  /** The store keeps the journal of batches. Off for a driver without `batches`, whose tests are then skipped. Default on. */
  readonly batches: boolean
}

/**
 * What a suite is run on.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<Place> {
  /** Names the store in the tests' names. */
  readonly name: string
  /** Makes an empty place that is removed with the scope. No two places share tasks. */
  readonly makePlace: Effect.Effect<Place, unknown, Scope.Scope>
  /** Opens the store at a place. The suite builds this layer several times for a place. */
  readonly open: (place: Place) => Layer.Layer<TaskStore, unknown>
  /** Lets milliseconds pass for the store. Default `TestClock.adjust`, or real waiting when `virtualTime` is off. */
  readonly advance?: ((millis: number) => Effect.Effect<void>) | undefined
  readonly capabilities?: Partial<Capabilities> | undefined
  /** The number of random sequences of commands that are tried. Default 25, or 6 when `virtualTime` is off. */
  readonly sequences?: number | undefined
}

/**
 * Registers the tests of a suite, each of them an effect in its own scope. `it.effect` and `it.live` of `@effect/vitest`
 * are testers.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tester {
  (name: string, test: () => Effect.Effect<void, unknown, Scope.Scope>, timeout: number): void
  /** Registers a property that holds for every value of the schemas. */
  readonly prop: <A>(
    name: string,
    schemas: [Schema.Schema<A>],
    test: (values: readonly [A]) => Effect.Effect<void, unknown, Scope.Scope>,
    options: {
      readonly timeout: number
      readonly arbitrary: { readonly runs: number; readonly size: number }
    }
  ) => void
}

/**
 * What the suite needs of a test runner. `it` of `@effect/vitest` is one.
 *
 * @category models
 * @since 0.1.0
 */
// Not a type of `@effect/vitest`: that would have to be a peer dependency, with which `npm install` can fail to end.
export interface TestRunner {
  /** Groups the tests that `register` registers. */
  readonly describe: (name: string, register: () => void) => unknown
  /** Runs tests with `TestClock`. */
  readonly effect: Tester
  /** Runs tests with the real clock. */
  readonly live: Tester
}

const defaultCapabilities: Capabilities = {
  virtualTime: true,
  places: "shared",
  concurrencyKeys: true,
  budgets: true,
  revisions: true,
  starts: true,
  dependentFailures: true,
  reviews: true,
  pauses: true,
  texts: true,
  progress: true,
  batches: true
}

const groupsOf = ({
  batches: keepsBatches,
  budgets: keepsBudgets,
  texts: keepsTexts,
  concurrencyKeys,
  dependentFailures,
  revisions,
  starts,
  reviews: holdsReviews,
  pauses: keepsPauses,
  progress: keepsProgress
}: Capabilities): ReadonlyArray<readonly [string, ReadonlyArray<Case>]> => [
  ["adding", adding],
  ["bad input", badInput],
  ["bad input in queues", badInputInQueues],
  ["queues", queues],
  ["claiming", claiming],
  concurrencyKeys ? ["concurrency keys", keys] : ["concurrency keys (not supported)", withoutKeys],
  ["leases", leases],
  starts ? ["starting", starting] : ["starting (each claimed task is started)", withoutStarts],
  ["settling", settling],
  ["checkpoints", checkpoints],
  ["sweeping", sweeping],
  ["dependencies", dependencies],
  dependentFailures ? ["failing dependents", failing] : ["failing dependents (not supported)", withoutFailing],
  ["waiting", waiting],
  ["ledger", ledger],
  ["control", control],
  ["reading", reading],
  ["workers", workers],
  ["administration", administration],
  revisions ? ["revising", revising] : ["revising (skipped: the store cannot)", noRevisions],
  ["usage", revisions ? [...usageOfQueues, ...usageOfRevised] : usageOfQueues],
  ["text", text],
  ["transfer", transferring],
  ["known failures of queues", hazards],
  keepsBudgets ? ["budgets", budgets] : ["budgets (skipped: the store keeps none)", noBudgets],
  holdsReviews ? ["reviews", reviews] : ["reviews (skipped: the store holds none)", noReviews],
  keepsPauses
    ? ["pauses", concurrencyKeys ? [...pauses, ...pausesWithKeys] : pauses]
    : ["pauses (skipped: the store keeps none)", noPauses],
  keepsTexts
    ? ["concurrency of workers", concurrency]
    : ["concurrency of workers (skipped: the store cannot)", noConcurrency],
  keepsTexts
    ? ["shares of rate limits", rateShares]
    : ["shares of rate limits (skipped: the store cannot)", noRateShares],
  keepsProgress ? ["progress", progress] : ["progress (skipped: the store keeps none)", noProgress],
  keepsBatches
    ? ["batches", keepsBudgets ? [...batches, ...batchesWithBudgets] : batches]
    : ["batches (skipped: the store keeps none)", noBatches]
]

/**
 * The length of a second on the real clock, in milliseconds. A busy machine can be late for a case, which is then repeated
 * with longer seconds. A store that breaks the contract fails at each length.
 */
const realSeconds = [250, 1_000, 4_000]

/** Ends a case that hangs. A busy machine takes many times as long as a quiet one. */
const testTimeout = 600_000

/** A place is first reopened after one, two or three writes, a different number in neighbouring cases. */
const reopenAfterWrites = (index: number) => 1 + (index % 3)

/** Opening a server's store takes some 20 milliseconds. */
const reopenInModelCheck = 8

/**
 * A promise of the contract, and an effect that fails when the store breaks it.
 *
 * @category models
 * @since 0.1.0
 */
export interface ContractCase {
  readonly group: string
  readonly name: string
  readonly run: Effect.Effect<void, unknown, Scope.Scope>
}

/**
 * The cases of the suite as effects, for another test runner. Run each in its own scope, with a `TestClock` if time is
 * virtual.
 *
 * @category constructors
 * @since 0.1.0
 */
export const cases = <Place>(options: Options<Place>): ReadonlyArray<ContractCase> => {
  const capabilities = capabilitiesOf(options)
  const { places } = capabilities
  return groupsOf(capabilities).flatMap(([group, cases]) =>
    cases.map(({ inOneSession, name, run }, index) => ({
      group,
      name,
      run: withFixture(options, inOneSession && places === "exclusive" ? 0 : reopenAfterWrites(index), run)
    }))
  )
}

/**
 * Registers the suite. Time is virtual (`TestClock`) unless the store has its own clock (`virtualTime: false`);
 * the cases then run on the real clock and wait.
 *
 * @category constructors
 * @since 0.1.0
 */
export const suite = <Place>(it: TestRunner, options: Options<Place>): void => {
  const { concurrencyKeys, dependentFailures, reviews, revisions, starts, virtualTime } = capabilitiesOf(options)
  const test = virtualTime ? it.effect : it.live
  const sequences = options.sequences ?? (virtualTime ? 25 : 6)
  it.describe(`TaskStore (${options.name})`, () => {
    // First, because it takes longest where cases are tested side by side.
    test.prop(
      "any sequence of commands does what the state machine says",
      [Commands],
      ([commands]) =>
        withFixture(options, reopenInModelCheck, (fixture) =>
          ModelCheck.check(
            fixture,
            { concurrencyKeys, dependentFailures, reviews, revisions, starts, virtualTime },
            commands
          )
        ),
      { timeout: testTimeout * Math.max(1, sequences / 25), arbitrary: { runs: sequences, size: 50 } }
    )

    for (const [group, ofGroup] of Map.groupBy(cases(options), ({ group }) => group)) {
      it.describe(group, () => {
        for (const { name, run } of ofGroup) test(name, () => run, testTimeout)
      })
    }
  })
}

const capabilitiesOf = ({ capabilities = {} }: Pick<Options<never>, "capabilities">): Capabilities => {
  const unknown = Object.keys(capabilities).filter((name) => !Object.hasOwn(defaultCapabilities, name))
  assert.deepEqual(unknown, [], "every capability is one that the suite knows")
  return { ...defaultCapabilities, ...capabilities }
}

const withFixture = <Place>(
  options: Options<Place>,
  reopenAfter: number,
  run: (fixture: Fixture) => Effect.Effect<void, unknown, Scope.Scope>
) => {
  const { places, virtualTime } = capabilitiesOf(options)
  const advance = options.advance ?? (virtualTime ? TestClock.adjust : Effect.sleep)
  const withSecond = (second: number) =>
    Effect.gen(function* () {
      const newPlace = Effect.map(options.makePlace, options.open)
      const store = yield* Connections.make(yield* newPlace, {
        connections: places === "shared" ? 2 : 1,
        reopenAfterWrites: places === "once" ? 0 : reopenAfter,
        keepsLeases: places === "shared"
      })
      yield* run({
        store,
        another: Effect.flatMap(newPlace, Connections.open),
        advance: (seconds) => advance(seconds * second),
        seconds: (seconds) => Duration.millis(seconds * second)
      })
    })
  if (virtualTime) return withSecond(1_000)
  return realSeconds
    .map((second) => Effect.scoped(withSecond(second)))
    .reduce((shorter, longer) =>
      Effect.catchCause(shorter, (cause) => (Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause) : longer))
    )
}
