/**
 * Executors do the work: Claude, a program, or any function that returns an Effect.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { AttemptContext } from "./AttemptContext.ts"
import type { Execution } from "./Execution.ts"
import type { ExecutionError } from "./ExecutionError.ts"
import * as fake from "./internal/fakeExecutor.ts"
import { buildAll, type LayersOf } from "./internal/layers.ts"
import type { SafetyStop } from "./SafetyStop.ts"
import type { Task } from "./Task.ts"

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
   * Carries out one attempt at a task. It can be called again for the same task: after a failed attempt, and after a
   * crash, so it has to be idempotent by `context.idempotencyKey` or safe to repeat. Interrupting it has to stop the
   * work for real: abort the request, end the process.
   */
  readonly execute: (task: Task, context: AttemptContext) => Effect.Effect<Execution, ExecutionError | SafetyStop>
}

/**
 * An executor from a function.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (execute: ExecutorService["execute"]): Layer.Layer<Executor> =>
  Layer.succeed(Executor, { execute })

/** What a scripted fake does with one attempt. */
export type FakeStep =
  | { readonly _tag: "Succeed"; readonly output?: string | undefined }
  | { readonly _tag: "Fail"; readonly error: ExecutionError }
  /** Never ends, until interrupted. */
  | { readonly _tag: "Hang" }

/** How a fake executor behaves. */
export interface FakeOptions {
  /** The output is `<output> for: <description>`. Default "Fake result". */
  readonly output?: string | undefined
  /** Default true; false fails every attempt. */
  readonly success?: boolean | undefined
  /** Fails the first `failures` attempts of every task. */
  readonly failures?: number | undefined
  /** Takes this long. */
  readonly delay?: Duration.Input | undefined
  /** Decides each attempt; wins over `success` and `failures`. Undefined falls back to them. */
  readonly script?: ((task: Task, context: AttemptContext) => FakeStep | undefined) | undefined
}

/**
 * A fake that needs no key and costs nothing: for tests, demos and dry runs.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerFake = (options?: FakeOptions): Layer.Layer<Executor> => layer(fake.execute(options ?? {}))

/**
 * Picks the executor for each task: by its metadata, its id, what its description looks like.
 *
 * @category combinators
 * @since 0.1.0
 */
export const layerRoute = <Named extends Layer.Layer<Executor, unknown, unknown>, E, R>(options: {
  readonly executors: Readonly<Record<string, Named>>
  /** Names the executor of a task; `otherwise` takes those without a name, or with one that is not there. */
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
 * Moves to the next executor of the ladder after `attemptsEach` failed attempts, and stays on the last: a cheap model
 * first, a better one for what it could not do.
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
