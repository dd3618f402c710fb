import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { type AttemptContext, idempotencyKey } from "../../AttemptContext.ts"
import * as Execution from "../../Execution.ts"
import { ExecutionError } from "../../ExecutionError.ts"
import type * as Outcome from "../../Outcome.ts"
import type { SafetyStop } from "../../SafetyStop.ts"
import type { Stats } from "../../Stats.ts"
import { VerificationError } from "../../VerificationError.ts"
import * as checkpoints from "./checkpoints.ts"
import type { ClaimedTask, Claims } from "./claims.ts"
import * as deadlines from "./deadlines.ts"
import * as dependencies from "./dependencies.ts"
import { now, ofAttempt, type RunParts, type StopSignal } from "./parts.ts"
import { unstorable } from "./settlement.ts"
import { notStarted } from "./settler.ts"
import * as queuePauses from "./queuePauses.ts"
import * as progress from "./progress.ts"
import * as spending from "./spending.ts"
import * as starts from "./starts.ts"
import { storedAttempts } from "./storeCall.ts"
import * as traces from "./traces.ts"
import { type Retrying, withTransientRetry } from "./transientRetry.ts"

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** Carries out attempts: allow, execute, checkpoint, verify. */
export interface Attempts {
  /** Only the parts inside `restore` can be interrupted, so that an attempt that is cut off still has an outcome. */
  readonly attempt: (claimed: ClaimedTask, restore: Restore) => Effect.Effect<Outcome.Outcome>
  readonly stats: () => Pick<Stats, "tasksStarted" | "executions">
  readonly loops: ReadonlyArray<Effect.Effect<never>>
}

const lost: Outcome.Lost = { _tag: "Lost" }

