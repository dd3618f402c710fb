import * as Effect from "effect/Effect"
import { end, fail, type Run } from "./run.ts"
import { storeCall } from "./storeCall.ts"

/**
 * Follows the requests that reach a run through its store: from another terminal, or another machine. Every change also
 * makes the heart beat, because a cancelled task is named in its reply.
 */
export const control = (run: Run, setPaused: (paused: boolean) => Effect.Effect<void>): Effect.Effect<void> =>
  Effect.gen(function* () {
    let seen = yield* storeCall(run, "control", run.store.control)
    if (seen.paused) yield* setPaused(true)
    run.ready.openUnsafe()
    while (true) {
      const next = yield* storeCall(run, "awaitControl", run.store.awaitControl(seen.revision))
      run.beat.openUnsafe()
      if (next.paused !== seen.paused) yield* setPaused(next.paused)
      if (next.stops > seen.stops) end(run, { _tag: "Stopped" })
      seen = next
    }
  }).pipe(Effect.catch((error) => Effect.sync(() => fail(run, error))))
