import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Usage from "../../Usage.ts"
import { attempt, type Lost } from "./attempt.ts"
import type { Checkpoints } from "./checkpoints.ts"
import type { Held } from "./held.ts"
import { type Outcome, settle } from "./outcome.ts"
import { forget, ofAttempt, type Run } from "./run.ts"

/** Before the next task is taken, so that a limit counts this attempt when the next one asks. */
const record = (run: Run, held: Held, outcome: Outcome | Lost): Effect.Effect<void> => {
  const unreserved =
    held.usage !== null && held.reserved !== null ? Usage.subtract(held.usage, held.reserved) : held.usage
  switch (outcome._tag) {
    case "Accepted":
      return run.safety.recordSuccess(unreserved)
    case "Rejected":
      return run.safety.recordFailure(outcome.verification.feedback, unreserved)
    case "Errored":
    case "Unverifiable":
      return run.safety.recordFailure(outcome.message, unreserved)
    case "GivenBack":
    case "Lost":
      return Effect.void
  }
}

/**
 * One worker: takes claims and carries them out, one after the other, in the same fiber. A fiber per task would cost
 * 2.8 µs each; instead, cutting off a task ends the worker's fiber, and a new one takes its place.
 */
export const worker = (run: Run, checkpoints: Checkpoints): Effect.Effect<never> =>
  Effect.forever(Effect.flatMap(Effect.forkChild(work(run, checkpoints)), Fiber.await))

const work = (run: Run, checkpoints: Checkpoints): Effect.Effect<never> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.withFiber((fiber) =>
      Effect.gen(function* () {
        const pause = Duration.toMillis(run.config.pauseBetweenTasks)
        while (true) {
          const held = yield* restore(Queue.take(run.queue))
          if (Queue.sizeUnsafe(run.queue) * 2 <= run.config.prefetch) run.demand.openUnsafe()
          // Lost or cancelled while it was queued.
          if (held.abort !== undefined) {
            forget(run, held)
            continue
          }
          held.worker = fiber
          held.phase = "waiting"
          held.startedAt = run.clock.currentTimeMillisUnsafe()
          run.busy++
          const outcome = yield* run.spans(
            "Orchestrator.attempt",
            () => ({ "task.id": held.claim.task.id, "task.attempt": held.claim.task.attempts }),
            attempt(run, checkpoints, held, restore)
          )
          yield* record(run, held, outcome)
          held.phase = "settling"
          held.worker = undefined
          run.busy--
          if (outcome._tag === "Lost") {
            const cancelled = held.abort === "cancelled"
            if (!cancelled) run.tally.leasesLost++
            forget(run, held)
            yield* run.bus.publish(
              cancelled
                ? { _tag: "TaskCancelled", ...ofAttempt(run, held.claim.task) }
                : { _tag: "LeaseLost", ...ofAttempt(run, held.claim.task), finished: false }
            )
          } else {
            const settlement = yield* settle(run.config, held, outcome)
            yield* Queue.offer(run.ended, { held, settlement })
          }
          if (pause > 0) yield* restore(Effect.sleep(pause))
        }
      })
    )
  )
