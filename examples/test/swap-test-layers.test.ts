import {
  ExecutionError,
  Executor,
  Orchestrator,
  RetryPolicy,
  Safety,
  TaskStore,
  Verification,
  Verifier
} from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { summarise } from "../swap-test-layers/program.ts"

/** Scripted layers for the same program: no file, no key, no network, and virtual time. */
const scripted = (script: Executor.FakeOptions["script"]) =>
  Orchestrator.layer({ retryPolicy: RetryPolicy.exponential({ base: "1 hour" }), concurrency: 4 }).pipe(
    Layer.provide([
      Executor.layerFake({ script }),
      Verifier.layerPure((_, { output }) =>
        output.includes("guess") ? Verification.reject("That is a guess.") : Verification.pass()
      ),
      Safety.layerAllowAll
    ]),
    Layer.provideMerge(TaskStore.layerMemory)
  )

describe("summarise", () => {
  it.effect("returns the number of summarised books", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* summarise(["Emma", "Dracula"]), "2 of 2 summarised in 0 s")
    }).pipe(Effect.provide(scripted(undefined)))
  )

  it.effect("retries a rejected summary after the delay", () =>
    Effect.gen(function* () {
      const summary = yield* Effect.forkChild(summarise(["Emma"]))
      yield* Effect.repeat(Effect.yieldNow, { times: 100 })
      yield* TestClock.adjust("2 hours")
      assert.match(yield* Fiber.join(summary), /^1 of 1 summarised in [1-9]\d+ s$/)
    }).pipe(
      Effect.provide(
        scripted((_, { attempt }) => ({ _tag: "Succeed", output: attempt === 1 ? "a guess" : "a summary" }))
      )
    )
  )

  it.effect("continues when one book cannot be summarised", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* summarise(["Emma", "a blank book"]), "1 of 2 summarised in 0 s")
    }).pipe(
      Effect.provide(
        scripted(({ description }) =>
          description.includes("blank")
            ? { _tag: "Fail", error: new ExecutionError({ reason: "Permanent", message: "It has no text." }) }
            : undefined
        )
      )
    )
  )
})
