import * as Execution from "@baton/core/Execution"
import { ExecutionError } from "@baton/core/ExecutionError"
import type { Metadata } from "@baton/core/Task"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import type * as Schema from "effect/Schema"
import { lastLines } from "../../command/internal/output.ts"
import { exitSentence } from "../../command/internal/taskProgram.ts"
import type * as Program from "../../command/Program.ts"
import { retryTimeIn } from "../../internal/retryTime.ts"
import type { Result } from "./messages.ts"
import { costByModel, type Session, usageOf } from "./session.ts"

/** A session that has ended. */
export interface EndedSession {
  readonly exit: Program.ProgramExit
  readonly session: Session
  /** The session that this one continued, if any. */
  readonly resumedFrom: string | undefined
  readonly stderrTail: string
  /** Milliseconds since 1970. */
  readonly now: number
  readonly maxRetryAfter: Duration.Duration
  /** Whether the task names its model itself, so that other tasks do not depend on it. */
  readonly isOwnModel: boolean
}

/** The limits and the form that a session was started with. */
export interface Settings extends Pick<Program.Settings, "idleTimeout" | "timeout"> {
  readonly maxTurns?: number | undefined
  readonly maxBudgetUsd?: number | undefined
  readonly jsonSchema?: Schema.JsonObject | undefined
}

type Failure = Pick<ExecutionError, "reason" | "message" | "retryAfter" | "retryAt">

/**
 * The execution of a session, or its error. Exit code and `subtype` are not sufficient: an error of the API ends with
 * `success` and exit code 1, and an interruption or an answer that does not match its schema with exit code 0.
 */
export const executionOf = (ended: EndedSession, settings: Settings): Execution.Execution | ExecutionError => {
  const { exit, session } = ended
  const usage = usageOf(session)
  const metadata = metadataOf(ended)
  const answer = exit.endedBy === "itself" && exit.exitCode === 0 ? answerOf(session.result, settings) : undefined
  if (answer !== undefined && answer !== "") return Execution.make({ output: answer, usage, metadata })
  const { message, reason, retryAfter, retryAt } = answer === "" ? empty : failureOf(ended, settings)
  return new ExecutionError({
    reason,
    message,
    metadata,
    ...(retryAfter === undefined ? {} : { retryAfter }),
    ...(retryAt === undefined ? {} : { retryAt }),
    ...(usage === undefined ? {} : { usage }),
    ...(session.lastText === "" ? {} : { output: session.lastText })
  })
}

const empty: Failure = { reason: "Failed", message: "Claude Code ended without an error, but its answer is empty." }

/** The answer of a session that succeeded; undefined for any other. */
const answerOf = (result: Result | null, { jsonSchema }: Settings): string | undefined => {
  if (result === null || result.subtype !== "success" || result.is_error) return undefined
  if ((result.terminal_reason ?? "completed") !== "completed") return undefined
  if (jsonSchema === undefined) return (result.result ?? "").trim() === "" ? "" : (result.result ?? "")
  return result.structured_output === undefined || result.structured_output === null
    ? undefined
    : JSON.stringify(result.structured_output)
}

const failureOf = (ended: EndedSession, settings: Settings): Failure => {
  const { exit, session, stderrTail } = ended
  if (exit.endedBy === "timeout" || exit.endedBy === "idleTimeout") {
    return { reason: "TimedOut", message: `${exitSentence("Claude Code", settings, exit)}.` }
  }
  if (session.unauthorized) return unauthorized("the API answers 401")
  const { result } = session
  if (result === null) {
    // An error of its argument parser: no task can be executed with these options.
    if (exit.exitCode !== 0 && session.sessionId === null && /^(?:error: |Error: --)/.test(stderrTail)) {
      return { reason: "Fatal", message: `Claude Code rejected its options: ${stderrTail.trim()}` }
    }
    const how = `${exitSentence("Claude Code", settings, exit)} without a result`
    return { reason: "Failed", message: `${how}${lastLines(stderrTail) || "."}` }
  }
  const said = (result.result ?? result.errors?.join("\n") ?? "").trim()
  // Some versions end with it as with any other answer, and an exit code.
  if (result.is_error && result.terminal_reason !== "api_error" && isUsageLimit(said)) {
    return limited(ended, session.limit ?? { resetsAt: null, kind: null }, said)
  }
  switch (result.terminal_reason) {
    case "api_error":
      return apiFailure(ended, result, said)
    case "max_turns":
      return failed(
        `Claude Code did not finish within its limit of ${settings.maxTurns === undefined ? "" : `${settings.maxTurns} `}turns`,
        result
      )
    // The next attempt continues in the same directory, so it may finish the work.
    case "budget_exhausted":
      return failed(
        `Claude Code did not finish within its limit of ${usd(settings.maxBudgetUsd ?? 0)}: it has spent ${usd(result.total_cost_usd ?? 0)}`,
        result
      )
    case "prompt_too_long":
    case "blocking_limit":
      return {
        reason: session.answered ? "Failed" : "Permanent",
        message: `The prompt exceeds the model's context window${detail(said)}`
      }
  }
  if (result.subtype === "success" && !result.is_error && exit.exitCode === 0 && settings.jsonSchema !== undefined) {
    return failed("Claude Code answered with text instead of JSON that matches the schema", result)
  }
  const ending = result.terminal_reason ?? result.subtype
  return failed(`Claude Code did not finish (${ending}, exit code ${exit.exitCode})${detail(said, "")}`, result)
}

