import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import type * as Execution from "../../Execution.ts"
import type { Task, TaskId } from "../../Task.ts"
import type * as Usage from "../../Usage.ts"
import type { Verification } from "../../Verification.ts"
import type { Held } from "./held.ts"
import type { Lost } from "./attempt.ts"
import type { Outcome } from "./outcome.ts"
import type { Run } from "./run.ts"

/**
 * A task is a trace of its own: a run of thousands in one trace could not be looked at, and that of a worker would never
 * end. Later attempts go on with the trace of the first, in other processes too: its context is kept with what the attempt
 * brought out, in the metadata of its execution, in the form of the W3C (https://www.w3.org/TR/trace-context/).
 */
const key = "traceparent"

/** Where the traces of tasks are that failed here and are tried again: mostly it is this process that does. */
export type Traces = Map<TaskId, string>

// A task that another worker took over stays in the map, so there has to be an end to it.
const remembered = 10_000

/** One attempt at one task, from the moment a worker takes it to the moment its end is on the way to the store. */
export const ofTask = Effect.fnUntraced(function* (
  run: Run,
  held: Held,
  effect: Effect.Effect<Outcome | Lost>
): Effect.fn.Return<Outcome | Lost> {
  const { checkpoint, task } = held.claim
  const isFirst = task.attempts === 1 && task.requeues === 0 && checkpoint === null
  const first = isFirst ? undefined : yield* earlier(run, held)
  const owner = yield* Effect.option(Effect.currentSpan)
  const links = [
    ...(first === undefined ? [] : [{ span: first, attributes: { "baton.link": "first attempt" } }]),
    ...(Option.isNone(owner) ? [] : [{ span: owner.value, attributes: { "baton.link": "run" } }])
  ]
  return yield* run.spans.open(
    "baton.task",
    () => ({ attributes: ofAttempt(task), links, ...(first === undefined ? { root: true } : { parent: first }) }),
    Effect.flatMap(Effect.orDie(Effect.currentSpan), (span) =>
      Effect.map(effect, (outcome) => {
        for (const [name, value] of Object.entries(endOf(held, outcome))) span.attribute(name, value)
        return remember(run, task, first ?? span, outcome)
      })
    )
  )
})

/** The attributes that every span about an attempt has. */
export const ofAttempt = (task: Task) => ({ "baton.task.id": task.id, "baton.task.attempt": task.attempts })

const earlier = Effect.fnUntraced(function* (run: Run, { claim: { checkpoint, task } }: Held) {
  const known = run.traces.get(task.id) ?? parentIn(checkpoint)
  if (known !== undefined) return decode(known)
  const attempts = yield* Effect.orElseSucceed(run.store.attempts(task.id), () => [])
  for (const { execution } of attempts) {
    const parent = parentIn(execution)
    if (parent !== undefined) return decode(parent)
  }
  return undefined
})

const parentIn = (execution: Execution.Execution | null): string | undefined => {
  const value = execution?.metadata[key]
  return typeof value === "string" ? value : undefined
}

const decode = (parent: string): Tracer.ExternalSpan | undefined => {
  const match = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(parent)
  if (match?.[1] === undefined || match[2] === undefined) return undefined
  return Tracer.externalSpan({ traceId: match[1], spanId: match[2], sampled: match[3] !== "00" })
}

const encode = ({ sampled, spanId, traceId }: Tracer.AnySpan): string =>
  `00-${traceId.padStart(32, "0")}-${spanId.padStart(16, "0")}-${sampled ? "01" : "00"}`

/** Keeps the context of the trace for the attempt that follows, if one does. */
const remember = (run: Run, task: Task, span: Tracer.AnySpan, outcome: Outcome | Lost): Outcome | Lost => {
  run.traces.delete(task.id)
  if (outcome._tag === "Lost" || outcome._tag === "GivenBack") return outcome
  const parent = encode(span)
  if (outcome._tag !== "Accepted") {
    run.traces.set(task.id, parent)
    for (const oldest of run.traces.keys()) {
      if (run.traces.size <= remembered) break
      run.traces.delete(oldest)
    }
  }
  return outcome.execution === null ? outcome : { ...outcome, execution: withParent(outcome.execution, parent) }
}

