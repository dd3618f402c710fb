/**
 * Executions of workflows in the task store, so that every process that reaches the store can start, list, show and cancel them,
 * also one without the engine.
 *
 * An execution is a task of the queue `@workflow/TAG`, whose id is that of the execution. A process with `Executions.layer`
 * claims it, lets the engine execute the workflow, and completes it with the result of the workflow. Executions that begin in
 * another way, by `workflow.execute` or by a schedule, get their task when they begin.
 *
 * **Example** (start an execution from a process without an engine)
 *
 * ```ts
 * import { Executions } from "@baton/adapters/workflow"
 * import { Effect, Schema } from "effect"
 * import { Workflow } from "effect/workflow"
 *
 * const Nightly = Workflow.make("Nightly/1", {
 *   payload: { date: Schema.String },
 *   idempotencyKey: ({ date }) => date
 * })
 *
 * export const program = Effect.gen(function* () {
 *   const { id } = yield* Executions.start(Nightly, { date: "2026-11-30" })
 *   return yield* Executions.steps(Nightly._tag, id)
 * })
 * ```
 *
 * @since 0.2.0
 */
import * as Execution from "@baton/core/Execution"
import { ExecutionError } from "@baton/core/ExecutionError"
import { Executor } from "@baton/core/Executor"
import * as Orchestrator from "@baton/core/Orchestrator"
import * as Safety from "@baton/core/Safety"
import { idInQueue, localId, type Metadata } from "@baton/core/Task"
import { InvalidPayload } from "@baton/core/TaskQueue"
import { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError, TasksRefused } from "@baton/core/TaskStoreError"
import * as Verifier from "@baton/core/Verifier"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Workflow from "effect/workflow/Workflow"
import { WorkflowEngine, WorkflowInstance } from "effect/workflow/WorkflowEngine"
import * as records from "./internal/records.ts"
import { executionOf, reachable, stepMetadata } from "./internal/steps.ts"
import type { Retention } from "./Retention.ts"
import * as Review from "./Review.ts"
import * as TaskActivity from "./TaskActivity.ts"
import * as Workflows from "./Workflows.ts"

export { cancel, queueOf, type Step, steps, waitsFor, workflowOf } from "./internal/records.ts"

/**
 * A workflow that can be started with a payload in JSON: the schema of its payload needs no services.
 *
 * @category models
 * @since 0.2.0
 */
export type Definition = Workflow.Any & {
  readonly payloadSchema: { readonly DecodingServices: never; readonly EncodingServices: never }
}

/**
 * An execution that was started.
 *
 * @category models
 * @since 0.2.0
 */
export interface Started {
  readonly id: string
  /** False if it had been started before: the idempotency key of the payload is the same. */
  readonly added: boolean
}

/**
 * Starts an execution with a payload in JSON, which the next process with `Executions.layer` and this workflow executes.
 * Starting it again changes nothing. Fails with `InvalidPayload` if the payload does not fit the workflow, and with
 * `TasksRefused` if an execution has the same idempotency key and another payload.
 *
 * @category constructors
 * @since 0.2.0
 */
export const start = Effect.fnUntraced(function* (
  workflow: Definition,
  payload: unknown
): Effect.fn.Return<Started, InvalidPayload | TasksRefused | TaskStoreError, TaskStore> {
  const schema = Schema.toCodecJson(workflow.payloadSchema)
  const decoded = yield* Effect.mapError(
    // A misspelt name of an optional field would have no effect.
    Schema.decodeUnknownEffect(schema, { onExcessProperty: "error" })(payload),
    ({ message }) =>
      new InvalidPayload({
        queue: records.queueOf(workflow._tag),
        id: "",
        message: `The payload does not fit the workflow ${workflow._tag}: ${message.replaceAll(/\s+/g, " ")}. ${fieldsOf(workflow)}`
      })
  )
  const id = yield* workflow.executionId(decoded)
  const encoded = yield* Effect.orDie(Schema.encodeEffect(schema)(decoded))
  const { added } = yield* TaskStore.use((store) => store.add([records.taskOf(workflow, id, encoded)]))
  return { id, added: added.length > 0 }
})

