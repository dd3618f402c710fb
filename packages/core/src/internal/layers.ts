import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"

/** Layers of one service, each with its own errors and requirements. */
export type LayersOf<I> = ReadonlyArray<Layer.Layer<I, unknown, unknown>>

/**
 * Builds several layers of the same service, so that none replaces another. Layers that they share, a client or a limiter,
 * are built once for all of them.
 */
export function buildAll<I, S, Layers extends LayersOf<I>>(
  service: Context.Key<I, S>,
  layers: Layers
): Effect.Effect<ReadonlyArray<S>, Layer.Error<Layers[number]>, Layer.Services<Layers[number]> | Scope.Scope>
// An overload, because only the caller needs the errors and requirements of each layer.
export function buildAll<I, S, E, R>(service: Context.Key<I, S>, layers: ReadonlyArray<Layer.Layer<I, E, R>>) {
  return Effect.contextWith((context: Context.Context<R | Scope.Scope>) => {
    const memoMap = Layer.CurrentMemoMap.forkOrCreate(context)
    return Effect.forEach(layers, (layer) =>
      Effect.map(Layer.buildWithMemoMap(layer, memoMap, Context.get(context, Scope.Scope)), (built) =>
        Context.get(built, service)
      )
    )
  })
}
