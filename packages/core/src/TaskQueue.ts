/**
 * A queue of tasks with a typed payload and a typed result, for programs that add tasks and use their results.
 *
 * A queue is a name and two schemas. Adding tasks and awaiting results need a `TaskStore` and no worker, so they can be in
 * another process, or on another machine, than the worker of the queue.
 *
 * **Example** (add a task, and await its result)
 *
 * ```ts
 * import { ExecutionError, TaskQueue, TaskStore } from "@baton/core"
 * import { Effect, Schema } from "effect"
 *
 * const Lengths = TaskQueue.make({
 *   name: "lengths",
 *   payload: Schema.Struct({ text: Schema.String }),
 *   result: Schema.Struct({ length: Schema.Int.check(Schema.isGreaterThan(0)) })
 * })
 *
 * const worker = Lengths.toLayer(({ text }) => Effect.succeed({ length: text.length }), { onEnd: "log" })
 *
 * export const program = Effect.gen(function* () {
 *   yield* Lengths.add([{ id: "hello", payload: { text: "hello" } }])
 *   const { length } = yield* Lengths.await("hello")
 *   return length
 * }).pipe(Effect.provide(worker), Effect.provide(TaskStore.layerMemory))
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { AttemptContext } from "./AttemptContext.ts"
import * as Execution from "./Execution.ts"
import { ExecutionError } from "./ExecutionError.ts"
import { Executor } from "./Executor.ts"
import * as Orchestrator from "./Orchestrator.ts"
import type { InvalidConfig, OrchestratorConfig } from "./OrchestratorConfig.ts"
import * as Safety from "./Safety.ts"
import type { SafetyStop } from "./SafetyStop.ts"
import { idInQueue, isTerminal, localId, type NewTask, QueueName, type Task, type TaskId } from "./Task.ts"
import { type AddResult, TaskStore } from "./TaskStore.ts"
import type { TaskStoreError, TasksRefused } from "./TaskStoreError.ts"
import * as Verification from "./Verification.ts"
import * as Verifier from "./Verifier.ts"

/**
 * A task of a typed queue, to be added.
 *
 * @category models
 * @since 0.1.0
 */
export interface NewQueueTask<Payload> extends Omit<NewTask, "id" | "queue" | "description" | "payload"> {
  /** Identifies the task within its queue. Adding an id again with an equal payload adds nothing. */
  readonly id: string
  readonly payload: Payload
}

/**
 * A payload does not fit the schema of its queue. No task of the call was added.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidPayload extends Schema.TaggedError<InvalidPayload>()("InvalidPayload", {
  queue: Schema.String,
  /** The task's id within its queue. */
  id: Schema.String,
  message: Schema.String
}) {}

/**
 * There is no result: the task is in the dead-letter queue, was cancelled, does not exist, or was completed with an output
 * that does not fit the schema of its queue, as a former version of the program may have written it.
 *
 * @category errors
 * @since 0.1.0
 */
export class NoResult extends Schema.TaggedError<NoResult>()("NoResult", {
  queue: Schema.String,
  /** The task's id within its queue. */
  id: Schema.String,
  status: Schema.Literals(["failed", "cancelled", "missing", "unreadable"]),
  message: Schema.String
}) {}

/**
 * What `toLayer` makes a worker of: the settings of an orchestrator, except its queue.
 *
 * @category models
 * @since 0.1.0
 */
export interface WorkerOptions extends Omit<OrchestratorConfig, "queues" | "verifyResults"> {
  /** What happens when the worker ends by itself; see `Orchestrator.layerWorker`. Default `fail`. */
  readonly onEnd?: "fail" | "log" | undefined
  /** Sends each result that fits its schema to review, where it waits for a person. Default: false. */
  readonly review?: boolean | undefined
}

/**
 * A queue of tasks whose payloads and results have schemas.
 *
 * @category models
 * @since 0.1.0
 */
export interface TaskQueue<Payload, Result> {
  readonly name: string

  /** The schema of results, for programs that keep them elsewhere. */
  readonly resultSchema: Schema.Codec<Result, unknown>

