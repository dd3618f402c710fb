import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import type * as Execution from "../../Execution.ts"
import type * as Outcome from "../../Outcome.ts"
import type { Task, TaskId } from "../../Task.ts"
import type * as Usage from "../../Usage.ts"
import type { Verification } from "../../Verification.ts"
import type { ClaimedTask } from "./claims.ts"
import type { RunParts } from "./parts.ts"

type SpanOptions = Pick<Tracer.SpanOptionsNoTrace, "attributes" | "links" | "parent" | "root">

/** Opens spans, or does nothing. */
export interface Spans {
  /** Whether a tracer is installed. */
  readonly enabled: boolean
  readonly open: <A, E>(name: string, options: () => SpanOptions, effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
}

/**
 * A span costs about 4 µs even when it is not exported, so spans are opened only where a tracer is installed: where the
 * tracer is not Effect's own in-memory default.
 */
export const makeSpans: Effect.Effect<Spans> = Effect.withFiber((fiber) =>
  Effect.succeed<Spans>(
    fiber.getRef(Tracer.Tracer) === Tracer.nativeTracer
      ? { enabled: false, open: (_name, _options, effect) => effect }
      : {
          enabled: true,
          open: (name, options, effect) =>
            Effect.suspend(() => effect.pipe(Effect.withSpan(name, options(), { captureStackTrace: false })))
        }
  )
)

/**
 * The metadata field of an execution that holds the trace context of its task, in the format of the W3C
 * (https://www.w3.org/TR/trace-context/).
 *
 * Each task has a separate trace: a trace with thousands of tasks could not be viewed, and that of a worker would never end.
 * Later attempts continue the trace of the first one, in other processes as well.
 */
const key = "traceparent"

/** Another worker may take a task over, so that its entry is never removed. */
const maxRemembered = 10_000

/** The traces of tasks. */
export interface TaskTraces {
  /** Opens the span of one attempt, from the moment when a worker takes the task until its outcome is known. */
  readonly ofTask: (claimed: ClaimedTask, attempt: Effect.Effect<Outcome.Outcome>) => Effect.Effect<Outcome.Outcome>
}

/** Undefined where no tracer is installed. */
export const make = (parts: RunParts): TaskTraces | undefined => {
  if (!parts.spans.enabled) return undefined
  /** The trace contexts of tasks whose next attempt is most likely to run here. */
  const remembered = new Map<TaskId, string>()

  const earlierContext = Effect.fnUntraced(function* ({ claim: { checkpoint, task } }: ClaimedTask) {
    const known = remembered.get(task.id) ?? contextIn(checkpoint)
    if (known !== undefined) return decode(known)
    const attempts = yield* Effect.orElseSucceed(parts.store.attempts(task.id), () => [])
    for (const { execution } of attempts) {
      const context = contextIn(execution)
      if (context !== undefined) return decode(context)
    }
    return undefined
  })

  /** Keeps the trace context for the next attempt, if there is one. */
  const remember = (task: Task, span: Tracer.AnySpan, outcome: Outcome.Outcome): Outcome.Outcome => {
    remembered.delete(task.id)
    const context = encode(span)
    switch (outcome._tag) {
      case "Lost":
      case "Released":
        return outcome
      case "Accepted":
      case "InReview":
        return { ...outcome, execution: withContext(outcome.execution, context) }
      case "Rejected":
      case "Unverifiable":
      case "Errored":
        remembered.set(task.id, context)
        for (const oldest of remembered.keys()) {
          if (remembered.size <= maxRemembered) break
          remembered.delete(oldest)
        }
        return outcome.execution === undefined
          ? outcome
          : { ...outcome, execution: withContext(outcome.execution, context) }
    }
  }

  return {
    ofTask: Effect.fnUntraced(function* (claimed, attempt) {
      const { checkpoint, task } = claimed.claim
      const isFirst = task.attempts === 1 && task.requeues === 0 && checkpoint === undefined
      const first = isFirst ? undefined : yield* earlierContext(claimed)
      const run = yield* Effect.option(Effect.currentSpan)
      const links = [
        ...(first === undefined ? [] : [{ span: first, attributes: { "baton.link": "first attempt" } }]),
        ...(Option.isNone(run) ? [] : [{ span: run.value, attributes: { "baton.link": "run" } }])
      ]
      return yield* parts.spans.open(
        "baton.task",
        () => ({ attributes: ofAttempt(task), links, ...(first === undefined ? { root: true } : { parent: first }) }),
        Effect.flatMap(Effect.orDie(Effect.currentSpan), (span) =>
          Effect.map(attempt, (outcome) => {
            for (const [name, value] of Object.entries(ofOutcome(claimed, outcome))) span.attribute(name, value)
            return remember(task, first ?? span, outcome)
          })
        )
      )
    })
  }
}

const contextIn = (execution: Execution.Execution | undefined): string | undefined => {
  const value = execution?.metadata[key]
  return typeof value === "string" ? value : undefined
}

const decode = (context: string): Tracer.ExternalSpan | undefined => {
  const match = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(context)
  if (match?.[1] === undefined || match[2] === undefined) return undefined
  return Tracer.externalSpan({ traceId: match[1], spanId: match[2], sampled: match[3] !== "00" })
}

const encode = ({ sampled, spanId, traceId }: Tracer.AnySpan): string =>
  `00-${traceId.padStart(32, "0")}-${spanId.padStart(16, "0")}-${sampled ? "01" : "00"}`

/** An output that is about to be saved, with the trace context of its task. */
export const withTraceContext = (execution: Execution.Execution): Effect.Effect<Execution.Execution> =>
  Effect.match(Effect.currentSpan, {
    onFailure: () => execution,
    onSuccess: (span) => withContext(execution, encode(firstOf(span)))
  })

const firstOf = (span: Tracer.Span): Tracer.AnySpan =>
  Option.isSome(span.parent) && span.parent.value._tag === "ExternalSpan" ? span.parent.value : span

const withContext = (execution: Execution.Execution, context: string): Execution.Execution =>
  Object.hasOwn(execution.metadata, key)
    ? execution
    : { ...execution, metadata: { ...execution.metadata, [key]: context } }

/** The attributes that every span about an attempt has. */
const ofAttempt = (task: Task) => ({ "baton.task.id": task.id, "baton.task.attempt": task.attempts })

const outcomes = {
  Accepted: "accepted",
  InReview: "in_review",
  Rejected: "rejected",
  Errored: "errored",
  Unverifiable: "unverifiable",
  Released: "released",
  Lost: "lost"
} as const satisfies Record<Outcome.Outcome["_tag"], string>

const ofOutcome = ({ usage }: ClaimedTask, { _tag }: Outcome.Outcome): Record<string, unknown> => ({
  "baton.task.outcome": outcomes[_tag],
  ...(_tag === "Errored" || _tag === "Unverifiable" ? { "error.type": outcomes[_tag] } : {}),
  ...ofUsage(usage)
})

/** Usage in the names of the GenAI conventions, which have none for money. */
const ofUsage = (usage: Usage.Usage | undefined): Record<string, unknown> =>
  usage === undefined
    ? {}
    : {
        "gen_ai.usage.input_tokens": usage.inputTokens + usage.cacheReadTokens + usage.cacheWriteTokens,
        "gen_ai.usage.output_tokens": usage.outputTokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cacheReadTokens,
        "gen_ai.usage.cache_write.input_tokens": usage.cacheWriteTokens,
        ...(usage.costUsd === null ? {} : { "baton.cost.usd": usage.costUsd })
      }

/** Adds the verdict to the span of a verification, as the GenAI conventions describe it. */
export const withVerdict = <E>(
  { clock, spans }: RunParts,
  verify: Effect.Effect<Verification, E>
): Effect.Effect<Verification, E> =>
  spans.enabled
    ? Effect.tap(verify, ({ confidence, passed }) =>
        Effect.ignore(
          Effect.map(Effect.currentSpan, (span) =>
            span.event("gen_ai.evaluation.result", clock.currentTimeNanosUnsafe(), {
              "gen_ai.evaluation.name": "baton.verify",
              "gen_ai.evaluation.score.value": confidence,
              "gen_ai.evaluation.score.label": passed ? "pass" : "fail"
            })
          )
        )
      )
    : verify

/** Opens the span of an execution. */
export const ofExecution = <A, E>(parts: RunParts, { claim }: ClaimedTask, execute: Effect.Effect<A, E>) =>
  parts.spans.open("invoke_agent", () => ({ attributes: ofInvocation(parts, claim.task) }), execute)

/** Opens the span of a verification. */
export const ofVerification = <A, E>({ spans }: RunParts, { claim }: ClaimedTask, verify: Effect.Effect<A, E>) =>
  spans.open("baton.verify", () => ({ attributes: ofAttempt(claim.task) }), verify)

/** The attributes of the span of an execution. */
const ofInvocation = ({ config }: RunParts, task: Task) => ({
  ...ofAttempt(task),
  "gen_ai.operation.name": "invoke_agent",
  ...(config.traceContent ? { "gen_ai.input.messages": message("user", task.description) } : {})
})

/** Adds the output to the span of an execution, if the configuration says so. */
export const withOutput = <E>({ config, spans }: RunParts, execute: Effect.Effect<Execution.Execution, E>) =>
  spans.enabled && config.traceContent
    ? Effect.tap(execute, ({ output }) =>
        Effect.annotateCurrentSpan("gen_ai.output.messages", message("assistant", output))
      )
    : execute

/** Messages as the GenAI conventions write them into an attribute. */
const message = (role: "user" | "assistant", content: string) =>
  JSON.stringify([{ role, parts: [{ type: "text", content }] }])