export const make = Effect.fnUntraced(function* (
  parts: RunParts,
  claims: Claims,
  stop: StopSignal
): Effect.fn.Return<Attempts> {
  const { clock, config, events, executor, safety, spans, verifier } = parts
  const saving = yield* checkpoints.make(parts)
  const starting = starts.make(parts, claims)
  const executing = yield* deadlines.make<ClaimedTask>(config.executionTimeout, (claimed) =>
    claimed.abort("execution-timeout")
  )
  const verifying = yield* deadlines.make<ClaimedTask>(config.verificationTimeout, (claimed) =>
    claimed.abort("verification-timeout")
  )
  const reports = progress.make(parts)
  const storedOutput = checkpoints.makeStored(parts)
  let started = 0
  let executions = 0

  const attempt = Effect.fnUntraced(function* (
    claimed: ClaimedTask,
    restore: Restore
  ): Effect.fn.Return<Outcome.Outcome> {
    const { task } = claimed.claim
    // What has ended already cannot be interrupted.
    const { allow } = safety
    const allowed = yield* Effect.exit(Exit.isExit(allow) ? allow : restore(allow))
    if (Exit.isFailure(allowed)) return cutOff(claimed, allowed.cause, onNotAllowed)
    // Aborted in the moment in which it was allowed.
    if (claimed.abortReason !== undefined) return cutOff(claimed, Cause.interrupt(), onNotAllowed)
    claimed.isAllowed = true
    if (!claimed.isStarted) {
      const failed = yield* begin(claimed, restore)
      if (failed !== undefined) return failed
    }
    claimed.phase = "working"
    claimed.startedAt = clock.currentTimeMillisUnsafe()
    started++
    const checkpoint = claimed.claim.checkpoint === undefined ? undefined : yield* storedOutput(claimed)
    yield* events.publish({
      _tag: "TaskStarted",
      at: now(parts),
      taskId: task.id,
      attempt: task.attempts,
      description: task.description,
      resumed: checkpoint !== undefined
    })

    const kind = verifier.kindOf?.(task) ?? verifier.kind
    const context = contextOf(parts, claimed, reports)
    let execution: Execution.Execution
    if (checkpoint === undefined) {
      const usedUp = spending.usedUp(config, task)
      if (usedUp !== undefined) return errored("Permanent", usedUp)
      executions++
      const timeoutMillis = task.overrides.executionTimeoutMillis
      const deadline = timeoutMillis === undefined ? executing.set(claimed) : undefined
      const executed = yield* Effect.exit(restore(withTimeout(execute(claimed, context), timeoutMillis)))
      executing.clear(deadline)
      if (Exit.isFailure(executed)) {
        return isLeftUndone(claimed)
          ? errored("Permanent", cutOffForGood)
          : cutOff(claimed, executed.cause, onExecutionError)
      }
      const made = kind === "effectful" ? checkpoints.withExecutor(parts, executed.value) : executed.value
      execution = spans.enabled ? yield* traces.withTraceContext(made) : made
      claimed.addUsage(execution.usage)
      // Before the output is saved: a crash after that ends the attempt without a settlement.
      parts.budgets?.book(claimed)
    } else {
      execution = checkpoint
    }

    if (!config.verifyResults || kind === "none") {
      return { _tag: "Accepted", execution, verified: false }
    }
    if (kind === "effectful" && checkpoint === undefined) {
      const failed = yield* save(claimed, execution, restore)
      if (failed !== undefined) return failed
    }

    const verdictDeadline = verifying.set(claimed)
    const verifyingSince = clock.currentTimeMillisUnsafe()
    const verified = yield* Effect.exit(restore(verify(claimed, execution, context)))
    verifying.clear(verdictDeadline)
    if (kind === "effectful") {
      yield* parts.metrics.of(task.queue).measureVerification(clock.currentTimeMillisUnsafe() - verifyingSince)
    }
    if (Exit.isFailure(verified)) {
      // Without a verifier that does I/O, the output is not in the store.
      if (kind !== "effectful" && isLeftUndone(claimed)) {
        return unverifiable(execution, "Permanent", cutOffForGood)
      }
      return cutOff(claimed, verified.cause, (error) => onVerificationError(execution, error))
    }
    const verification = verified.value
    claimed.addUsage(verification.usage)
    if (verification.review !== undefined) {
      if (parts.store.reviews !== undefined) return { _tag: "InReview", execution, verification }
      return onFatal(new VerificationError({ reason: "Fatal", message: noReviews }))
    }
    if (verification.passed) return { _tag: "Accepted", execution, verification, verified: true }
    yield* events.publish({
      _tag: "VerificationFailed",
      ...ofAttempt(parts, task),
      feedback: verification.feedback,
      issues: verification.issues
    })
    return { _tag: "Rejected", execution, verification }
  })

  /** Makes the start of the task durable. Returns an outcome when that failed. */
  const begin = Effect.fnUntraced(function* (
    claimed: ClaimedTask,
    restore: Restore
  ): Effect.fn.Return<Outcome.Outcome | undefined> {
    const begun = yield* Effect.exit(restore(starting.start(claimed)))
    if (Exit.isFailure(begun)) return cutOff(claimed, begun.cause, onNotAllowed)
    switch (begun.value._tag) {
      case "Lost":
        claimed.abortReason ??= begun.value.status === "cancelled" ? "cancelled" : "lease-lost"
        return lost
      case "Refused":
        stop.fail(begun.value.error)
        return { _tag: "Released", reason: begun.value.error.message }
      case "Started":
        // Aborted in the moment in which it was started.
        return claimed.abortReason === undefined ? undefined : cutOff(claimed, Cause.interrupt(), onNotAllowed)
    }
  })

  const retryingExecution: Retrying<ExecutionError> = {
    ...config,
    isTransient: ({ reason }) => reason === "Transient",
    onError: addUsageOf,
    onRetry: ({ claim: { task } }, reason, delayMillis) =>
      Effect.andThen(
        parts.metrics.of(task.queue).countRetry("execution"),
        events.publish({ _tag: "ExecutionRetried", ...ofAttempt(parts, task), reason, delayMillis })
      )
  }

  const execute = (claimed: ClaimedTask, context: AttemptContext) => {
    const call = traces.withOutput(parts, executor.execute(claimed.claim.task, context))
    const execution = withTransientRetry(claimed, call, retryingExecution)
    return spans.enabled ? traces.ofExecution(parts, claimed, execution) : execution
  }

  /** Makes the output durable. Returns an outcome when that failed. */
  const save = Effect.fnUntraced(function* (
    claimed: ClaimedTask,
    execution: Execution.Execution,
    restore: Restore
  ): Effect.fn.Return<Outcome.Outcome | undefined> {
    const saved = yield* Effect.exit(restore(saving.save(claimed, execution)))
    if (Exit.isFailure(saved)) {
      if (isLeftUndone(claimed)) return unverifiable(execution, "Permanent", cutOffForGood)
      return cutOff(claimed, saved.cause, () => unverifiable(execution, "Failed", "it was interrupted"))
    }
    switch (saved.value._tag) {
      case "Lost":
        claimed.abortReason ??= saved.value.status === "cancelled" ? "cancelled" : "lease-lost"
        return lost
      case "Refused":
        return unstorable(saved.value.error)
      case "Saved":
        yield* events.publish({
          _tag: "TaskExecuted",
          ...ofAttempt(parts, claimed.claim.task),
          durationMillis: clock.currentTimeMillisUnsafe() - (claimed.startedAt ?? 0),
          usage: execution.usage
        })
        return undefined
    }
  })

  const retryingVerification: Retrying<VerificationError> = {
    ...config,
    isTransient: ({ reason }) => reason !== "Fatal" && reason !== "Permanent" && reason !== "RateLimited",
    onError: addUsageOf,
    onRetry: ({ claim: { task } }, reason, delayMillis) =>
      Effect.andThen(
        parts.metrics.of(task.queue).countRetry("verification"),
        events.publish({ _tag: "VerificationRetried", ...ofAttempt(parts, task), reason, delayMillis })
      )
  }

  const verify = (claimed: ClaimedTask, execution: Execution.Execution, context: AttemptContext) => {
    const call = traces.withVerdict(parts, verifier.verify(claimed.claim.task, execution, context))
    const verification = withTransientRetry(claimed, call, retryingVerification)
    return spans.enabled ? traces.ofVerification(parts, claimed, verification) : verification
  }

  /** Whether work that must not run twice was cut off by the end of the run: a part of it may be done. */
  const isLeftUndone = ({ abortReason }: ClaimedTask): boolean =>
    config.onCrash === "dead-letter" && abortReason === "shutdown"

  /** The outcome of an attempt that did not end by itself: from its abort reason if it was aborted, or from the error. */
  const cutOff = <E>(
    { abortReason }: ClaimedTask,
    cause: Cause.Cause<E>,
    onError: (error: E | string) => Outcome.Outcome
  ): Outcome.Outcome => {
    switch (abortReason) {
      case "lease-lost":
      case "cancelled":
        return lost
      case "shutdown":
        return { _tag: "Released", reason: "the run ended before it was done" }
      case "paused":
      case "queue-paused":
      case "cooling-down":
        return { _tag: "Released", reason: notStarted[abortReason] }
      case "execution-timeout":
        return errored("TimedOut", tookTooLong)
      case "verification-timeout":
        return onError("the verification took too long and was stopped")
      case undefined: {
        const error = Cause.findErrorOption(cause)
        if (Option.isSome(error)) return onError(error.value)
        // The attempt interrupted itself. Releasing it would retry it forever.
        return onError(Cause.hasInterruptsOnly(cause) ? "it interrupted itself" : String(Cause.squash(cause)))
      }
    }
  }

  const onNotAllowed = (error: SafetyStop | string): Outcome.Outcome =>
    typeof error === "string" ? errored("Failed", error) : onLimit(error)

  const onLimit = (limit: SafetyStop): Outcome.Released => {
    stop.limitReached(limit)
    return { _tag: "Released", reason: limit.message }
  }

  const onExecutionError = (error: ExecutionError | SafetyStop | string): Outcome.Outcome => {
    if (typeof error === "string") return errored("Failed", `The executor died: ${error}`)
    if (error._tag === "SafetyStop")
      return error.scope === "task" ? errored("Permanent", error.message) : onLimit(error)
    if (error.reason === "RateLimited") return onUsageLimit(error)
    return error.reason === "Fatal" ? onFatal(error) : { _tag: "Errored", execution: partialExecution(error), error }
  }

  const onVerificationError = (
    execution: Execution.Execution,
    error: VerificationError | SafetyStop | string
  ): Outcome.Outcome => {
    if (typeof error === "string") return unverifiable(execution, "Failed", error)
    if (error._tag === "SafetyStop") {
      return error.scope === "task" ? unverifiable(execution, "Permanent", error.message) : onLimit(error)
    }
    if (error.reason === "RateLimited") return onUsageLimit(error)
    return error.reason === "Fatal" ? onFatal(error) : { _tag: "Unverifiable", execution, error }
  }

  const onUsageLimit = (error: ExecutionError | VerificationError): Outcome.Released => ({
    _tag: "Released",
    reason: error.message,
    usageLimitUntil: queuePauses.limitEnd(parts, error)
  })

  const onFatal = (error: ExecutionError | VerificationError): Outcome.Released => {
    stop.fail(error)
    return { _tag: "Released", reason: error.message }
  }

  return {
    attempt,
    stats: () => ({ tasksStarted: started, executions }),
    loops: [saving.loop, starting.loop, executing.loop, verifying.loop, ...reports.loops]
  }
})