  /** The id that a task of this queue has in the store, for `dependsOn` and for the methods of `TaskStore`. */
  readonly taskId: (id: string) => TaskId

  /**
   * Adds tasks. The payload is what identifies the work: an id that exists with another payload is refused. All or nothing.
   */
  readonly add: (
    tasks: ReadonlyArray<NewQueueTask<Payload>>
  ) => Effect.Effect<AddResult, TaskStoreError | TasksRefused | InvalidPayload, TaskStore>

  /**
   * Waits until the task is settled, by whatever process, and returns its result. Fails when there will be none until
   * somebody requeues the task.
   */
  readonly await: (id: string) => Effect.Effect<Result, TaskStoreError | NoResult, TaskStore>

  /** The result of the task, if it is completed. Fails as `await` does. None while the task is not settled. */
  readonly result: (id: string) => Effect.Effect<Option.Option<Result>, TaskStoreError | NoResult, TaskStore>

  /**
   * An executor whose handler gets the decoded payload and returns the result. It executes tasks of this queue only. A task
   * whose payload does not fit the schema goes to the dead-letter queue.
   */
  readonly layerExecutor: <R = never>(handler: Handler<Payload, Result, R>) => Layer.Layer<Executor, never, R>

  /**
   * Accepts outputs that are results of this queue in JSON, and rejects others with the message of the schema, which the
   * next attempt gets as feedback. `toLayer` includes it. Combine it with executors that write text, as a model does.
   */
  readonly layerVerifier: Layer.Layer<Verifier.Verifier>

  /**
   * A resident worker of this queue alone, for as long as the layer is in scope. One process can have the workers of several
   * queues on one store, each with its own settings. For limits or another verifier, build it from `layerExecutor`,
   * `layerVerifier`, `Orchestrator.layer({ queues: [name] })` and `Orchestrator.layerWorker`.
   */
  readonly toLayer: <R = never>(
    handler: Handler<Payload, Result, R>,
    options?: WorkerOptions
  ) => Layer.Layer<never, InvalidConfig | Orchestrator.RunFailed, TaskStore | R>
}

/**
 * Does the work of a task. It can be called again for the same task, so it has to be safe to repeat.
 *
 * @category models
 * @since 0.1.0
 */
export type Handler<Payload, Result, R = never> = (
  payload: Payload,
  context: AttemptContext,
  task: Task
) => Effect.Effect<Result, ExecutionError | SafetyStop, R>

