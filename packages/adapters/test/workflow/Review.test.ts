import { TaskActivity, Workflows } from "@baton/adapters/workflow"
import { TaskStore } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Option } from "effect"
import { TestClock } from "effect/testing"
import { decide, Drafts, inReview, parts, Publish, statusOf, taskIdOf } from "./gate.ts"

const memory = Layer.merge(Workflows.layerMemory, TaskStore.layerMemory)
const layer = (options?: { readonly review: boolean }) => Layer.provideMerge(parts(options), memory)

describe("Review.gate", () => {
  it.effect("suspends the execution until a person approves", () =>
    Effect.gen(function* () {
      const execution = yield* Publish.execute({ topic: "bees" }, { discard: true })
      yield* inReview("bees")
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(Option.getOrThrow(yield* Publish.poll(execution))._tag, "Suspended")
      assert.strictEqual(yield* decide("bees", { _tag: "Approve" }), 1)
      assert.strictEqual(yield* Publish.execute({ topic: "bees" }), "published: bees 1")
    }).pipe(Effect.provide(layer(), { local: true }))
  )

  it.effect("a comment is the feedback of the next attempt, whose result is reviewed again", () =>
    Effect.gen(function* () {
      const published = yield* Effect.forkChild(Publish.execute({ topic: "bees" }))
      yield* inReview("bees")
      yield* decide("bees", { _tag: "Reject", comment: "Longer, please." })
      yield* inReview("bees", 2)
      yield* decide("bees", { _tag: "Approve" })
      assert.strictEqual(yield* Fiber.join(published), "published: bees 2 Longer, please.")
    }).pipe(Effect.provide(layer(), { local: true }))
  )

  it.effect("returns the text of the person who edits", () =>
    Effect.gen(function* () {
      const published = yield* Effect.forkChild(Publish.execute({ topic: "bees" }))
      yield* inReview("bees")
      yield* decide("bees", { _tag: "Edit", text: `{"text":"wasps"}` })
      assert.strictEqual(yield* Fiber.join(published), "published: wasps")
    }).pipe(Effect.provide(layer(), { local: true }))
  )

  it.effect("fails with the comment of the person who gives up, and with an edited text that does not fit", () =>
    Effect.gen(function* () {
      const rejected = yield* Effect.forkChild(Publish.execute({ topic: "bees" }))
      yield* inReview("bees")
      yield* decide("bees", { _tag: "Reject", comment: "No.", giveUp: true })
      assert.include((yield* Effect.flip(Fiber.join(rejected))).message, "No.")
      const edited = yield* Effect.forkChild(Publish.execute({ topic: "ants" }))
      yield* inReview("ants")
      yield* decide("ants", { _tag: "Edit", text: "wasps" })
      assert.include((yield* Effect.flip(Fiber.join(edited))).message, "does not fit its schema")
    }).pipe(Effect.provide(layer(), { local: true }))
  )

  it.effect("a task that no person decided about fails the step", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Publish.execute({ topic: "bees" }))
      assert.strictEqual(error._tag, "NotReviewed")
      assert.include(error.message, "Start the worker of the queue with { review: true }.")
    }).pipe(Effect.provide(layer({ review: false }), { local: true }))
  )

  it.effect("interrupting the execution gives up the task, and a decision then changes nothing", () =>
    Effect.gen(function* () {
      const published = yield* Effect.forkChild(Effect.exit(Publish.execute({ topic: "bees" })))
      yield* inReview("bees")
      yield* TaskActivity.interrupt(Publish, yield* Publish.executionId({ topic: "bees" }))
      assert.isTrue(Exit.isFailure(yield* Fiber.join(published)))
      assert.strictEqual(yield* statusOf("bees"), "failed")
      assert.strictEqual(yield* decide("bees", { _tag: "Approve" }), 0)
    }).pipe(Effect.provide(layer(), { local: true }))
  )

  it.effect("the task names its execution, its step and the gate", () =>
    Effect.gen(function* () {
      const execution = yield* Publish.execute({ topic: "bees" }, { discard: true })
      yield* inReview("bees")
      const id = yield* taskIdOf("bees")
      const task = Option.getOrThrow(yield* TaskStore.TaskStore.use((store) => store.get(id)))
      assert.strictEqual(task.queue, Drafts.name)
      assert.deepStrictEqual(task.metadata, { workflow: "Publish/1", execution, step: "draft", gate: "review" })
    }).pipe(Effect.provide(layer(), { local: true }))
  )
})
