import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Formatter from "effect/Formatter"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import type { Execution } from "../../Execution.ts"
import type { ExecutorService } from "../../Executor.ts"
import { ExecutionError } from "../../ExecutionError.ts"
import type { Redact } from "../../Redactor.ts"
import type { SafetyStop } from "../../SafetyStop.ts"
import type { Metadata } from "../../Task.ts"
import type { Verification } from "../../Verification.ts"
import { VerificationError } from "../../VerificationError.ts"
import type { VerifierService } from "../../Verifier.ts"
import { isSecretName, mark } from "./patterns.ts"

/** An executor whose metadata and errors contain no secrets. Its output is left unchanged. Each run of an effect is a new call. */
export const executor = (redact: Redact | undefined, { execute }: ExecutorService): ExecutorService => {
  if (redact === undefined) return { execute: (task, context) => Effect.suspend(() => execute(task, context)) }
  const onError = (error: ExecutionError | SafetyStop) => {
    if (error._tag === "SafetyStop") return error
    const { cause, message, metadata, ...rest } = error
    return new ExecutionError({
      ...rest,
      message: redact(message),
      ...(metadata === undefined ? undefined : { metadata: object(redact, metadata) }),
      ...(cause === undefined || containsSecret(redact, cause) ? undefined : { cause })
    })
  }
  const onSuccess = (execution: Execution) =>
    Effect.succeed(
      isEmpty(execution.metadata) ? execution : { ...execution, metadata: object(redact, execution.metadata) }
    )
  const handlers = handlersOf(redact, onSuccess, onError)
  return {
    execute: (task, context) =>
      Effect.matchCauseEffect(
        Effect.suspend(() => execute(task, context)),
        handlers
      )
  }
}

/** A verifier whose feedback, issues and errors contain no secrets. Each run of an effect is a new call. */
export const verifier = (redact: Redact | undefined, { kind, kindOf, verify }: VerifierService): VerifierService => {
  if (redact === undefined) {
    return {
      kind,
      kindOf,
      verify: (task, execution, context) => Effect.suspend(() => verify(task, execution, context))
    }
  }
  const onError = (error: VerificationError | SafetyStop) => {
    if (error._tag === "SafetyStop") return error
    const { cause, message, ...rest } = error
    return new VerificationError({
      ...rest,
      message: redact(message),
      ...(cause === undefined || containsSecret(redact, cause) ? undefined : { cause })
    })
  }
  // A verifier without I/O often returns the same object.
  let clean: Verification | undefined
  const onSuccess = (verdict: Verification) => {
    if (verdict === clean || (verdict.feedback === "" && verdict.issues.length === 0)) return Effect.succeed(verdict)
    const feedback = redact(verdict.feedback)
    const issues = verdict.issues.map((issue) => redact(issue))
    if (feedback !== verdict.feedback || issues.some((issue, index) => issue !== verdict.issues[index])) {
      return Effect.succeed({ ...verdict, feedback, issues })
    }
    clean = verdict
    return Effect.succeed(verdict)
  }
  const handlers = handlersOf(redact, onSuccess, onError)
  return {
    kind,
    kindOf,
    verify: (task, execution, context) =>
      Effect.matchCauseEffect(
        Effect.suspend(() => verify(task, execution, context)),
        handlers
      )
  }
}

/** What follows a call. It adds a single step to one that succeeds, as most calls do. */
const handlersOf = <A, E>(redact: Redact, onSuccess: (value: A) => Effect.Effect<A>, onError: (error: E) => E) => ({
  onSuccess,
  onFailure: (cause: Cause.Cause<E>): Effect.Effect<A, E> =>
    Effect.failCause(cause).pipe(
      Effect.mapError(onError),
      Effect.catchDefect((cause) => Effect.die(defect(redact, cause)))
    )
})

const isEmpty = (metadata: Metadata): boolean => {
  for (const _ in metadata) return false
  return true
}

const object = (redact: Redact, metadata: Metadata): Metadata =>
  Object.fromEntries(Object.entries(metadata).map(([name, value]) => [name, field(redact, name, value)]))

const field = (redact: Redact, name: string, value: Schema.Json): Schema.Json =>
  Predicate.isString(value) && isSecretName(name) ? mark : json(redact, value)

const json = (redact: Redact, value: Schema.Json): Schema.Json => {
  if (Predicate.isString(value)) return redact(value)
  if (value === null || typeof value !== "object") return value
  return isArray(value) ? value.map((item) => json(redact, item)) : object(redact, value)
}

// `Array.isArray` does not narrow to read-only arrays.
const isArray = (value: Schema.JsonArray | Schema.JsonObject): value is Schema.JsonArray => Array.isArray(value)

const defect = (redact: Redact, cause: unknown): unknown =>
  containsSecret(redact, cause) ? new Error(redact(String(cause))) : cause

/**
 * Whether the printed form of an error, or of one of its causes, contains a secret. A cause can be any value, so it cannot be
 * redacted, only dropped.
 */
const containsSecret = (redact: Redact, cause: unknown): boolean => {
  const printed = Result.try(() => {
    let texts = ""
    let error = cause
    for (let depth = 0; depth < 8 && error !== undefined; depth++) {
      texts += `${String(error)}\n${Formatter.formatJson(error)}\n`
      if (!(error instanceof Error)) break
      texts += `${error.stack}\n`
      error = error.cause
    }
    return texts
  })
  return Result.isFailure(printed) || redact(printed.success) !== printed.success
}