/** An output that is about to be saved, with the context of its trace. */
export const keep = (execution: Execution.Execution): Effect.Effect<Execution.Execution> =>
  Effect.match(Effect.currentSpan, {
    onFailure: () => execution,
    onSuccess: (span) => withParent(execution, encode(firstOf(span)))
  })

const firstOf = (span: Tracer.Span): Tracer.AnySpan =>
  Option.isSome(span.parent) && span.parent.value._tag === "ExternalSpan" ? span.parent.value : span

const withParent = (execution: Execution.Execution, parent: string): Execution.Execution =>
  Object.hasOwn(execution.metadata, key)
    ? execution
    : { ...execution, metadata: { ...execution.metadata, [key]: parent } }

const outcomes = {
  Accepted: "accepted",
  Rejected: "rejected",
  Errored: "errored",
  Unverifiable: "unverifiable",
  GivenBack: "released",
  Lost: "lost"
} as const satisfies Record<(Outcome | Lost)["_tag"], string>

const endOf = (held: Held, outcome: Outcome | Lost): Record<string, unknown> => ({
  "baton.task.outcome": outcomes[outcome._tag],
  ...(outcome._tag === "Errored" || outcome._tag === "Unverifiable" ? { "error.type": outcomes[outcome._tag] } : {}),
  ...ofUsage(held.usage)
})

/** What was used, in the names of the GenAI conventions; there is none for money. */
export const ofUsage = (usage: Usage.Usage | null): Record<string, unknown> =>
  usage === null
    ? {}
    : {
        "gen_ai.usage.input_tokens": usage.inputTokens + usage.cacheReadTokens + usage.cacheWriteTokens,
        "gen_ai.usage.output_tokens": usage.outputTokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cacheReadTokens,
        "gen_ai.usage.cache_write.input_tokens": usage.cacheWriteTokens,
        ...(usage.costUsd === null ? {} : { "baton.cost.usd": usage.costUsd })
      }

/** Tells on the span of a verification what the verdict is, as the GenAI conventions have it. */
export const ofVerdict = <E>(run: Run, verify: Effect.Effect<Verification, E>): Effect.Effect<Verification, E> =>
  run.spans.enabled
    ? Effect.tap(verify, ({ confidence, passed }) =>
        Effect.ignore(
          Effect.map(Effect.currentSpan, (span) =>
            span.event("gen_ai.evaluation.result", run.clock.currentTimeNanosUnsafe(), {
              "gen_ai.evaluation.name": "baton.verify",
              "gen_ai.evaluation.score.value": confidence,
              "gen_ai.evaluation.score.label": passed ? "pass" : "fail"
            })
          )
        )
      )
    : verify

/** The attributes of the span of an execution. */
export const ofInvocation = (run: Run, task: Task) => ({
  ...ofAttempt(task),
  "gen_ai.operation.name": "invoke_agent",
  ...(run.config.traceContent ? { "gen_ai.input.messages": message("user", task.description) } : {})
})

/** Adds what came out to the span of an execution, where that is asked for. */
export const ofOutput = <E>(run: Run, execute: Effect.Effect<Execution.Execution, E>) =>
  run.spans.enabled && run.config.traceContent
    ? Effect.tap(execute, ({ output }) =>
        Effect.annotateCurrentSpan("gen_ai.output.messages", message("assistant", output))
      )
    : execute

/** Messages as the GenAI conventions write them into an attribute. */
const message = (role: "user" | "assistant", content: string) =>
  JSON.stringify([{ role, parts: [{ type: "text", content }] }])
