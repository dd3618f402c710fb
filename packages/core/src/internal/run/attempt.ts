import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { type AttemptContext, idempotencyKey } from "../../AttemptContext.ts"
import type { Execution } from "../../Execution.ts"
import type { ExecutionError } from "../../ExecutionError.ts"
import type { SafetyStop } from "../../SafetyStop.ts"
import * as Metrics from "../../OrchestratorMetrics.ts"
import * as Usage from "../../Usage.ts"
import type { VerificationError } from "../../VerificationError.ts"
import type { Checkpoints } from "./checkpoints.ts"
import type { Held } from "./held.ts"
import { errored, type Outcome, unstorable } from "./outcome.ts"
import { end, fail, ofAttempt, type Run } from "./run.ts"
import * as spending from "./spending.ts"
import * as traces from "./traces.ts"
import { withTransientRetry } from "./transientRetry.ts"

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** The lease is someone else's now, or nobody's: nothing that comes out of this attempt counts. */
export type Lost = { readonly _tag: "Lost" }

const lost: Lost = { _tag: "Lost" }

/**
 * Carries out one attempt: allow, execute, checkpoint, verify. Only the parts inside `restore` can be interrupted, so
 * an attempt that is cut off still tells how it ended.
 */
export const attempt = Effect.fnUntraced(function* (
  run: Run,
  checkpoints: Checkpoints,
  held: Held,
  restore: Restore
): Effect.fn.Return<Outcome | Lost> {
  const { checkpoint, task } = held.claim
  const context = contextOf(run, held)

  const allowed = yield* Effect.exit(restore(run.safety.allow))
  if (Exit.isFailure(allowed)) return cutOff(run, held, allowed.cause, stopped)
  // Cut off in the moment in which it was allowed.
  if (held.abort !== undefined) return cutOff(run, held, Cause.interrupt(), stopped)
  held.phase = "working"
  const startedAt = run.clock.currentTimeMillisUnsafe()
  held.startedAt = startedAt
  run.tally.started++
  yield* run.bus.publish({
    _tag: "TaskStarted",
    ...ofAttempt(run, task),
    description: task.description,
    resumed: checkpoint !== null
  })

  let execution: Execution
  if (checkpoint === null) {
    const usedUp = spending.usedUp(run.config, task)
    if (usedUp !== undefined) return { _tag: "Errored", message: usedUp, permanent: true, execution: null }
    run.tally.executions++
    run.executing.set(held)
    const executed = yield* Effect.exit(
      restore(
        run.spans.open(
          "invoke_agent",
          () => ({ attributes: traces.ofInvocation(run, task) }),
          withTransientRetry<Execution, ExecutionError>(run, held, {
            call: traces.ofOutput(
              run,
              Effect.suspend(() => run.executor.execute(task, context))
            ),
            isTransient: (error) => error.reason === "Transient",
            onRetry: (reason, delayMillis) =>
              Effect.andThen(
                Metrics.countRetry("execution"),
                run.bus.publish({ _tag: "ExecutionRetried", ...ofAttempt(run, task), reason, delayMillis })
              )
          })
        )
      )
    )
    run.executing.clear(held)
    if (Exit.isFailure(executed)) return cutOff(run, held, executed.cause, executionFailed)
    execution = run.spans.enabled ? yield* traces.keep(executed.value) : executed.value
    held.usage = Usage.add(held.usage, execution.usage)
  } else {
    execution = checkpoint
  }

  if (!run.config.verifyResults || run.verifier.kind === "none") {
    return { _tag: "Accepted", execution, verification: null, verified: false }
  }

  if (run.verifier.kind === "effectful" && checkpoint === null) {
    const saved = yield* Effect.exit(restore(checkpoints.save(held, execution)))
    if (Exit.isFailure(saved))
      return cutOff(run, held, saved.cause, () => unverifiable(execution, "it was interrupted"))
    switch (saved.value._tag) {
      case "Saved":
        break
      case "Lost":
        held.abort ??= saved.value.status === "cancelled" ? "cancelled" : "lease-lost"
        return lost
      case "Refused":
        return unstorable(saved.value.error)
    }
    yield* run.bus.publish({
      _tag: "TaskExecuted",
      ...ofAttempt(run, task),
      durationMillis: run.clock.currentTimeMillisUnsafe() - startedAt,
      usage: execution.usage
    })
  }

  run.verifying.set(held)
  const verifyingSince = run.clock.currentTimeMillisUnsafe()
  const verified = yield* Effect.exit(
    restore(
      run.spans.open(
        "baton.verify",
        () => ({ attributes: traces.ofAttempt(task) }),
        withTransientRetry(run, held, {
          call: traces.ofVerdict(
            run,
            Effect.suspend(() => run.verifier.verify(task, execution, context))
          ),
          isTransient: (error: VerificationError) => error.reason !== "Fatal" && error.reason !== "Permanent",
          onRetry: (reason, delayMillis) =>
            Effect.andThen(
              Metrics.countRetry("verification"),
              run.bus.publish({ _tag: "VerificationRetried", ...ofAttempt(run, task), reason, delayMillis })
            )
        })
      )
    )
  )
  run.verifying.clear(held)
  if (run.verifier.kind === "effectful") {
    yield* Metrics.measureVerification(run.clock.currentTimeMillisUnsafe() - verifyingSince)
  }
  if (Exit.isFailure(verified)) {
    return cutOff(run, held, verified.cause, (run, error) => verificationFailed(run, execution, error))
  }
  const verification = verified.value
  held.usage = Usage.add(held.usage, verification.usage)
  if (verification.passed) return { _tag: "Accepted", execution, verification, verified: true }
  yield* run.bus.publish({
    _tag: "VerificationFailed",
    ...ofAttempt(run, task),
    feedback: verification.feedback,
    issues: verification.issues
  })
  return { _tag: "Rejected", execution, verification }
})

