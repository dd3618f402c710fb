import { NodeServices } from "@effect/platform-node"
import { TaskStore, TaskStoreError } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Exit, Fiber, Layer, Ref } from "effect"
import { TestClock, TestConsole } from "effect/testing"
import { run } from "../../src/main.ts"
import { locate, StoreSchemes } from "../../src/run/stores.ts"

const unavailable = new TaskStoreError({
  reason: "Unavailable",
  message: "The server at db does not accept connections."
})

/** Runs a command line with a store that can be opened after it has failed `failures` times. */
const start = Effect.fnUntraced(function* (command: string, failures: number, error = unavailable) {
  const opened = yield* Ref.make(0)
  const closed = yield* Ref.make(0)
  const store = Layer.unwrap(
    Effect.gen(function* () {
      const attempt = yield* Ref.updateAndGet(opened, (count) => count + 1)
      yield* Effect.addFinalizer(() => Ref.update(closed, (count) => count + 1))
      return attempt > failures ? TaskStore.layerMemory : Layer.effect(TaskStore.TaskStore, Effect.fail(error))
    })
  )
  const services = Layer.mergeAll(
    Layer.succeed(StoreSchemes, new Map([["test", { example: "test:", open: () => store }]])),
    ConfigProvider.layer(ConfigProvider.fromUnknown({ BATON_STORE: "test:" })),
    NodeServices.layer
  )
  const args = [command, "--executor", "fake", "--no-verify", "--queue", "work"]
  const fiber = yield* Effect.forkChild(run(args).pipe(Effect.provide(services, { local: true })))
  return { fiber, opened, closed }
})

const until = (condition: Effect.Effect<boolean>) =>
  Effect.repeat(Effect.andThen(TestClock.adjust("1 second"), condition), { until: (isTrue) => isTrue })

describe("a store that is unavailable", () => {
  it.effect("is awaited by a worker, which closes what each attempt opened and says so once", () =>
    Effect.gen(function* () {
      const { closed, fiber, opened } = yield* start("worker", 5)
      yield* until(Effect.map(Ref.get(opened), (count) => count === 6))
      assert.strictEqual(yield* Ref.get(closed), 5)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(yield* Ref.get(closed), 6)
      const lines = (yield* TestConsole.errorLines).map(String)
      assert.strictEqual(lines.filter((line) => line.includes("The worker waits for its store.")).length, 1)
      assert.strictEqual(lines.filter((line) => line.includes("The store is available.")).length, 1)
    }).pipe(Effect.provide(TestConsole.layer))
  )

  it.effect("ends a run at once", () =>
    Effect.gen(function* () {
      const { fiber, opened } = yield* start("run", 5)
      assert.isTrue(Exit.isFailure(yield* Fiber.await(fiber)))
      assert.strictEqual(yield* Ref.get(opened), 1)
    }).pipe(Effect.provide(TestConsole.layer))
  )

  it.effect("is not awaited if it will never be usable", () =>
    Effect.gen(function* () {
      const wrong = new TaskStoreError({ reason: "Unusable", message: "The password is wrong." })
      const { fiber, opened } = yield* start("worker", 5, wrong)
      assert.isTrue(Exit.isFailure(yield* Fiber.await(fiber)))
      assert.strictEqual(yield* Ref.get(opened), 1)
    }).pipe(Effect.provide(TestConsole.layer))
  )
})

describe("a store with a misspelt kind", () => {
  it.effect("is refused with the one that was probably meant", () =>
    Effect.gen(function* () {
      const { message } = yield* Effect.flip(locate("sqlit:tasks.db"))
      assert.include(message, "Did you mean sqlite:tasks.db?")
    })
  )
})
