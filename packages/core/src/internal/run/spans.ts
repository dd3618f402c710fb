import * as Effect from "effect/Effect"
import * as Tracer from "effect/Tracer"

/** What is said of a span when it is opened. */
export type Options = Pick<Tracer.SpanOptionsNoTrace, "attributes" | "links" | "parent" | "root">

/** Opens spans, or does nothing. */
export interface Spans {
  /** Whether anybody looks at spans. */
  readonly enabled: boolean
  readonly open: <A, E>(name: string, options: () => Options, effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
}

/**
 * A span costs about 4 µs even when nobody looks at it, so spans are opened only where a tracer is installed: that is,
 * where the tracer is not Effect's own in-memory default.
 */
export const make: Effect.Effect<Spans> = Effect.withFiber((fiber) =>
  Effect.succeed<Spans>(
    fiber.getRef(Tracer.Tracer) === Tracer.nativeTracer
      ? { enabled: false, open: (_name, _options, effect) => effect }
      : {
          enabled: true,
          open: (name, options, effect) =>
            Effect.suspend(() => effect.pipe(Effect.withSpan(name, options(), { captureStackTrace: false })))
        }
  )
)