const contextOf = (parts: RunParts, claimed: ClaimedTask, reports: progress.ProgressReports): AttemptContext => {
  const { previousOutput, task, token } = claimed.claim
  return {
    attempt: task.attempts,
    leaseToken: token,
    idempotencyKey: idempotencyKey(task),
    previous: task.feedback === undefined ? undefined : { output: previousOutput, feedback: task.feedback },
    dependencies: dependencies.outputs(parts, task),
    progress: reports.of(claimed),
    earlierAttempts: earlierAttempts(parts, claimed),
    completedAttempts: parts.budgets?.completedAttempts(task.queue),
    spend: spending.spend(parts, claimed)
  }
}

const earlierAttempts = (parts: RunParts, { claim: { task, token } }: ClaimedTask) =>
  Effect.suspend(() =>
    Effect.map(storedAttempts(parts, task.id), (attempts) => attempts.filter((attempt) => attempt.token !== token))
  )

const addUsageOf = (claimed: ClaimedTask, error: ExecutionError | VerificationError | SafetyStop): void => {
  if (error._tag !== "SafetyStop") claimed.addUsage(error.usage)
}

const cutOffForGood =
  "The run ended before the task was done. It has started and must not run twice, so it is not run again by itself."

const noReviews =
  "The verifier sent a task to review, and this store cannot hold tasks for people: use another store, or a verifier that decides by itself."

const tookTooLong = "The execution took too long and was stopped."

/** For a task with its own timeout. The timeout of the run costs less. */
const withTimeout = <A, E>(execute: Effect.Effect<A, E>, millis: number | undefined) =>
  millis === undefined
    ? execute
    : Effect.timeoutOrElse(execute, {
        duration: millis,
        orElse: () => Effect.fail(new ExecutionError({ reason: "TimedOut", message: tookTooLong }))
      })

const errored = (reason: ExecutionError["reason"], message: string): Outcome.Errored => ({
  _tag: "Errored",
  error: new ExecutionError({ reason, message })
})

const unverifiable = (
  execution: Execution.Execution,
  reason: VerificationError["reason"],
  message: string
): Outcome.Unverifiable => ({
  _tag: "Unverifiable",
  execution,
  error: new VerificationError({ reason, message })
})

/** What a failed execution leaves for the ledger: partial output, exit code, request id. */
const partialExecution = ({ metadata, output, usage }: ExecutionError): Execution.Execution | undefined =>
  output === undefined && metadata === undefined
    ? undefined
    : Execution.make({ output: output ?? "", confidence: 0, usage, metadata: metadata ?? {} })
