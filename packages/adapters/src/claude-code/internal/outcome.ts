import * as Execution from "@baton/core/Execution"
import { ExecutionError } from "@baton/core/ExecutionError"
import type { Metadata } from "@baton/core/Task"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import { exitSentence, lastLines } from "../../command/internal/sentences.ts"
import type * as Program from "../../command/Program.ts"
import type { Options } from "../ClaudeCodeExecutor.ts"
import type { Result } from "./messages.ts"
import type { Session } from "./session.ts"
import { costByModel, usageOf } from "./usage.ts"

/** A session that is over. */
export interface Over {
  readonly ended: Program.Ended
  readonly session: Session
  readonly stderrTail: string
  /** Milliseconds since 1970. */
  readonly now: number
  readonly maxRetryAfter: Duration.Duration
}

type Failure = Pick<ExecutionError, "reason" | "message"> & { readonly retryAfter?: Duration.Duration }

/**
 * What became of a session. Neither the exit code nor `subtype` tells it alone: an error of the API ends in `success`
 * and exit code 1, an interruption and an answer that misses its schema in exit code 0.
 */
export const outcomeOf = (over: Over, options: Options): Execution.Execution | ExecutionError => {
  const { ended, session } = over
  const usage = usageOf(session)
  const metadata = metadataOf(over)
  const answer = ended.by === "itself" && ended.exitCode === 0 ? answerOf(session.result, options) : undefined
  if (answer !== undefined && answer !== "") return Execution.make({ output: answer, usage, metadata })
  const { message, reason, retryAfter } = answer === "" ? empty : failureOf(over, options)
  return new ExecutionError({
    reason,
    message,
    metadata,
    ...(retryAfter === undefined ? {} : { retryAfter }),
    ...(usage === null ? {} : { usage }),
    ...(session.lastText === "" ? {} : { output: session.lastText })
  })
}

const empty: Failure = { reason: "Failed", message: "Claude Code ended in good order, and its answer is empty." }

/** The answer of a session that ended as it should; undefined when it did not. */
const answerOf = (result: Result | null, { jsonSchema }: Options): string | undefined => {
  if (result === null || result.subtype !== "success" || result.is_error) return undefined
  if ((result.terminal_reason ?? "completed") !== "completed") return undefined
  if (jsonSchema === undefined) return (result.result ?? "").trim() === "" ? "" : (result.result ?? "")
  return result.structured_output === undefined || result.structured_output === null
    ? undefined
    : JSON.stringify(result.structured_output)
}

const failureOf = (over: Over, options: Options): Failure => {
  const { ended, session, stderrTail } = over
  if (ended.by === "timeout" || ended.by === "idleTimeout") {
    return { reason: "TimedOut", message: `${exitSentence("Claude Code", options, ended)}.` }
  }
  if (session.unauthorized) return unauthorized("the API answers 401")
  const { result } = session
  if (result === null) {
    // What its parser of arguments prints, before anything else: no task can be done with these options.
    if (ended.exitCode !== 0 && session.sessionId === null && /^(?:error: |Error: --)/.test(stderrTail)) {
      return { reason: "Fatal", message: `Claude Code does not take the options it was given: ${stderrTail.trim()}` }
    }
    const how = `${exitSentence("Claude Code", options, ended)} and told no result`
    return { reason: "Failed", message: `${how}${lastLines(stderrTail) || "."}` }
  }
  const said = (result.result ?? result.errors?.join("\n") ?? "").trim()
  switch (result.terminal_reason) {
    case "api_error":
      return apiFailure(over, result, said)
    case "max_turns":
      return failed(
        `Claude Code was not done after the ${options.maxTurns === undefined ? "" : `${options.maxTurns} `}turns that it may take`,
        result
      )
    // The next attempt goes on in the same directory, so it may come through with what is there by then.
    case "budget_exhausted":
      return failed(
        `Claude Code was not done when it had spent ${usd(result.total_cost_usd ?? 0)} of the ${usd(options.maxBudgetUsd ?? 0)} that an attempt may cost`,
        result
      )
    case "prompt_too_long":
    case "blocking_limit":
      return {
        reason: session.answered ? "Failed" : "Permanent",
        message: `The prompt does not fit into the model's context${detail(said)}`
      }
  }
  if (result.subtype === "success" && !result.is_error && ended.exitCode === 0 && options.jsonSchema !== undefined) {
    return failed("Claude Code answered with a text and not with JSON of the schema that was asked for", result)
  }
  const ending = result.terminal_reason ?? result.subtype
  return failed(`Claude Code did not finish (${ending}, exit code ${ended.exitCode})${detail(said, "")}`, result)
}

