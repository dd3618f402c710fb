import { Effect, Exit, Scope } from "effect"
import { afterAll } from "vitest"

/** A place of a store, and what makes it empty again. */
export interface Reusable<Place> {
  readonly place: Place
  readonly empty: Effect.Effect<unknown, unknown>
}

/**
 * Places for many short cases. A place is emptied after a case and used by the next one, because creating it takes longer than
 * most cases. All places are removed after the tests of the file.
 */
export const make = <Place>(
  create: Effect.Effect<Reusable<Place>, unknown, Scope.Scope>
): Effect.Effect<Place, unknown, Scope.Scope> => {
  const scope = Scope.makeUnsafe()
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  const free: Array<Reusable<Place>> = []
  return Effect.map(
    Effect.acquireRelease(
      Effect.suspend(() => {
        const reused = free.pop()
        return reused === undefined ? Scope.provide(create, scope) : Effect.succeed(reused)
      }),
      (used) =>
        Effect.andThen(
          Effect.orDie(used.empty),
          Effect.sync(() => free.push(used))
        )
    ),
    ({ place }) => place
  )
}
