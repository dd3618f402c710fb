import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import type { TaskStoreError } from "../../TaskStoreError.ts"
import { now, type Run } from "./run.ts"

/** For as long as it takes: a store that is away for an hour must not end a run that is to last all night. */
const reconnect = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")]).pipe(
  Schedule.jittered
)

/** A call of the store that outlasts outages. Says so once per outage; fails only when going on makes no sense. */
export const storeCall = <A>(
  run: Run,
  name: string,
  call: Effect.Effect<A, TaskStoreError>,
  options: {
    /** How many tasks it is about. */
    readonly size?: number
    /** Where the call itself must not be interrupted, the waits between tries still can. */
    readonly restore?: (wait: Effect.Effect<void>) => Effect.Effect<void>
  } = {}
): Effect.Effect<A, TaskStoreError> => {
  const { restore = identity, size } = options
  return Effect.catch(
    // A call that waits for something to happen is no work: its span would be as long as the night.
    name.startsWith("await")
      ? call
      : run.spans.open(
          `TaskStore.${name}`,
          () => (size === undefined ? {} : { attributes: { "baton.batch.size": size } }),
          call
        ),
    (error) => (error.reason === "Unavailable" ? again(run, name, call, error, restore) : Effect.fail(error))
  )
}

const again = Effect.fnUntraced(function* <A>(
  run: Run,
  name: string,
  call: Effect.Effect<A, TaskStoreError>,
  first: TaskStoreError,
  restore: (wait: Effect.Effect<void>) => Effect.Effect<void>
): Effect.fn.Return<A, TaskStoreError> {
  yield* report(run, name, first)
  const step = yield* Schedule.toStepWithSleep(reconnect)
  while (true) {
    yield* restore(Effect.ignore(step(undefined)))
    const result = yield* Effect.result(call)
    if (Result.isSuccess(result)) return result.success
    if (result.failure.reason !== "Unavailable") return yield* Effect.fail(result.failure)
  }
})

const report = (run: Run, name: string, error: TaskStoreError) =>
  Effect.andThen(
    Effect.logWarning("The store did not answer; trying again", error.message).pipe(
      Effect.annotateLogs({ module: "TaskStore", operation: name })
    ),
    run.bus.publish({ _tag: "StoreUnavailable", at: now(run), reason: error.message })
  )
