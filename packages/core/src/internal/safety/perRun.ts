import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Limits, SafetyService } from "../../Safety.ts"

/** A service whose limits are made again for each run. Until the first run, and after each, it shows the latest limits. */
export const perRun = (
  make: Effect.Effect<Limits, never, Scope.Scope>
): Effect.Effect<SafetyService, never, Scope.Scope> =>
  Effect.map(make, (first) => {
    let latest = first
    return {
      allow: Effect.suspend(() => latest.allow),
      reserve: (spend) => latest.reserve(spend),
      recordSuccess: (unreserved) => latest.recordSuccess(unreserved),
      recordFailure: (reason, unreserved) => latest.recordFailure(reason, unreserved),
      recordRelease: (unreserved) => latest.recordRelease(unreserved),
      stopReason: Effect.suspend(() => latest.stopReason),
      refusal: Effect.suspend(() => latest.refusal),
      awaitStop: Effect.suspend(() => latest.awaitStop),
      changes: Stream.suspend(() => latest.changes),
      forRun: Effect.tap(make, (limits) =>
        Effect.sync(() => {
          latest = limits
        })
      )
    }
  })
