import { TaskActivity, Workflows } from "@baton/adapters/workflow"
import { ExecutionError, TaskQueue, TaskStore } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Option, Schema } from "effect"
import { Workflow, type WorkflowEngine } from "effect/workflow"

const Lengths = TaskQueue.make({
  name: "lengths",
  payload: Schema.Struct({ text: Schema.String }),
  result: Schema.Struct({ length: Schema.Int })
})

const Doubles = TaskQueue.make({
  name: "doubles",
  payload: Schema.Struct({ length: Schema.Int }),
  result: Schema.Struct({ double: Schema.Int })
})

const DoubleLength = Workflow.make("DoubleLength/1", {
  payload: { text: Schema.String },
  idempotencyKey: ({ text }) => text,
  success: Schema.Int,
  error: TaskActivity.Failed
})

const doubleLength = DoubleLength.toLayer(({ text }) =>
  Effect.gen(function* () {
    const { length } = yield* TaskActivity.make(Lengths, { name: "length", payload: { text } })
    const { double } = yield* TaskActivity.make(Doubles, { name: "double", payload: { length } })
    return double
  })
)

/** The handlers of both queues, and how often they were called. */
class Calls extends Context.Service<Calls, { lengths: number; doubles: number }>()("Calls") {}

const layer = <E>(
  handlers: {
    readonly length?: TaskQueue.Handler<{ readonly text: string }, { readonly length: number }>
  } = {},
  workflow: Layer.Layer<never, E, WorkflowEngine.WorkflowEngine | TaskStore.TaskStore> = doubleLength
) => {
  const workers = Layer.unwrap(
    Effect.map(Calls, (calls) =>
      Layer.merge(
        Lengths.toLayer(
          (payload, context, task) => {
            calls.lengths++
            return handlers.length?.(payload, context, task) ?? Effect.succeed({ length: payload.text.length })
          },
          { onEnd: "log", maxAttempts: 1, concurrency: 4 }
        ),
        Doubles.toLayer(
          ({ length }) => {
            calls.doubles++
            return Effect.succeed({ double: 2 * length })
          },
          { onEnd: "log" }
        )
      )
    )
  )
  return Layer.mergeAll(workflow, workers).pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        Workflows.layerMemory,
        TaskStore.layerMemory,
        Layer.sync(Calls, () => ({ lengths: 0, doubles: 0 }))
      )
    )
  )
}

const status = (id: string) =>
  Effect.map(
    TaskStore.TaskStore.use((store) => store.get(id)),
    Option.match({ onNone: () => "missing", onSome: ({ status }) => status })
  )

describe("TaskActivity", () => {
  it.live("a step is a task, and its result that of the step", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* DoubleLength.execute({ text: "hello" }), 10)
      const execution = yield* DoubleLength.executionId({ text: "hello" })
      const id = Lengths.taskId(TaskActivity.stepId(DoubleLength, execution, "length"))
      assert.strictEqual(yield* status(id), "completed")
      const task = Option.getOrThrow(yield* TaskStore.TaskStore.use((store) => store.get(id)))
      assert.deepStrictEqual(task.metadata, { workflow: "DoubleLength/1", execution, step: "length" })
      // The same execution again: nothing is done.
      assert.strictEqual(yield* DoubleLength.execute({ text: "hello" }), 10)
      assert.deepStrictEqual({ ...(yield* Calls) }, { lengths: 1, doubles: 1 })
    }).pipe(Effect.provide(layer(), { local: true }))
  )

  it.live("a task that failed fails its step, with the reason", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(DoubleLength.execute({ text: "hello" }))
      assert.strictEqual(error._tag, "NoResult")
      assert.include(error.message, "too short")
      assert.strictEqual((yield* Calls).doubles, 0)
    }).pipe(
      Effect.provide(
        layer({ length: () => Effect.fail(new ExecutionError({ reason: "Permanent", message: "too short" })) }),
        { local: true }
      )
    )
  )

  it.live("a cancelled task fails its step, and interrupting an execution cancels its tasks", () =>
    Effect.gen(function* () {
      const begun = yield* Effect.service(Begun)
      const store = yield* TaskStore.TaskStore
      const idOf = (text: string) =>
        Effect.map(DoubleLength.executionId({ text }), (execution) => ({
          execution,
          id: Lengths.taskId(TaskActivity.stepId(DoubleLength, execution, "length"))
        }))

      const cancelled = yield* Effect.forkChild(Effect.exit(DoubleLength.execute({ text: "cancelled" })))
      yield* Deferred.await(begun.get("cancelled"))
      yield* store.cancel({ ids: [(yield* idOf("cancelled")).id] })
      const exit = yield* Fiber.join(cancelled)
      assert.isTrue(Exit.isFailure(exit))

      const interrupted = yield* Effect.forkChild(Effect.exit(DoubleLength.execute({ text: "interrupted" })))
      yield* Deferred.await(begun.get("interrupted"))
      const { execution, id } = yield* idOf("interrupted")
      yield* TaskActivity.interrupt(DoubleLength, execution)
      assert.strictEqual(yield* status(id), "cancelled")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(interrupted)))
      assert.strictEqual((yield* Calls).doubles, 0)
    }).pipe(Effect.provide(Layer.provideMerge(layer({ length: hanging }), Begun.layer), { local: true }))
  )

  it.live("a step that fails cancels the tasks of the steps beside it", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(DoubleLength.execute({ text: "hello" }))
      assert.strictEqual(error._tag, "NoResult")
      const execution = yield* DoubleLength.executionId({ text: "hello" })
      assert.strictEqual(
        yield* status(Lengths.taskId(TaskActivity.stepId(DoubleLength, execution, "slow"))),
        "cancelled"
      )
    }).pipe(
      Effect.provide(
        layer(
          {
            length: ({ text }) =>
              text === "slow"
                ? Effect.never
                : Effect.fail(new ExecutionError({ reason: "Permanent", message: "too short" }))
          },
          DoubleLength.toLayer(({ text }) =>
            Effect.as(
              Effect.all(
                [
                  TaskActivity.make(Lengths, { name: "slow", payload: { text: "slow" } }),
                  TaskActivity.make(Lengths, { name: "length", payload: { text } })
                ],
                { concurrency: "unbounded" }
              ),
              0
            )
          )
        ),
        { local: true }
      )
    )
  )

  it.live("a workflow that was edited while it ran fails a step whose payload changed, and names the task", () =>
    Effect.gen(function* () {
      const execution = yield* DoubleLength.executionId({ text: "hello" })
      // What the workflow did before it was edited.
      yield* Lengths.add([{ id: TaskActivity.stepId(DoubleLength, execution, "length"), payload: { text: "before" } }])
      const error = yield* Effect.flip(DoubleLength.execute({ text: "hello" }))
      assert.strictEqual(error._tag, "TasksRefused")
      assert.include(error.message, "belongs to another task")
    }).pipe(Effect.provide(layer(), { local: true }))
  )
})

/** Opens when a task with this text has begun. */
class Begun extends Context.Service<Begun, { readonly get: (text: string) => Deferred.Deferred<void> }>()("Begun") {
  static readonly shared = new Map<string, Deferred.Deferred<void>>()
  static readonly get = (text: string) => {
    const known = Begun.shared.get(text) ?? Deferred.makeUnsafe<void>()
    Begun.shared.set(text, known)
    return known
  }
  static readonly layer = Layer.succeed(Begun, { get: Begun.get })
}

const hanging: TaskQueue.Handler<{ readonly text: string }, { readonly length: number }> = ({ text }) =>
  Effect.andThen(Deferred.succeed(Begun.get(text), undefined), Effect.never)
