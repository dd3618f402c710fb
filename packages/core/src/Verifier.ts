/**
 * Verifiers decide whether an output does what its task asks. Only a verifier completes a task; an executor's own
 * confidence does not.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { constant } from "effect/Function"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { AttemptContext } from "./AttemptContext.ts"
import type { Execution } from "./Execution.ts"
import * as combine from "./internal/combineVerdicts.ts"
import { buildAll, capture, type LayersOf } from "./internal/layers.ts"
import type { SafetyStop } from "./SafetyStop.ts"
import type { Task } from "./Task.ts"
import * as Verification from "./Verification.ts"
import type { VerificationError } from "./VerificationError.ts"

/**
 * The verifier service.
 *
 * @category services
 * @since 0.1.0
 */
export class Verifier extends Context.Service<Verifier, VerifierService>()("@baton/core/Verifier") {}

/** @since 0.1.0 */
export interface VerifierService {
  /** Judges one output. A failure is not a rejection: the verification is retried for the same output. */
  readonly verify: (
    task: Task,
    execution: Execution,
    context: AttemptContext
  ) => Effect.Effect<Verification.Verification, VerificationError | SafetyStop>
  /**
   * - `effectful`: does I/O or takes time, so the output is made durable first
   * - `pure`: computes its verdict at once, so that output and verdict are saved in one write
   * - `none`: does not verify, so that tasks complete as *unverified*
   */
  readonly kind: VerifierKind
  /** The kind for one task, where tasks are verified in different ways. Default: `kind`. */
  readonly kindOf?: ((task: Task) => VerifierKind) | undefined
}

/** @since 0.2.0 */
export type VerifierKind = "effectful" | "pure" | "none"

/**
 * A verifier from an effectful function. The services that it requires are those of the layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <R = never>(
  verify: (
    task: Task,
    execution: Execution,
    context: AttemptContext
  ) => Effect.Effect<Verification.Verification, VerificationError | SafetyStop, R>
): Layer.Layer<Verifier, never, Exclude<R, Scope.Scope>> =>
  Layer.effect(
    Verifier,
    Effect.map(capture<R>(), (provide) => ({
      verify: (task, execution, context) => provide(verify(task, execution, context)),
      kind: "effectful"
    }))
  )

/**
 * A verifier from a pure function of task and output, which checks a length, a pattern or a schema.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerPure = (
  verify: (task: Task, execution: Execution) => Verification.Verification
): Layer.Layer<Verifier> =>
  Layer.succeed(Verifier, { verify: (task, execution) => Effect.sync(() => verify(task, execution)), kind: "pure" })

/**
 * Accepts everything, for tests and experiments.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerAlwaysPass: Layer.Layer<Verifier> = Layer.succeed(Verifier, {
  verify: constant(Effect.succeed(Verification.pass({ feedback: "Auto-passed" }))),
  kind: "pure"
})

const none: VerifierService = {
  verify: constant(Effect.succeed(Verification.pass({ confidence: 0, feedback: "Not verified" }))),
  kind: "none"
}

/**
 * No verifier: tasks complete as unverified, and the run reports that.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNone: Layer.Layer<Verifier> = Layer.succeed(Verifier, none)

/**
 * Sends every output to review, where it waits for a person. `TaskStore.reviews` decides.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerReview: Layer.Layer<Verifier> = Layer.succeed(Verifier, {
  verify: () => Effect.succeed(Verification.review("Every output is reviewed by a person.")),
  kind: "pure"
})

/**
 * Sends outputs to review for which `reasonFor` returns a reason, which the person gets to read. It gets the verdict of the
 * other verifier, which decides about all other outputs.
 *
 * @category combinators
 * @since 0.2.0
 */
export const layerReviewIf = <E = never, R = never>(
  reasonFor: (
    verification: Verification.Verification,
    task: Task,
    execution: Execution
  ) => string | undefined | Effect.Effect<string | undefined>,
  verifier: Layer.Layer<Verifier, E, R>
): Layer.Layer<Verifier, E, R> =>
  Layer.effect(
    Verifier,
    Effect.map(Layer.build(verifier), (context) => {
      const { kind, verify } = Context.get(context, Verifier)
      return {
        // Also an output that nothing verifies can be sent to review.
        kind: kind === "none" ? "pure" : kind,
        verify: (task, execution, attempt) =>
          Effect.flatMap(verify(task, execution, attempt), (verdict) => {
            const reason = reasonFor(verdict, task, execution)
            return Effect.map(Effect.isEffect(reason) ? reason : Effect.succeed(reason), (reason) =>
              reason === undefined ? verdict : Verification.review(reason, kind === "none" ? undefined : verdict)
            )
          })
      }
    })
  )

// A verifier of kind `none` has no vote. Without any votes, the combination is of that kind as well.
const ballot = <Layers extends LayersOf<Verifier>>(
  layers: Layers,
  quorumOf: (voters: number) => number
): Layer.Layer<Verifier, Layer.Error<Layers[number]>, Layer.Services<Layers[number]>> =>
  Layer.effect(
    Verifier,
    Effect.map(buildAll(Verifier, layers), (verifiers) => {
      const voters = verifiers.filter(({ kind }) => kind !== "none")
      if (voters.length === 0) return none
      const count = combine.vote(Math.max(1, quorumOf(voters.length)))
      return {
        kind: voters.every(({ kind }) => kind === "pure") ? "pure" : "effectful",
        verify: (task, execution, context) =>
          Effect.flatMap(
            Effect.forEach(voters, (verifier) => Effect.result(verifier.verify(task, execution, context)), {
              concurrency: "unbounded"
            }),
            count
          )
      }
    })
  )

/**
 * Passes when all verifiers pass, and rejects when one rejects, with the feedback of all that reject. Fails when one of them
 * fails and none rejects.
 *
 * @category combinators
 * @since 0.1.0
 */
export const layerAll = <Layers extends LayersOf<Verifier>>(
  ...layers: Layers
): Layer.Layer<Verifier, Layer.Error<Layers[number]>, Layer.Services<Layers[number]>> =>
  ballot(layers, (voters) => voters)

/**
 * Passes when one verifier passes. Fails when one of them fails and none passes.
 *
 * @category combinators
 * @since 0.1.0
 */
export const layerAny = <Layers extends LayersOf<Verifier>>(
  ...layers: Layers
): Layer.Layer<Verifier, Layer.Error<Layers[number]>, Layer.Services<Layers[number]>> => ballot(layers, () => 1)

/**
 * Passes when at least `quorum` verifiers pass, and rejects when that has become impossible. A verifier that fails has no
 * vote. Fails when the missing votes could have changed the verdict, and always on a `Fatal` error.
 *
 * @category combinators
 * @since 0.1.0
 */
export const layerQuorum = <Layers extends LayersOf<Verifier>>(
  quorum: number,
  ...layers: Layers
): Layer.Layer<Verifier, Layer.Error<Layers[number]>, Layer.Services<Layers[number]>> => ballot(layers, () => quorum)

/**
 * Turns a verdict that passes with less than this confidence into a rejection.
 *
 * @category combinators
 * @since 0.1.0
 */
export const layerMinConfidence = <E = never, R = never>(
  minimum: number,
  verifier: Layer.Layer<Verifier, E, R>
): Layer.Layer<Verifier, E, R> =>
  Layer.effect(
    Verifier,
    Effect.map(Layer.build(verifier), (context) => {
      const { kind, verify } = Context.get(context, Verifier)
      return {
        kind,
        verify: (task, execution, attempt) =>
          Effect.map(verify(task, execution, attempt), combine.minConfidence(minimum))
      }
    })
  )
