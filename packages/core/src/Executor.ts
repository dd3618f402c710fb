/**
 * Executors do the work of tasks: Claude, a program, or any function that returns an Effect.
 *
 * @since 0.1.0
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { AttemptContext } from "./AttemptContext.ts"
import type { Execution } from "./Execution.ts"
import type { ExecutionError } from "./ExecutionError.ts"
import * as batch from "./internal/batchExecutor.ts"
import * as fake from "./internal/fakeExecutor.ts"
import { buildAll, capture, type LayersOf } from "./internal/layers.ts"
import type { SafetyStop } from "./SafetyStop.ts"
import type { Task, TaskId } from "./Task.ts"

/**
 * The executor service.
 *
 * @category services
 * @since 0.1.0
 */
export class Executor extends Context.Service<Executor, ExecutorService>()("@baton/core/Executor") {}

/** @since 0.1.0 */
export interface ExecutorService {
  /**
   * Executes one attempt at a task. It can be called again for the same task, after a failed attempt and after a crash, so
   * it must be idempotent by `context.idempotencyKey` or safe to repeat. Interrupting it must stop the work: abort the
   * request, end the process.
   */
  readonly execute: (task: Task, context: AttemptContext) => Effect.Effect<Execution, ExecutionError | SafetyStop>
}

/**
 * An executor from a function. The services that it requires are those of the layer, however often it is called. Wrap it in
 * `Effect.scoped` if it acquires something for one attempt.
 *
 * **Example**
 *
 * ```ts
 * import { Execution, Executor } from "@baton/core"
 * import { Context, Effect, type Layer } from "effect"
 *
 * class Greeter extends Context.Service<Greeter, { readonly greet: (name: string) => string }>()("Greeter") {}
 *
 * export const layer: Layer.Layer<Executor.Executor, never, Greeter> = Executor.layer((task) =>
 *   Effect.map(Greeter, ({ greet }) => Execution.make({ output: greet(task.description) }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <R = never>(
  execute: (task: Task, context: AttemptContext) => Effect.Effect<Execution, ExecutionError | SafetyStop, R>
): Layer.Layer<Executor, never, Exclude<R, Scope.Scope>> =>
  Layer.effect(
    Executor,
    Effect.map(capture<R>(), (provide) => ({
      execute: (task, context) => provide(execute(task, context))
    }))
  )

/**
 * Executes several attempts in one call. Returns the execution or the error of each task, by its id. If the call itself
 * fails, every attempt fails with its error.
 */
export type BatchHandler<R = never> = (
  attempts: NonEmptyReadonlyArray<{ readonly task: Task; readonly context: AttemptContext }>
) => Effect.Effect<ReadonlyMap<TaskId, Execution | ExecutionError>, ExecutionError | SafetyStop, R>

/**
 * An executor that collects attempts, and executes up to `maxSize` of them in one call of its handler: for an API that takes
 * several inputs, or a model that is loaded for each call. A call begins when it is full, or `window` after its first
 * attempt. Set the `concurrency` of the orchestrator to at least `maxSize`.
 *
 * **Details**
 *
 * - An error of one task fails that task alone. A task without a result fails
 * - The timeout of a task, its cancellation and the loss of its lease leave the call to the other tasks. When no task is
 *   left, the call is interrupted
 * - A transient error is retried in a later call
 * - Report the usage of each task in its own execution. The usage of an error of the whole call is counted once
 *
 * **Example**
 *
 * ```ts
 * import { Execution, type ExecutionError, Executor } from "@baton/core"
 * import { Effect } from "effect"
 *
 * declare const embed: (texts: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<string>, ExecutionError>
 *
 * export const layer = Executor.layerBatch({ maxSize: 100, window: "50 millis" }, (attempts) =>
 *   Effect.map(
 *     embed(attempts.map(({ task }) => task.description)),
 *     (vectors) => new Map(attempts.map(({ task }, n) => [task.id, Execution.make({ output: vectors[n] ?? "" })]))
 *   )
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerBatch = <R = never>(
  options: {
    /** The most attempts of one call. */
    readonly maxSize: number
    /** How long an attempt waits for others. */
    readonly window: Duration.Input
  },
  handler: BatchHandler<R>
): Layer.Layer<Executor, never, Exclude<R, Scope.Scope>> =>
  Layer.effect(
    Executor,
    Effect.map(capture<R>(), (provide) => ({
      execute: batch.execute(options, (attempts) => provide(handler(attempts)))
    }))
  )

