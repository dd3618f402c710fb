/**
 * Hooks: functions that are called with the events of a run, one after the other, in order.
 *
 * A hook observes. One that fails or dies is logged and never stops a run. One that takes longer than 30 seconds is cut
 * off, and switched off after three timeouts in a row. When hooks are slower than the work, the work waits for them:
 * nothing is dropped.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { Event } from "./Event.ts"
import * as registry from "./internal/hookRegistry.ts"

/** Called with every event. */
export type Hook<R = never> = (event: Event) => Effect.Effect<void, unknown, R>

type EventOf<Tag extends Event["_tag"]> = Extract<Event, { readonly _tag: Tag }>

/** A function per kind of event, for the kinds that matter. */
export type Handlers<R = never> = {
  readonly [Tag in Event["_tag"]]?: ((event: EventOf<Tag>) => Effect.Effect<void, unknown, R>) | undefined
}

/** The services that a function requires. */
type ServicesOf<F> = F extends (event: never) => Effect.Effect<unknown, unknown, infer R> ? R : never

/**
 * A hook from a function per kind of event.
 *
 * @category constructors
 * @since 0.1.0
 */
export const handle =
  <const H extends Handlers<unknown>>(handlers: H): Hook<ServicesOf<H[keyof H]>> =>
  (event) => {
    const handler = handlers[event._tag] as Hook<ServicesOf<H[keyof H]>> | undefined
    return handler === undefined ? Effect.void : handler(event)
  }

/**
 * Calls every hook with every event. Several layers of hooks add up, however they are combined. A run calls the hooks of its
 * orchestrator's layer, and those in the context of the fiber that runs it. The services that hooks require are those of
 * the layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <const Hooks extends ReadonlyArray<Hook<unknown>>>(
  ...hooks: Hooks
): Layer.Layer<never, never, Exclude<ServicesOf<Hooks[number]>, Scope.Scope>> =>
  registry.layer(hooks as ReadonlyArray<Hook<ServicesOf<Hooks[number]>>>)

/**
 * All hooks in the context; none by default.
 *
 * @category getters
 * @since 0.1.0
 */
export const current: Effect.Effect<ReadonlyArray<Hook>> = Effect.map(Effect.context(), (context) =>
  registry.hooksIn(context).map(({ hook }) => hook)
)
