import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type { Hook } from "../Hooks.ts"

/** The hooks of one layer. */
class HookSet {
  readonly position: number
  readonly hooks: ReadonlyArray<Hook>

  constructor(position: number, hooks: ReadonlyArray<Hook>) {
    this.position = position
    this.hooks = hooks
  }
}

let count = 0

/**
 * Each layer has its own key in the context. With a shared key, one layer of hooks would silently replace another, depending
 * on how the two are combined.
 */
export const layer = (hooks: ReadonlyArray<Hook>): Layer.Layer<never> => {
  const position = ++count
  const key = Context.Reference<HookSet>(`@baton/core/Hooks/${position}`, { defaultValue: () => new HookSet(0, []) })
  return Layer.succeed(key, new HookSet(position, hooks))
}

/** The hooks of all layers in a context, in the order in which the layers were made. */
export const hooksIn = ({ mapUnsafe }: Context.Context<never>): ReadonlyArray<Hook> =>
  Array.from(mapUnsafe.values())
    .filter((service) => service instanceof HookSet)
    .toSorted((left, right) => left.position - right.position)
    .flatMap(({ hooks }) => hooks)
