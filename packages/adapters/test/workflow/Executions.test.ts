import { Executions, TaskActivity, Workflows } from "@baton/adapters/workflow"
import { TaskQueue, TaskStore } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Logger, Option, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Workflow, WorkflowEngine } from "effect/workflow"
import { join } from "node:path"
import { isOfTestClock } from "../../../core/test/testClockWarnings.ts"
import { decide, Drafts, inReview, parts, Publish, statusOf } from "./gate.ts"
import { folder } from "./servers.ts"

const Words = TaskQueue.make({
  name: "words",
  payload: Schema.Struct({ text: Schema.String }),
  result: Schema.Struct({ text: Schema.String })
})

const Shout = Workflow.make("Shout/1", {
  payload: { text: Schema.String, loud: Schema.optionalKey(Schema.Boolean) },
  idempotencyKey: ({ text }) => text,
  success: Schema.String,
  error: Schema.Union([TaskActivity.Failed, Schema.String])
})

const shout = Shout.toLayer(({ text }) =>
  text === "" ? Effect.fail("There is nothing to shout.") : Effect.map(word(text), (result) => `${result.text}!`)
)

const word = (text: string) => TaskActivity.make(Words, { name: "word", payload: { text } })

/** Executes two workflows, one after the other. */
const Announce = Workflow.make("Announce/1", {
  payload: { topic: Schema.String },
  idempotencyKey: ({ topic }) => topic,
  success: Schema.String,
  error: Schema.Union([TaskActivity.Failed, Schema.String])
})

const announce = Announce.toLayer(({ topic }) =>
  Effect.gen(function* () {
    const published = yield* Publish.execute({ topic })
    return yield* Shout.execute({ text: published })
  })
)

const worker = Words.toLayer(
  ({ text }) => (text === "never" ? Effect.never : Effect.succeed({ text: text.toUpperCase() })),
  { onEnd: "log", drainTimeout: 0 }
)

/** A process with workflows on the store of the test. */
const process = Layer.mergeAll(shout, announce, worker, parts()).pipe(
  Layer.provideMerge(Executions.layer),
  Layer.provide(Workflows.layerMemory)
)

const withStore = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provide(effect, TaskStore.layerMemory, { local: true })

const idIn = (workflow: string, id: string) => `${Executions.queueOf(workflow)}/${id}`

const settled = Effect.fnUntraced(function* (workflow: string, id: string) {
  const store = yield* TaskStore.TaskStore
  const task = Option.getOrThrow(yield* store.get(idIn(workflow, id)))
  return Option.getOrThrow(yield* store.awaitSettled(task.id))
})

/** Waits until the step of an execution of `Shout` is being executed. */
const underWay = Effect.fnUntraced(function* (id: string) {
  const store = yield* TaskStore.TaskStore
  let seen = yield* store.awaitChange(-1)
  while (true) {
    const [step] = yield* Executions.steps("Shout/1", id)
    if (step?.task.status === "in_progress") return step.task.id
    seen = yield* store.awaitChange(seen)
  }
})