/**
 * Defines a queue. Nothing is stored by this: a queue exists once it has tasks.
 *
 * `describe` makes the description of a task from its payload: what people and verifiers read. It can change without
 * changing the identity of a task. Default: the payload as JSON.
 *
 * Throws on a name that no queue can have.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <
  Payload extends Schema.Codec<unknown, unknown>,
  Result extends Schema.Codec<unknown, unknown>
>(options: {
  readonly name: string
  readonly payload: Payload
  readonly result: Result
  readonly describe?: ((payload: Payload["Type"]) => string) | undefined
}): TaskQueue<Payload["Type"], Result["Type"]> => {
  const name = QueueName.make(options.name)
  const encodePayload = Schema.encodeUnknownEffect(Schema.toCodecJson(options.payload))
  const decodePayload = Schema.decodeUnknownEffect(Schema.toCodecJson(options.payload))
  const resultText = Schema.fromJsonString(Schema.toCodecJson(options.result))
  const encodeResult = Schema.encodeUnknownEffect(resultText)
  const decodeResult = Schema.decodeUnknownEffect(resultText, { errors: "all" })
  const taskId = (id: string) => idInQueue(name, id)

  const newTask = Effect.fnUntraced(function* ({ id, payload, ...rest }: NewQueueTask<Payload["Type"]>) {
    const encoded = yield* Effect.mapError(
      encodePayload(payload),
      ({ message }) =>
        new InvalidPayload({
          queue: name,
          id,
          message: `The payload of task "${id}" of the queue "${name}" is not valid: ${message}`
        })
    )
    const description = options.describe?.(payload) ?? JSON.stringify(encoded)
    return { ...rest, id: taskId(id), queue: name, description, payload: encoded }
  })

  const noResult = (task: Task | undefined, id: string, status: NoResult["status"], message: string) =>
    new NoResult({ queue: name, id: task === undefined ? id : localId(task), status, message })

  const resultOf = (task: Task): Effect.Effect<Result["Type"], NoResult> => {
    const called = `Task "${localId(task)}" of the queue "${name}"`
    switch (task.status) {
      case "failed":
        return Effect.fail(
          noResult(
            task,
            task.id,
            "failed",
            `${called} failed after ${task.attempts} ${task.attempts === 1 ? "attempt" : "attempts"}: ${task.feedback ?? "no reason is known"}`
          )
        )
      case "cancelled":
        return Effect.fail(noResult(task, task.id, "cancelled", `${called} was cancelled.`))
      default:
        return Effect.mapError(decodeResult(task.result), ({ message }) =>
          noResult(
            task,
            task.id,
            "unreadable",
            `The result of ${called.toLowerCase()} does not fit its schema: ${message}`
          )
        )
    }
  }

  const missing = (id: string) =>
    Effect.fail(noResult(undefined, id, "missing", `There is no task "${id}" in the queue "${name}".`))

  const layerExecutor = <R>(handler: Handler<Payload["Type"], Result["Type"], R>): Layer.Layer<Executor, never, R> =>
    Layer.effect(
      Executor,
      Effect.map(Effect.context<R>(), (context) => ({
        execute: Effect.fnUntraced(function* (task, attempt) {
          if (task.queue !== name) {
            return yield* permanent(
              `This executor is for tasks of the queue "${name}", and the task is of "${task.queue}".`
            )
          }
          // A payload that is encoded as null is stored as none.
          const payload = yield* Effect.catch(decodePayload(task.payload ?? null), ({ message }) =>
            permanent(`The payload does not fit the schema of the queue "${name}": ${message}`)
          )
          const result = yield* Effect.provideContext(handler(payload, attempt, task), context)
          // A result that does not fit still becomes an output: the verifier rejects it, and says why.
          const output = yield* Effect.orElseSucceed(encodeResult(result), () => JSON.stringify(result) ?? "")
          return Execution.make({ output })
        })
      }))
    )

  const layerVerifier = Layer.succeed(Verifier.Verifier, {
    kind: "pure",
    verify: (_, { output }) =>
      Effect.match(decodeResult(output), {
        onSuccess: () => Verification.pass({ feedback: "The result fits its schema." }),
        onFailure: ({ message }) => Verification.reject(`The result does not fit its schema: ${message}`)
      })
  })

  return {
    name,
    resultSchema: options.result,
    taskId,
    add: (tasks) =>
      Effect.flatMap(Effect.forEach(tasks, newTask), (encoded) => TaskStore.use((store) => store.add(encoded))),
    await: (id) =>
      Effect.flatMap(
        TaskStore.use((store) => store.awaitSettled(taskId(id))),
        Option.match({ onNone: () => missing(id), onSome: resultOf })
      ),
    result: (id) =>
      Effect.flatMap(
        TaskStore.use((store) => store.get(taskId(id))),
        Option.match({
          onNone: () => missing(id),
          onSome: (task) => (isTerminal(task.status) ? Effect.asSome(resultOf(task)) : Effect.succeedNone)
        })
      ),
    layerExecutor,
    layerVerifier,
    toLayer: (handler, { onEnd, review = false, ...config } = {}) =>
      Orchestrator.layerWorker({ onEnd }).pipe(
        Layer.provide(Orchestrator.layer({ ...config, queues: [name] })),
        Layer.provide([layerExecutor(handler), review ? reviewed(layerVerifier) : layerVerifier, Safety.layerAllowAll])
      )
  }
}

const reviewed = (verifier: Layer.Layer<Verifier.Verifier>) =>
  Verifier.layerReviewIf(({ passed }) => (passed ? "A person decides about each result." : undefined), verifier)

const permanent = (message: string) => Effect.fail(new ExecutionError({ reason: "Permanent", message }))