const fieldsOf = ({ payloadSchema }: Definition): string => {
  const names = Object.keys(payloadSchema.fields)
  return names.length === 0 ? "It takes {}." : `Its fields are ${names.join(", ")}.`
}

/**
 * A workflow with this name is not registered.
 *
 * @category errors
 * @since 0.2.0
 */
export class NotRegistered extends Schema.TaggedError<NotRegistered>()("NotRegistered", {
  workflow: Schema.String,
  registered: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `The workflow ${this.workflow} is not registered. Registered are: ${this.registered.join(", ")}.`
  }
}

/**
 * Workflows that are started by name, and executed on an engine that is chosen where they are executed, as `baton` does with
 * those of `baton.config.ts`.
 *
 * @category models
 * @since 0.2.0
 */
export interface Registered {
  readonly names: ReadonlyArray<string>
  /** As `start`. Fails with `NotRegistered` for other workflows. */
  readonly start: (
    name: string,
    payload: unknown
  ) => Effect.Effect<Started, NotRegistered | InvalidPayload | TasksRefused | TaskStoreError, TaskStore>
  /** Executes them in one process. See `Workflows.layerSingle`. */
  readonly layerSingle: (options: { readonly filename: string }) => Layer.Layer<never, unknown, TaskStore>
  /** Executes them in any number of processes. See `Workflows.layerCluster`. */
  readonly layerCluster: (options: Workflows.ClusterOptions) => Layer.Layer<never, unknown, TaskStore>
}

/**
 * Registers workflows. The layer contains those of all workflows (`Workflow.toLayer`), their schedules, and the workers of
 * their queues, unless other processes have them.
 *
 * @category constructors
 * @since 0.2.0
 */
export const register = <E>(options: {
  readonly definitions: ReadonlyArray<Definition>
  readonly layer: Layer.Layer<never, E, WorkflowEngine | TaskStore | Review.Review | Retention>
}): Registered => {
  const names = options.definitions.map(({ _tag }) => _tag)
  const parts = Layer.unwrap(
    Effect.sync(() => {
      const executed = new Set<string>()
      return Layer.merge(options.layer, warnOfMissing(names, executed)).pipe(
        Layer.provide(Review.layer),
        Layer.provide(layer),
        Layer.provide(Layer.succeed(Executed, executed))
      )
    })
  )
  return {
    names,
    start: (name, payload) => {
      const workflow = options.definitions.find(({ _tag }) => _tag === name)
      return workflow === undefined
        ? Effect.fail(new NotRegistered({ workflow: name, registered: names }))
        : start(workflow, payload)
    },
    layerSingle: (engine) => Layer.provide(parts, Workflows.layerSingle(engine)),
    layerCluster: (engine) => Layer.provide(parts, Workflows.layerCluster(engine))
  }
}

/** Receives the names of the workflows that an engine executes. */
const Executed = Context.Reference<Set<string>>("@baton/adapters/workflow/Executions/Executed", {
  defaultValue: () => new Set()
})

/** When all layers of workflows have been built. Those of workers are not, for as long as the workers run. */
const untilBuilt = "10 seconds"

/** Executions of a workflow whose layer is missing would wait forever. */
const warnOfMissing = (names: ReadonlyArray<string>, executed: ReadonlySet<string>) =>
  Layer.effectDiscard(
    Effect.sleep(untilBuilt).pipe(
      Effect.andThen(Effect.forEach(names, (name) => (executed.has(name) ? Effect.void : missing(name)))),
      Effect.annotateLogs({ module: "Executions" }),
      Effect.forkScoped
    )
  )

const missing = (name: string) =>
  Effect.logError(
    `No layer executes the workflow ${name}, so its executions wait. Merge what its toLayer returns into the layer of Executions.register, or remove it from the definitions.`
  )

/** How many executions of one workflow a process waits for. More of them wait until others have ended. */
const maxAwaited = 1000

/**
 * Short, so that the task of an execution soon follows when its process dies. Losing the lease costs nothing: another process then
 * waits for the same execution.
 */
const lease = Duration.seconds(10)

/** The longest that one process waits for an execution, because timers do not go further. Then it begins to wait again. */
const longest = Duration.days(20)