/** How a scripted fake ends one attempt. */
export type FakeStep =
  | { readonly _tag: "Succeed"; readonly output?: string | undefined }
  | { readonly _tag: "Fail"; readonly error: ExecutionError }
  /** Runs until it is interrupted. */
  | { readonly _tag: "Hang" }

/** How a fake executor behaves. */
export interface FakeOptions {
  /** The output is `<output> for: <description>`. Default "Fake result". */
  readonly output?: string | undefined
  /** Default true; false fails every attempt. */
  readonly success?: boolean | undefined
  /** The number of attempts of each task that fail before one succeeds. */
  readonly failures?: number | undefined
  /** The duration of each attempt. */
  readonly delay?: Duration.Input | undefined
  /** Decides each attempt. If it returns undefined, `success` and `failures` decide. */
  readonly script?: ((task: Task, context: AttemptContext) => FakeStep | undefined) | undefined
}

/**
 * A fake that needs no key and costs nothing, for tests, demos and dry runs.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerFake = (options?: FakeOptions): Layer.Layer<Executor> =>
  Layer.succeed(Executor, { execute: fake.execute(options ?? {}) })

/**
 * Selects the executor of each task, for instance by its metadata or its id.
 *
 * @category combinators
 * @since 0.1.0
 */
export const layerRoute = <Named extends Layer.Layer<Executor, unknown, unknown>, E, R>(options: {
  readonly executors: Readonly<Record<string, Named>>
  /** Returns the name of the executor of a task. For undefined and for unknown names, `otherwise` is used. */
  readonly select: (task: Task) => string | undefined
  readonly otherwise: Layer.Layer<Executor, E, R>
}): Layer.Layer<Executor, E | Layer.Error<Named>, R | Layer.Services<Named>> =>
  Layer.effect(
    Executor,
    Effect.gen(function* () {
      const names = Object.keys(options.executors)
      const [otherwise, ...rest] = yield* buildAll(Executor, [options.otherwise, ...Object.values(options.executors)])
      const byName = new Map(names.map((name, index) => [name, rest[index]]))
      return {
        execute: (task, context) => {
          const executor = byName.get(options.select(task) ?? "") ?? otherwise
          return executor === undefined
            ? Effect.die(new Error("no executor to route to"))
            : executor.execute(task, context)
        }
      }
    })
  )

/**
 * Uses the next executor of the ladder after `attemptsEach` failed attempts, and stays with the last one: a cheap model
 * first, and a better one for the tasks that it failed.
 *
 * @category combinators
 * @since 0.1.0
 */
export const layerEscalation = <
  const Ladder extends readonly [Layer.Layer<Executor, unknown, unknown>, ...LayersOf<Executor>]
>(options: {
  readonly ladder: Ladder
  /** Default 1. */
  readonly attemptsEach?: number | undefined
}): Layer.Layer<Executor, Layer.Error<Ladder[number]>, Layer.Services<Ladder[number]>> =>
  Layer.effect(
    Executor,
    Effect.map(buildAll(Executor, options.ladder), (ladder) => ({
      execute: (task, context) => {
        const step = Math.floor((context.attempt - 1) / Math.max(1, options.attemptsEach ?? 1))
        const executor = ladder[Math.min(step, ladder.length - 1)]
        return executor === undefined ? Effect.die(new Error("an empty ladder")) : executor.execute(task, context)
      }
    }))
  )
