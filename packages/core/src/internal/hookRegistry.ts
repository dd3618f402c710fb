import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { Event } from "../Event.ts"
import type { Hook } from "../Hooks.ts"
import { capture } from "./layers.ts"

/** A hook as it was written, and the same with the services of its layer. */
export interface RegisteredHook {
  readonly written: (event: Event) => Effect.Effect<void, unknown, unknown>
  readonly hook: Hook
}

/** The hooks of one layer. */
class HookSet {
  readonly position: number
  readonly hooks: ReadonlyArray<RegisteredHook>

  constructor(position: number, hooks: ReadonlyArray<RegisteredHook>) {
    this.position = position
    this.hooks = hooks
  }
}

let count = 0

/**
 * Each layer has its own key in the context. With a shared key, one layer of hooks would silently replace another, depending
 * on how the two are combined.
 */
export const layer = <R>(
  hooks: ReadonlyArray<(event: Event) => Effect.Effect<void, unknown, R>>
): Layer.Layer<never, never, Exclude<R, Scope.Scope>> => {
  const position = ++count
  const key = Context.Reference<HookSet>(`@baton/core/Hooks/${position}`, { defaultValue: () => new HookSet(0, []) })
  return Layer.effect(
    key,
    Effect.map(
      capture<R>(),
      (provide) =>
        new HookSet(
          position,
          hooks.map((written) => ({
            written,
            hook: (event) => provide(written(event))
          }))
        )
    )
  )
}

/** The hooks of all layers in a context, in the order in which the layers were made. */
export const hooksIn = ({ mapUnsafe }: Context.Context<never>): ReadonlyArray<RegisteredHook> =>
  Array.from(mapUnsafe.values())
    .filter((service) => service instanceof HookSet)
    .toSorted((left, right) => left.position - right.position)
    .flatMap(({ hooks }) => hooks)

/** Each hook once, even if its layer was built twice. */
export const distinct = (hooks: ReadonlyArray<RegisteredHook>): ReadonlyArray<Hook> => {
  const byWritten = new Map<RegisteredHook["written"], Hook>()
  for (const { hook, written } of hooks) if (!byWritten.has(written)) byWritten.set(written, hook)
  return Array.from(byWritten.values())
}
