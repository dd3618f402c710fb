import * as assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Orchestrator from "../../Orchestrator.ts"
import * as Safety from "../../Safety.ts"
import type { NewTask } from "../../Task.ts"
import * as TaskQueue from "../../TaskQueue.ts"
import { TaskStore } from "../../TaskStore.ts"
import { TasksRefused } from "../../TaskStoreError.ts"
import { type Case, claimNew, complete, type Fixture, it, longLease, settle, task } from "./fixture.ts"

/** The problems for which a call adds nothing, also none of its valid tasks. */
const problems = Effect.fnUntraced(function* ({ store }: Fixture, tasks: ReadonlyArray<NewTask>) {
  const refused = yield* Effect.flip(store.add([task("valid"), ...tasks]))
  assert.ok(refused instanceof TasksRefused)
  assert.deepEqual(yield* store.queues, [])
  for (const { message, taskId } of refused.refusals) {
    assert.ok(message.includes(taskId) && message.length < 300, message)
  }
  return refused.refusals.map(({ problem, taskId }) => `${taskId}: ${problem}`)
})

const circular = () => {
  const value: Record<string, Schema.Json> = {}
  value["self"] = value
  return value
}

/** Values that a program without types can pass, or that types allow, and JSON cannot represent. */
export const notJson = (): ReadonlyArray<Schema.Json> => [
  Number.NaN,
  { n: [Infinity] },
  circular(),
  Object.assign(JSON.parse("{}"), { n: 1n }),
  Object.assign(JSON.parse("{}"), { call: () => 1 }),
  Object.assign(JSON.parse("{}"), { members: new Set([1]) })
]

const Lengths = TaskQueue.make({
  name: "lengths",
  payload: Schema.Struct({ text: Schema.NonEmptyString }),
  result: Schema.Int
})

export const badInput: ReadonlyArray<Case> = [
  it(
    "a payload or metadata that JSON cannot represent is refused",
    Effect.fnUntraced(function* (fixture) {
      const payloads = notJson().map((payload, index) => task(`t${index}`, { payload }))
      assert.deepEqual(
        yield* problems(fixture, payloads),
        payloads.map(({ id }) => `${id}: InvalidPayload`)
      )
      const metadata = notJson().map((value, index) => task(`t${index}`, { metadata: { value } }))
      assert.deepEqual(
        yield* problems(fixture, metadata),
        metadata.map(({ id }) => `${id}: InvalidMetadata`)
      )
    })
  ),
  it(
    "overrides with a number that is not whole, or too small, are refused",
    Effect.fnUntraced(function* (fixture) {
      const invalid = [
        { maxAttempts: Number.NaN },
        { maxAttempts: 0 },
        { maxAttempts: 1.5 },
        { executionTimeoutMillis: Infinity },
        { retryDelayMillis: -1 }
      ].map((overrides, index) => task(`t${index}`, { overrides }))
      assert.deepEqual(
        yield* problems(fixture, invalid),
        invalid.map(({ id }) => `${id}: InvalidOverrides`)
      )
    })
  ),
  it(
    "the name of a queue that is too long, empty or no valid text is refused",
    Effect.fnUntraced(function* (fixture) {
      const invalid = ["", "x".repeat(101), "x".repeat(10_000), "a\u0000", "a\nb", "\ud800"].map((queue, index) =>
        task(`t${index}`, { queue })
      )
      assert.deepEqual(
        yield* problems(fixture, invalid),
        invalid.map(({ id }) => `${id}: InvalidQueueName`)
      )
    })
  )
]

export const badInputInQueues: ReadonlyArray<Case> = [
  it(
    "an unknown queue has no tasks",
    Effect.fnUntraced(function* (fixture) {
      yield* claimNew(fixture, "elsewhere")
      const queues = ["unknown"]
      const { store } = fixture
      assert.deepEqual(yield* store.claim({ queues, limit: 9, owner: "worker", lease: longLease }), [])
      assert.deepEqual((yield* store.list({ queue: "unknown" })).tasks, [])
      assert.deepEqual(yield* store.sweep({ queues, maxAttempts: 1, onCrash: "retry" }), [])
      assert.equal(yield* store.awaitWork({ queues, untilDrained: true }), "drained")
      assert.deepEqual(yield* store.cancel({ status: "pending", queue: "unknown" }), [])
      assert.deepEqual(yield* store.requeue({ status: "failed", queue: "unknown" }), [])
      assert.deepEqual(
        (yield* store.queues).map(({ queue }) => queue),
        ["default"]
      )
    })
  ),
  it(
    "a payload that does not fit the schema of its queue adds nothing, and a result that does not is none",
    Effect.fnUntraced(function* (fixture) {
      yield* Effect.gen(function* () {
        const refused = yield* Effect.flip(
          Lengths.add([
            { id: "valid", payload: { text: "x" } },
            { id: "empty", payload: { text: "" } }
          ])
        )
        assert.ok(refused instanceof TaskQueue.InvalidPayload)
        assert.deepEqual(yield* fixture.store.queues, [])

        yield* Lengths.add([{ id: "a", payload: { text: "x" } }])
        assert.deepEqual(yield* Lengths.result("a"), Option.none())
        const [claimed] = yield* fixture.store.claim({ queues: ["lengths"], limit: 1, owner: "w", lease: longLease })
        assert.ok(claimed)
        yield* settle(fixture, complete(claimed, '"one"'))
        for (const result of [Effect.asVoid(Lengths.await("a")), Effect.asVoid(Lengths.result("a"))]) {
          const none = yield* Effect.flip(result)
          assert.ok(none instanceof TaskQueue.NoResult)
          assert.equal(none.status, "unreadable")
          assert.match(none.message, /does not fit its schema/)
        }
      }).pipe(Effect.provideService(TaskStore, fixture.store))
    })
  ),
  it(
    "a handler that returns nothing fails its task, and a subscriber that never reads holds up no run",
    Effect.fnUntraced(function* (fixture) {
      const parts = Layer.mergeAll(
        // A program without types can return nothing.
        Lengths.layerExecutor(({ text }) => Effect.sync(() => Reflect.get({}, text))),
        Lengths.layerVerifier,
        Safety.layerAllowAll,
        Layer.succeed(TaskStore, fixture.store)
      )
      const config = { queues: [Lengths.name], maxAttempts: 1 }
      const context = yield* Layer.build(Layer.provideMerge(Orchestrator.layer(config), parts))
      yield* Effect.gen(function* () {
        const { events, run } = yield* Orchestrator.Orchestrator
        yield* Effect.forkScoped(
          Stream.runForEach(events({ capacity: 1 }), () => Effect.never),
          { startImmediately: true }
        )
        yield* Lengths.add(["a", "b", "c"].map((id) => ({ id, payload: { text: id } })))
        const { counts, reason } = yield* run
        assert.deepEqual([reason._tag, counts.failed], ["Drained", 3])
        const none = yield* Effect.flip(Lengths.await("a"))
        assert.ok(none instanceof TaskQueue.NoResult)
        assert.equal(none.status, "failed")
        assert.match(none.message, /The result does not fit its schema/)
      }).pipe(Effect.provideContext(context))
    }),
    { inOneSession: true }
  )
]