const apiFailure = (ended: EndedSession, result: Result, said: string): Failure => {
  const { error, answered, limit } = ended.session
  const status = result.api_error_status ?? undefined
  if (result.stop_reason === "refusal") return { reason: "Permanent", message: `Claude refused${detail(said)}` }
  if (status === 401 || status === 403 || error === "authentication_failed") return unauthorized(said)
  if (status === 402 || result.api_error_type === "billing_error" || error === "billing_error" || isSpent(said)) {
    return { reason: "Fatal", message: `The account has no credit left to pay for Claude${detail(said)}` }
  }
  if (status === 404) {
    return {
      reason: ended.isOwnModel ? "Permanent" : "Fatal",
      message: `Claude Code cannot use this model${detail(said)}`
    }
  }
  if (limit !== null || isUsageLimit(said)) return limited(ended, limit ?? { resetsAt: null, kind: null }, said)
  if (status === 429 || status === 408 || status === 409 || (status !== undefined && status >= 500)) {
    return { reason: "Transient", message: `The API did not answer${detail(said)}` }
  }
  if (status === undefined && (error === "server_error" || result.api_error === "connection_failed")) {
    return { reason: "Transient", message: `The API could not be reached${detail(said)}` }
  }
  // In the middle of a session the cause may be temporary, such as the output of a tool.
  const reason = status !== undefined && status < 500 && !answered ? "Permanent" : "Failed"
  return { reason, message: `An error of the API stopped Claude Code${detail(said)}` }
}

/** A limit that a user or an organisation has set is reported as a plain 400. */
const isSpent = (said: string) => /credit balance|spend(?:ing)? limit/i.test(said)

const unauthorized = (said: string): Failure => ({
  reason: "Fatal",
  message: `Claude Code has no access to the API: log in with \`claude\`, or set ANTHROPIC_API_KEY to a valid key${detail(said)}`
})

/** A usage limit pauses the queue until it ends: waiting within attempts would use up every attempt of every task. */
const limited = (ended: EndedSession, limit: NonNullable<Session["limit"]>, said: string): Failure => {
  const { kind } = limit
  const which = kind === null ? "A usage limit" : `The ${kind.replaceAll("_", "-")} limit`
  const resetsAt = limit.resetsAt ?? retryTimeIn(said, ended.now)
  if (resetsAt === null) return { reason: "RateLimited", message: `${which} of Claude Code is reached${detail(said)}` }
  const wait = Duration.millis(Math.max(0, resetsAt - ended.now))
  const retryAt = DateTime.makeUnsafe(resetsAt)
  const until = DateTime.formatIso(retryAt).replace(/\.\d+/, "")
  const message = `${which} of Claude Code is reached until ${until}.`
  return Duration.isGreaterThan(wait, ended.maxRetryAfter)
    ? { reason: "RateLimited", message, retryAt }
    : { reason: "Transient", message, retryAfter: wait }
}

/** The messages of versions that report a limit in their answer alone. */
const isUsageLimit = (said: string) =>
  /\b(?:usage|session|hour|weekly|opus|sonnet) limit reached|hit your (?:\w+ )?limit/i.test(said)

const failed = (what: string, { permission_denials }: Result): Failure => {
  const denied = deniedTools(permission_denials)
  const sentence = /[.!?]$/.test(what) ? what : `${what}.`
  return {
    reason: "Failed",
    message: denied.length === 0 ? sentence : `${sentence} These tools were denied: ${denied.join(", ")}.`
  }
}

const detail = (said: string, stop = ".") => lastLines(said) || stop

const usd = (amount: number) => `$${amount.toFixed(amount < 0.1 ? 4 : 2)}`

const deniedTools = (denials: Result["permission_denials"]): ReadonlyArray<string> => [
  ...new Set((denials ?? []).flatMap(({ tool_name }) => tool_name ?? []))
]

const metadataOf = ({ exit, resumedFrom, session, stderrTail }: EndedSession): Metadata => {
  const { model, result, sessionId, unreadable } = session
  const denied = deniedTools(result?.permission_denials)
  const costs = result === null ? undefined : costByModel(result)
  return {
    sessionId,
    ...(resumedFrom === undefined ? {} : { resumedFrom }),
    model,
    turns: result?.num_turns ?? null,
    stopReason: result?.stop_reason ?? null,
    terminalReason: result?.terminal_reason ?? null,
    exitCode: exit.exitCode,
    signal: exit.signal,
    durationMillis: exit.durationMillis,
    ...(denied.length === 0 ? {} : { permissionDenials: denied }),
    ...(costs === undefined ? {} : { costUsdByModel: costs }),
    ...(unreadable === 0 ? {} : { unreadableLines: unreadable }),
    ...(stderrTail === "" ? {} : { stderrTail })
  }
}