/**
 * An engine whose executions are tasks, and which executes those that were started in the task store. Provide it to the layers of the
 * workflows and to `Schedules.layer` in place of the engine.
 *
 * A cancelled task interrupts its execution, and a process that ends leaves its executions to others.
 *
 * @category layers
 * @since 0.2.0
 */
export const layer: Layer.Layer<WorkflowEngine, never, WorkflowEngine | TaskStore> = Layer.effect(
  WorkflowEngine,
  Effect.gen(function* () {
    const engine = yield* WorkflowEngine
    const store = yield* TaskStore
    const executed = yield* Executed

    /** Before the engine interrupts them, so that their tasks do not fail. */
    const cancelWithin = (workflow: string, executionId: string) =>
      records
        .cancelWithin(workflow, executionId)
        .pipe(Effect.provideService(TaskStore, store), Effect.ignore({ log: true }))

    /** Adds the task of an execution, unless it has one. `parent` is the metadata of a step. */
    const addTask = Effect.fnUntraced(function* <Payload extends Workflow.AnyStructSchema>(
      workflow: { readonly _tag: string; readonly payloadSchema: Payload },
      executionId: string,
      payload: Payload["Type"],
      parent?: Metadata
    ) {
      const schema = Schema.toCodecJson(workflow.payloadSchema)
      const encoded = yield* Effect.orDie(Schema.encodeEffect(schema)(payload))
      const task = records.taskOf(workflow, executionId, encoded, parent)
      yield* Effect.catchTag(store.add([task]), "TasksRefused", () => Effect.void)
    }, reachable)

    const wrapped: typeof engine = WorkflowEngine.of({
      ...engine,
      execute: <
        Name extends string,
        Payload extends Workflow.AnyStructSchema,
        Success extends Schema.Top,
        Error extends Schema.Top,
        const Discard extends boolean = false
      >(
        workflow: Workflow.Workflow<Name, Payload, Success, Error>,
        options: Parameters<typeof engine.execute<Name, Payload, Success, Error, Discard>>[1]
      ) =>
        Effect.gen(function* () {
          const parent = yield* Effect.serviceOption(WorkflowInstance)
          // A detached execution does not belong to the workflow that starts it.
          if (Option.isSome(parent) && options.detached !== true) {
            const step = stepMetadata(parent.value.workflow, parent.value.executionId, workflow._tag)
            yield* addTask(workflow, options.executionId, options.payload, step)
          }
          return yield* engine.execute<Name, Payload, Success, Error, Discard>(workflow, options)
        }),
      register: <
        Name extends string,
        Payload extends Workflow.AnyStructSchema,
        Success extends Schema.Top,
        Error extends Schema.Top,
        R
      >(
        workflow: Workflow.Workflow<Name, Payload, Success, Error>,
        execute: (payload: Payload["Type"], executionId: string) => Effect.Effect<Success["Type"], Error["Type"], R>
      ) =>
        Effect.gen(function* () {
          const services = yield* Effect.context<
            | Payload["DecodingServices"]
            | Payload["EncodingServices"]
            | Success["DecodingServices"]
            | Success["EncodingServices"]
            | Error["DecodingServices"]
          >()
          /** Adds the task of an execution that began without one. One that was cancelled meanwhile ends. */
          const begin = Effect.fnUntraced(
            function* (payload: Payload["Type"], executionId: string) {
              yield* addTask(workflow, executionId, payload)
              const found = yield* store.get(idInQueue(records.queueOf(workflow._tag), executionId))
              if (Option.exists(found, ({ status }) => status === "cancelled")) {
                return yield* Effect.die(new Error(cancelled))
              }
            },
            reachable,
            Effect.provideContext(services)
          )
          yield* engine.register(workflow, (payload, executionId) =>
            Effect.andThen(
              begin(payload, executionId),
              // The wrapped engine adds the executions within this one to its steps.
              Effect.provideService(execute(payload, executionId), WorkflowEngine, wrapped).pipe(
                Effect.onError((cause) => {
                  const continues = Cause.hasInterruptsOnly(cause) || isSuspendedByFailure(workflow)
                  return continues ? Effect.void : cancelWithin(workflow._tag, executionId)
                })
              )
            )
          )

          const executor = Layer.succeed(Executor, {
            execute: Effect.fnUntraced(
              function* (task) {
                const executionId = localId(task)
                const payload = yield* Effect.mapError(
                  Schema.decodeUnknownEffect(Schema.toCodecJson(workflow.payloadSchema))(task.payload),
                  ({ message }) => permanent(`The payload does not fit the workflow ${workflow._tag}: ${message}`)
                )
                const { suspendedRetrySchedule } = workflow
                const parent = executionOf(task)
                if (parent !== undefined) {
                  // The engine wakes the parent that an execution was begun with, so this process must not begin it without.
                  const instance = WorkflowInstance.initial(parent.workflow, parent.executionId)
                  yield* engine
                    .execute(workflow, { executionId, payload, discard: true })
                    .pipe(Effect.provideService(WorkflowInstance, instance), Effect.orDie)
                }
                const running = yield* Effect.forkChild(
                  engine.execute(workflow, { executionId, payload, suspendedRetrySchedule })
                )
                const exit = yield* Effect.onInterrupt(Fiber.await(running), () =>
                  Effect.ignore(interruptCancelled(workflow, task.id, executionId), { log: true })
                )
                if (exit._tag === "Success") {
                  const schema = Schema.toCodecJson(workflow.successSchema)
                  const value = yield* Effect.orDie(Schema.encodeEffect(schema)(exit.value))
                  return Execution.make({ output: JSON.stringify(value ?? null) })
                }
                const result = yield* Effect.exit(engine.poll(workflow, executionId))
                const hasEnded =
                  Exit.isSuccess(result) && Option.exists(result.value, ({ _tag }) => _tag === "Complete")
                if (hasEnded) return yield* permanent(reasonOf(exit))
                // The engine is shutting down, and so is this worker.
                if (Cause.hasInterruptsOnly(exit.cause)) return yield* Effect.never
                return yield* new ExecutionError({
                  reason: "Transient",
                  message: `The engine cannot execute it: ${reasonOf(exit)}`
                })
              },
              Effect.provideContext(services),
              Effect.provideService(TaskStore, store),
              Effect.provideService(WorkflowEngine, engine)
            )
          })
          executed.add(workflow._tag)
          const worker = Orchestrator.layerWorker({ onEnd: "log" }).pipe(
            Layer.provide(
              Orchestrator.layer({
                owner: "workflows",
                queues: [records.queueOf(workflow._tag)],
                concurrency: maxAwaited,
                leaseDuration: lease,
                maxAttempts: Infinity,
                executionTimeout: longest,
                verifyResults: false,
                // Another process continues to wait for what this one waited for.
                drainTimeout: 0
              })
            ),
            Layer.provide([executor, Verifier.layerNone, Safety.layerAllowAll]),
            Layer.provide(Layer.succeed(TaskStore, store))
          )
          yield* Effect.orDie(Layer.build(worker))
        })
    })
    return wrapped
  })
)

const isSuspendedByFailure = ({ annotations }: Workflow.Any) => Context.get(annotations, Workflow.SuspendOnFailure)

const cancelled = "The execution was cancelled."

const permanent = (message: string) => new ExecutionError({ reason: "Permanent", message })

/** When its worker stops waiting for an execution because the task was cancelled, the execution is interrupted. */
const interruptCancelled = Effect.fnUntraced(function* (workflow: Workflow.Any, taskId: string, executionId: string) {
  const task = yield* TaskStore.use((store) => store.get(taskId))
  if (Option.exists(task, ({ status }) => status === "cancelled")) {
    yield* TaskActivity.interrupt(workflow, executionId)
  }
})

const reasonOf = (exit: Exit.Failure<unknown, unknown>): string => {
  if (Cause.hasInterruptsOnly(exit.cause)) return "The execution was interrupted."
  const error = Cause.squash(exit.cause)
  if (Predicate.isError(error)) return error.message === "" ? Cause.pretty(exit.cause) : error.message
  return typeof error === "string" ? error : (JSON.stringify(error) ?? String(error))
}