const apiFailure = (over: Over, result: Result, said: string): Failure => {
  const { error, answered, limit } = over.session
  const status = result.api_error_status ?? undefined
  if (result.stop_reason === "refusal") return { reason: "Permanent", message: `Claude refused${detail(said)}` }
  if (status === 401 || status === 403 || error === "authentication_failed") return unauthorized(said)
  if (status === 402 || result.api_error_type === "billing_error" || error === "billing_error" || isSpent(said)) {
    return { reason: "Fatal", message: `There is no money left to pay Claude${detail(said)}` }
  }
  // The model is the same for all tasks.
  if (status === 404) return { reason: "Fatal", message: `Claude Code cannot use this model${detail(said)}` }
  if (limit !== null) return limited(over, limit, said)
  if (status === 429 || status === 408 || status === 409 || (status !== undefined && status >= 500)) {
    return { reason: "Transient", message: `The API did not answer${detail(said)}` }
  }
  if (status === undefined && (error === "server_error" || result.api_error === "connection_failed")) {
    return { reason: "Transient", message: `The API was not reached${detail(said)}` }
  }
  // In the middle of a session it may be something that the next one does not run into: a tool's output, say.
  const reason = status !== undefined && status < 500 && !answered ? "Permanent" : "Failed"
  return { reason, message: `Claude Code was stopped by an error of the API${detail(said)}` }
}

/** A user's or an organisation's own limit comes as a plain 400. */
const isSpent = (said: string) => /credit balance|spend(?:ing)? limit/i.test(said)

const unauthorized = (said: string): Failure => ({
  reason: "Fatal",
  message: `Claude Code may not use the API: log in with \`claude\`, or put a valid key into ANTHROPIC_API_KEY${detail(said)}`
})

const limited = (over: Over, limit: NonNullable<Session["limit"]>, said: string): Failure => {
  const { resetsAt, kind } = limit
  const which = kind === null ? "A usage limit" : `The ${kind.replaceAll("_", "-")} limit`
  if (resetsAt === null) return { reason: "Fatal", message: `${which} of Claude Code is reached${detail(said)}` }
  const wait = Duration.millis(Math.max(0, resetsAt - over.now))
  const until = DateTime.formatIso(DateTime.makeUnsafe(resetsAt)).replace(/\.\d+/, "")
  // Waiting for hours would use up every attempt at every task; the run ends, and goes on when it is started again.
  return Duration.isGreaterThan(wait, over.maxRetryAfter)
    ? { reason: "Fatal", message: `${which} of Claude Code is reached until ${until}: run this again after that.` }
    : { reason: "Transient", message: `${which} of Claude Code is reached until ${until}.`, retryAfter: wait }
}

const failed = (what: string, { permission_denials }: Result): Failure => {
  const denied = deniedTools(permission_denials)
  const sentence = /[.!?]$/.test(what) ? what : `${what}.`
  return {
    reason: "Failed",
    message: denied.length === 0 ? sentence : `${sentence} It was not allowed to use ${denied.join(", ")}.`
  }
}

const detail = (said: string, stop = ".") => lastLines(said) || stop

const usd = (amount: number) => `$${amount.toFixed(amount < 0.1 ? 4 : 2)}`

const deniedTools = (denials: Result["permission_denials"]): ReadonlyArray<string> => [
  ...new Set((denials ?? []).flatMap(({ tool_name }) => tool_name ?? []))
]

const metadataOf = ({ ended, session, stderrTail }: Over): Metadata => {
  const { model, result, sessionId, unreadable } = session
  const denied = deniedTools(result?.permission_denials)
  const costs = result === null ? undefined : costByModel(result)
  return {
    sessionId,
    model,
    turns: result?.num_turns ?? null,
    stopReason: result?.stop_reason ?? null,
    terminalReason: result?.terminal_reason ?? null,
    exitCode: ended.exitCode,
    signal: ended.signal,
    durationMillis: ended.durationMillis,
    ...(denied.length === 0 ? {} : { permissionDenials: denied }),
    ...(costs === undefined ? {} : { costUsdByModel: costs }),
    ...(unreadable === 0 ? {} : { unreadableLines: unreadable }),
    ...(stderrTail === "" ? {} : { stderrTail })
  }
}