const contextOf = (run: Run, held: Held): AttemptContext => {
  const { previousOutput, task } = held.claim
  return {
    attempt: task.attempts,
    idempotencyKey: idempotencyKey(task),
    previous: task.feedback === null ? null : { output: previousOutput, feedback: task.feedback },
    spend: spending.spend(run, held)
  }
}

/** Why a piece of work did not end by itself: our own interruption says so in `held.abort`, the rest is an error. */
const cutOff = <E>(
  run: Run,
  held: Held,
  cause: Cause.Cause<E>,
  onError: (run: Run, error: E | string) => Outcome
): Outcome | Lost => {
  switch (held.abort) {
    case "lease-lost":
    case "cancelled":
      return lost
    case "shutdown":
      return { _tag: "GivenBack", reason: "the run ended before it was done" }
    case "paused":
      return { _tag: "GivenBack", reason: "the run was paused before it was started" }
    case "execution-timeout":
      return {
        _tag: "Errored",
        message: "The execution took too long and was stopped.",
        permanent: false,
        execution: null
      }
    case "verification-timeout":
      return onError(run, "the verification took too long and was stopped")
    case undefined: {
      const error = Cause.findErrorOption(cause)
      if (Option.isSome(error)) return onError(run, error.value)
      // Nobody here cut it off. Were it given back, it would be tried again for ever.
      return onError(run, Cause.hasInterruptsOnly(cause) ? "it interrupted itself" : String(Cause.squash(cause)))
    }
  }
}

const stopped = (run: Run, stop: SafetyStop | string): Outcome => {
  if (typeof stop === "string") return { _tag: "Errored", message: stop, permanent: false, execution: null }
  end(run, { _tag: "LimitReached", limit: stop.limit, message: stop.message })
  return { _tag: "GivenBack", reason: stop.message }
}

const executionFailed = (run: Run, error: ExecutionError | SafetyStop | string): Outcome => {
  if (typeof error === "string") {
    return { _tag: "Errored", message: `The executor died: ${error}`, permanent: false, execution: null }
  }
  if (error._tag === "SafetyStop") {
    return error.scope === "task"
      ? { _tag: "Errored", message: error.message, permanent: true, execution: null }
      : stopped(run, error)
  }
  if (error.reason !== "Fatal") return errored(error)
  fail(run, error)
  return { _tag: "GivenBack", reason: error.message }
}

const unverifiable = (execution: Execution, why: string, permanent = false): Outcome => ({
  _tag: "Unverifiable",
  execution,
  message: `The output could not be verified: ${why}`,
  permanent
})

const verificationFailed = (
  run: Run,
  execution: Execution,
  error: VerificationError | SafetyStop | string
): Outcome => {
  if (typeof error === "string") return unverifiable(execution, error)
  if (error._tag === "SafetyStop") {
    return error.scope === "task" ? unverifiable(execution, error.message, true) : stopped(run, error)
  }
  if (error.reason !== "Fatal") return unverifiable(execution, error.message, error.reason === "Permanent")
  fail(run, error)
  return { _tag: "GivenBack", reason: error.message }
}
