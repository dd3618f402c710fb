import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"

/** Builds several layers of the same service side by side, each on its own, so that none hides another. */
export const buildAll = <I, S, E, R>(
  service: Context.Key<I, S>,
  layers: ReadonlyArray<Layer.Layer<I, E, R>>
): Effect.Effect<ReadonlyArray<S>, E, R | Scope.Scope> =>
  Effect.forEach(layers, (layer) =>
    Effect.map(Layer.build(Layer.fresh(layer)), (context) => Context.get(context, service))
  )
