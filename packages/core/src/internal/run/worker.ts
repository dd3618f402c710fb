import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import * as Usage from "../../Usage.ts"
import { attempt, type Lost } from "./attempt.ts"
import type { Checkpoints } from "./checkpoints.ts"
import type { Held } from "./held.ts"
import { extend, mayHaveEnded } from "./heartbeat.ts"
import { conclude, type Outcome } from "./outcome.ts"
import { forget, loseLease, ofAttempt, type Run } from "./run.ts"
import * as traces from "./traces.ts"

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
          // Claimed while the run was being paused.
          if (!Latch.isOpen(run.gate)) {
            yield* conclude(run, held, { _tag: "GivenBack", reason: "the run was paused before it was started" })
            continue
          }
          // Another worker has just met what ends the run, a bad key for instance: this one would only meet it again.
          if (Deferred.isDoneUnsafe(run.ending)) {
            yield* conclude(run, held, { _tag: "GivenBack", reason: "the run ended before it was started" })
            continue
          }
          held.worker = fiber
          held.phase = "waiting"
          // Work that nobody will accept is not started.
          if (mayHaveEnded(run, held)) yield* Effect.exit(restore(extend(run)))
          const { task } = held.claim
          const returning = run.returning.get(task.id)
          if (returning !== undefined) yield* Effect.exit(restore(Deferred.await(returning)))
          run.busy++
          const carriedOut = Effect.catchCause(attempt(run, checkpoints, held, restore), died)
          const outcome = yield* run.spans.enabled ? traces.ofTask(run, held, carriedOut) : carriedOut
          // Of calls before one that was cut off, no output and no error tells.
          held.usage = Usage.larger(held.usage, held.reserved)
          yield* record(run, held, outcome)
          held.worker = undefined
          run.busy--
          if (outcome._tag === "Lost") yield* lose(run, held)
          else yield* conclude(run, held, outcome)
          if (pause > 0) yield* restore(Effect.sleep(pause))
        }
      })
    )
  )

/** Foreign code can break what it touches, by answering with nothing at all for instance: its attempt has failed. */
const died = (cause: Cause.Cause<never>): Effect.Effect<Outcome> =>
  Effect.succeed({
    _tag: "Errored",
    message: `The attempt died: ${String(Cause.squash(cause))}`,
    permanent: false,
    execution: null
  })

const lose = Effect.fnUntraced(function* (run: Run, held: Held) {
  forget(run, held)
  if (held.abort !== "cancelled") yield* loseLease(run)
  // An attempt of which no start was told has no end to tell.
  if (held.startedAt === undefined) return
  const about = ofAttempt(run, held.claim.task)
  yield* run.bus.publish(
    held.abort === "cancelled" ? { _tag: "TaskCancelled", ...about } : { _tag: "LeaseLost", ...about, finished: false }
  )
})

/** Before the next task is taken, so that a limit counts this attempt when the next one asks. */
const record = (run: Run, held: Held, outcome: Outcome | Lost): Effect.Effect<void> => {
  // Never allowed to start: nothing to tell Safety.
  if (held.startedAt === undefined) return Effect.void
  run.tally.usage = Usage.add(run.tally.usage, held.usage)
  return Effect.catchCause(recordOutcome(run, held, outcome), (cause) =>
    Effect.logError("Safety died while an attempt was recorded", cause).pipe(Effect.annotateLogs({ module: "Safety" }))
  )
}

const recordOutcome = (run: Run, held: Held, outcome: Outcome | Lost): Effect.Effect<void> => {
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
      return run.safety.recordRelease(unreserved)
  }
}