describe("Executions", () => {
  it.effect("a process without an engine starts an execution, and one with workflows executes it", () =>
    Effect.gen(function* () {
      const { added, id } = yield* Executions.start(Shout, { text: "hello" })
      assert.isTrue(added)
      assert.strictEqual(id, yield* Shout.executionId({ text: "hello" }))
      const store = yield* TaskStore.TaskStore
      const task = Option.getOrThrow(yield* store.get(idIn("Shout/1", id)))
      assert.deepStrictEqual(Executions.waitsFor(task, []), { _tag: "worker" })
      assert.strictEqual(Executions.workflowOf(task.queue), "Shout/1")
      yield* Layer.build(process)
      const ended = yield* settled("Shout/1", id)
      assert.deepStrictEqual([ended.status, ended.result], ["completed", `"HELLO!"`])
      const steps = yield* Executions.steps("Shout/1", id)
      assert.deepStrictEqual(
        steps.map(({ name, task }) => [name, task.queue, task.status]),
        [["word", "words", "completed"]]
      )
      assert.deepStrictEqual(yield* Executions.start(Shout, { text: "hello" }), { id, added: false })
    }).pipe(withStore)
  )

  it.effect("a payload that does not fit is one sentence, as is another payload with the same key", () =>
    Effect.gen(function* () {
      const invalid = yield* Effect.flip(Executions.start(Shout, { text: 1 }))
      assert.strictEqual(
        invalid.message,
        `The payload does not fit the workflow Shout/1: Expected string at ["text"]. Its fields are text, loud.`
      )
      const misspelt = yield* Effect.flip(Executions.start(Shout, { text: "hello", lowd: true }))
      assert.strictEqual(
        misspelt.message,
        `The payload does not fit the workflow Shout/1: Expected no excess property at ["lowd"]. Its fields are text, loud.`
      )
      yield* Executions.start(Shout, { text: "hello" })
      const other = yield* Effect.flip(Executions.start(Shout, { text: "hello", loud: true }))
      assert.strictEqual(other._tag, "TasksRefused")
    }).pipe(withStore)
  )

  it.effect("an execution that the workflow begins itself has a task, which has its result", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* Effect.provide(Shout.execute({ text: "hi" }), process, { local: true }), "HI!")
      const id = yield* Shout.executionId({ text: "hi" })
      yield* Layer.build(process)
      assert.strictEqual((yield* settled("Shout/1", id)).result, `"HI!"`)
    }).pipe(withStore)
  )

  it.effect("an execution that fails is in the dead-letter queue with its reason", () =>
    Effect.gen(function* () {
      yield* Layer.build(process)
      const { id } = yield* Executions.start(Shout, { text: "" })
      const ended = yield* settled("Shout/1", id)
      assert.deepStrictEqual([ended.status, ended.feedback], ["failed", "There is nothing to shout."])
      assert.isNull(Executions.waitsFor(ended, []))
    }).pipe(withStore)
  )

  it.effect("cancelling interrupts an execution and cancels its steps", () =>
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      const engine = Context.get(yield* Layer.build(process), WorkflowEngine.WorkflowEngine)
      const { id } = yield* Executions.start(Shout, { text: "never" })
      const step = yield* underWay(id)
      const task = Option.getOrThrow(yield* store.get(idIn("Shout/1", id)))
      assert.deepStrictEqual(Executions.waitsFor(task, yield* Executions.steps("Shout/1", id)), {
        _tag: "steps",
        ids: [step]
      })
      const running = yield* Effect.forkChild(
        Effect.exit(engine.execute(Shout, { executionId: id, payload: { text: "never" } }))
      )
      assert.isTrue(yield* Executions.cancel("Shout/1", id))
      assert.isFalse(yield* Executions.cancel("Shout/1", id))
      assert.strictEqual(Option.getOrThrow(yield* store.get(step)).status, "cancelled")
      const exit = yield* Fiber.join(running)
      assert.isTrue(Exit.isFailure(exit))
    }).pipe(withStore)
  )

  it.effect("a process that ends leaves its executions to the next one, without an attempt", () =>
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      const { id } = yield* Executions.start(Shout, { text: "never" })
      yield* Effect.scoped(Effect.andThen(Layer.build(process), underWay(id)))
      const left = Option.getOrThrow(yield* store.get(idIn("Shout/1", id)))
      assert.deepStrictEqual([left.status, left.attempts], ["pending", 0])
    }).pipe(withStore)
  )

  it.effect("an execution that waits for a person ends when the person has decided", () =>
    Effect.gen(function* () {
      yield* Layer.build(process)
      const { id } = yield* Executions.start(Publish, { topic: "bees" })
      yield* inReview("bees")
      assert.strictEqual(yield* decide("bees", { _tag: "Approve" }), 1)
      assert.strictEqual((yield* settled("Publish/1", id)).result, `"published: bees 1"`)
    }).pipe(withStore)
  )

  it.effect("an execution within another one is a step of it, with its own steps, and is cancelled with it", () =>
    Effect.gen(function* () {
      yield* Layer.build(process)
      const tree = (id: string) =>
        Effect.map(Executions.steps("Announce/1", id), (steps) =>
          steps.map(({ depth, name, task }) => `${depth} ${name} ${task.status}`)
        )
      const { id } = yield* Executions.start(Announce, { topic: "bees" })
      yield* inReview("bees")
      assert.deepStrictEqual(yield* tree(id), ["0 Publish/1 in_progress", "1 draft in_review"])
      yield* decide("bees", { _tag: "Approve" })
      assert.strictEqual((yield* settled("Announce/1", id)).result, `"PUBLISHED: BEES 1!"`)
      const expected = ["0 Publish/1 completed", "1 draft completed", "0 Shout/1 completed", "1 word completed"]
      assert.deepStrictEqual(yield* tree(id), expected)

      const other = yield* Executions.start(Announce, { topic: "ants" })
      yield* inReview("ants")
      assert.isTrue(yield* Executions.cancel("Announce/1", other.id))
      assert.deepStrictEqual(yield* tree(other.id), ["0 Publish/1 cancelled", "1 draft failed"])
      const publication = yield* Publish.executionId({ topic: "ants" })
      assert.strictEqual((yield* settled("Publish/1", publication)).status, "cancelled")
    }).pipe(withStore)
  )

  it.live("an execution continues when one within it ends after both were suspended, on a durable engine", () =>
    Effect.gen(function* () {
      const filename = join(yield* folder, "workflows.db")
      const durable = Layer.mergeAll(shout, announce, worker, parts()).pipe(
        Layer.provideMerge(Executions.layer),
        Layer.provide(Layer.fresh(Workflows.layerSingle({ filename })))
      )
      yield* Layer.build(durable)
      const { id } = yield* Executions.start(Announce, { topic: "bees" })
      yield* inReview("bees")
      yield* decide("bees", { _tag: "Approve" })
      assert.strictEqual((yield* settled("Announce/1", id)).result, `"PUBLISHED: BEES 1!"`)
    }).pipe(withStore)
  )

  it.effect("a registered workflow that no layer executes is reported in one sentence", () =>
    Effect.gen(function* () {
      const messages: Array<string> = []
      const logger = Logger.make(({ message }) => {
        if (!isOfTestClock(message)) messages.push(String(message))
      })
      const registered = Executions.register({ definitions: [Shout, Publish], layer: shout })
      const filename = join(yield* folder, "workflows.db")
      yield* Layer.build(
        Layer.provide(registered.layerSingle({ filename }), [TaskStore.layerMemory, Logger.layer([logger])])
      )
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(messages, [
        "No layer executes the workflow Publish/1, so its executions wait. Merge what its toLayer returns into the layer of Executions.register, or remove it from the definitions."
      ])
    })
  )

  it.live("one that was cancelled while no process was running does not continue", () =>
    Effect.gen(function* () {
      const filename = join(yield* folder, "workflows.db")
      const durable = () =>
        parts().pipe(
          Layer.provideMerge(Executions.layer),
          Layer.provide(Layer.fresh(Workflows.layerSingle({ filename })))
        )
      const { id } = yield* Executions.start(Publish, { topic: "bees" })
      yield* Effect.scoped(Effect.andThen(Layer.build(durable()), inReview("bees")))
      assert.isTrue(yield* Executions.cancel("Publish/1", id))
      assert.strictEqual(yield* statusOf("bees"), "failed")
      const engine = Context.get(yield* Layer.build(durable()), WorkflowEngine.WorkflowEngine)
      const exit = yield* Effect.exit(engine.execute(Publish, { executionId: id, payload: { topic: "bees" } }))
      assert.include(String(exit), "The execution was cancelled.")
      assert.strictEqual(yield* decide("bees", { _tag: "Approve" }), 0)
      assert.strictEqual((yield* Executions.steps("Publish/1", id))[0]?.task.queue, Drafts.name)
    }).pipe(withStore)
  )
})
