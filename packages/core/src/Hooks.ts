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
import type { Event } from "./Event.ts"
import * as registry from "./internal/hookRegistry.ts"

/** Called with every event. */
export type Hook = (event: Event) => Effect.Effect<void, unknown>

type EventOf<Tag extends Event["_tag"]> = Extract<Event, { readonly _tag: Tag }>

/** A function per kind of event, for the kinds that matter. */
export type Handlers = {
  readonly [Tag in Event["_tag"]]?: ((event: EventOf<Tag>) => Effect.Effect<void, unknown>) | undefined
}

/**
 * A hook from a function per kind of event.
 *
 * @category constructors
 * @since 0.1.0
 */
export const handle =
  (handlers: Handlers): Hook =>
  (event) => {
    const handler = handlers[event._tag] as ((event: Event) => Effect.Effect<void, unknown>) | undefined
    return handler === undefined ? Effect.void : handler(event)
  }

/**
 * Calls every hook with every event. Several layers of hooks add up, however they are combined. A run calls the hooks of its
 * orchestrator's layer, and those in the context of the fiber that runs it.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (...hooks: ReadonlyArray<Hook>): Layer.Layer<never> => registry.layer(hooks)

/**
 * All hooks in the context; none by default.
 *
 * @category getters
 * @since 0.1.0
 */
export const current: Effect.Effect<ReadonlyArray<Hook>> = Effect.map(Effect.context(), registry.hooksIn)
