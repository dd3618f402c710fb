/**
 * The executors and verifiers that have a name, for `--executor` and `--verifier`. Each is loaded when it is chosen.
 *
 * @since 0.1.0
 */
import type { Executor } from "@baton/core/Executor"
import type { Verifier } from "@baton/core/Verifier"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Project from "../config/Project.ts"
import type { CommandFailed } from "../errors/CommandFailed.ts"

/**
 * The executors, by name.
 *
 * @category models
 * @since 0.1.0
 */
export const executors = {
  /** Answers at once, does nothing and costs nothing. */
  fake: Effect.map(
    Effect.promise(() => import("@baton/core/Executor")),
    ({ layerFake }) => layerFake()
  ),
  /** The layer of the configuration. */
  config: Effect.map(
    Effect.promise(() => import("@baton/core/Executor")),
    ({ Executor }) => Project.part("executor", Executor)
  )
} as const satisfies Record<string, Effect.Effect<Layer.Layer<Executor, CommandFailed>>>

/**
 * The verifiers, by name.
 *
 * @category models
 * @since 0.1.0
 */
export const verifiers = {
  "always-pass": Effect.map(
    Effect.promise(() => import("@baton/core/Verifier")),
    ({ layerAlwaysPass }) => layerAlwaysPass
  ),
  /** The layer of the configuration. */
  config: Effect.map(
    Effect.promise(() => import("@baton/core/Verifier")),
    ({ Verifier }) => Project.part("verifier", Verifier)
  )
} as const satisfies Record<string, Effect.Effect<Layer.Layer<Verifier, CommandFailed>>>
