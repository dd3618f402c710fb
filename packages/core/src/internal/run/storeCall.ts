import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { Attempt } from "../../Attempt.ts"
import type { TaskId } from "../../Task.ts"
import type { Counts } from "../../TaskStore.ts"
import type { TaskStoreError } from "../../TaskStoreError.ts"
import { total } from "../store/codec.ts"
import { now, type RunParts } from "./parts.ts"

/** Never ends: a store that is away for an hour must not end a run that is to last all night. */
const reconnect = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")]).pipe(
  Schedule.jittered
)

const isUnavailable = ({ reason }: TaskStoreError): boolean => reason === "Unavailable"

/** Calls the store, and again while it is unavailable. Reports each outage once. */
export const storeCall = <A>(
  parts: Pick<RunParts, "clock" | "events" | "spans">,
  operation: string,
  call: Effect.Effect<A, TaskStoreError>,
  options: {
    /** How many tasks the call is about. */
    readonly size?: number
    /** The call waits for something to happen, so it has no span: that would be as long as the night. */
    readonly isWait?: boolean
  } = {}
): Effect.Effect<A, TaskStoreError> =>
  Effect.suspend(() => {
    let isReported = false
    const { isWait, size } = options
    const spanned =
      isWait === true
        ? call
        : parts.spans.open(
            `TaskStore.${operation}`,
            () => (size === undefined ? {} : { attributes: { "baton.batch.size": size } }),
            call
          )
    const logged =
      isWait === true
        ? Effect.void
        : Effect.logTrace("Called the store").pipe(
            Effect.annotateLogs({ operation, ...(size === undefined ? {} : { size }) })
          )
    return spanned.pipe(
      Effect.tap(() => logged),
      Effect.tapError((error) => {
        if (isReported || !isUnavailable(error)) return Effect.void
        isReported = true
        return reportOutage(parts, operation, error)
      }),
      Effect.retry({ schedule: reconnect, while: isUnavailable })
    )
  })

/** The attempts at a task; none if they cannot be read. */
export const storedAttempts = (
  parts: Parameters<typeof storeCall>[0] & Pick<RunParts, "store">,
  id: TaskId
): Effect.Effect<ReadonlyArray<Attempt>> =>
  Effect.orElseSucceed(storeCall(parts, "attempts", parts.store.attempts(id)), () => [])

/** The number of tasks per status in the queues of the run. */
export const counts = (parts: RunParts): Effect.Effect<Counts, TaskStoreError> =>
  Effect.map(storeCall(parts, "counts", parts.store.queues), (queues) =>
    total(queues.filter(({ queue }) => parts.config.queues.includes(queue)))
  )

const reportOutage = (parts: Pick<RunParts, "clock" | "events">, operation: string, error: TaskStoreError) =>
  Effect.andThen(
    Effect.logWarning("The store did not answer; trying again", error.message).pipe(
      Effect.annotateLogs({ module: "TaskStore", operation })
    ),
    parts.events.publish({ _tag: "StoreUnavailable", at: now(parts), reason: error.message })
  )
