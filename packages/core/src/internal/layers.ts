import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"

/** Gives an effect the services of the layer in which it was written. */
export type Provide<R> = <A, E>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E>

/**
 * Captures the services in the context. What belongs to the caller of a handler and not to its layer is left to the
 * caller: its span and its annotations of log lines.
 */
export const capture = <R>(): Effect.Effect<Provide<R>, never, R> =>
  Effect.contextWith((context: Context.Context<R>) => {
    const captured = withoutCaller(context)
    // Most calls come from the same context as the last one. Merging costs more than a hook or a short task.
    let caller: Context.Context<never> | undefined
    let merged: Context.Context<R> = captured
    const provided = (next: Context.Context<never>): Context.Context<R> => {
      if (next !== caller) {
        caller = next
        merged = Context.merge(next, captured)
      }
      return merged
    }
    return Effect.succeed<Provide<R>>((effect) => Effect.updateContext(effect, provided))
  })

const callerKeys: ReadonlySet<string> = new Set(
  [
    Tracer.ParentSpan,
    References.CurrentLogAnnotations,
    References.CurrentLogSpans,
    References.MinimumLogLevel,
    References.TracerSpanAnnotations,
    References.TracerSpanLinks
  ].map(({ key }) => key)
)

const withoutCaller = <R>({ mapUnsafe }: Context.Context<R>): Context.Context<R> =>
  Context.makeUnsafe(new Map(Array.from(mapUnsafe).filter(([key]) => !callerKeys.has(key))))

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
