import * as Usage from "@baton/core/Usage"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import { shorten } from "../../command/internal/output.ts"
import * as messages from "./messages.ts"

/** What the messages of a session have said so far. */
export interface Session {
  sessionId: string | null
  model: string | null
  version: string | null
  /** The last message; null while the session runs, and when it was cut off. */
  result: messages.Result | null
  /** The last text of the model, for a session that ends without a result. */
  lastText: string
  /** The error that Claude Code reported: `authentication_failed`, `billing_error`, `rate_limit`, ... */
  error: string | null
  /** The usage limit that stopped it, with its end in milliseconds since 1970; null without one. */
  limit: { readonly resetsAt: number | null; readonly kind: string | null } | null
  /** Whether the model has answered, so that something was paid for. */
  answered: boolean
  /** Whether the API has rejected the key repeatedly. */
  unauthorized: boolean
  /** The number of lines that are not JSON or too long, and of results that cannot be read. */
  unreadable: number
}

/** Larger than any message of a session; the result is one line. */
const maxLineBytes = 32 * 1024 * 1024

// For the ledger and the next attempt, which need no more.
const lastTextBytes = 64 * 1024

// Claude Code retries up to ten times, which takes minutes. The first refusal may concern a login that has just expired and is
// renewed.
const maxRefusals = 2

/**
 * Reads the output of `claude -p --output-format stream-json`.
 *
 * The agent's text is inside the strings of a message, where it cannot begin a line, so it cannot pass for a message. A child
 * process that prints to the same output could, so a result with another session id is ignored.
 */
export const readSession = () => {
  const session: Session = {
    sessionId: null,
    model: null,
    version: null,
    result: null,
    lastText: "",
    error: null,
    limit: null,
    answered: false,
    unauthorized: false,
    unreadable: 0
  }

  const take = (message: messages.Message) => {
    switch (message.type) {
      case "result": {
        if (session.sessionId !== null && (message.session_id ?? session.sessionId) !== session.sessionId) {
          session.unreadable++
          return
        }
        // The last one counts: background work can cause several, and their costs are cumulative.
        session.result = message
        session.sessionId ??= message.session_id ?? null
        return
      }
      case "system": {
        if (message.subtype === "init") {
          session.sessionId ??= message.session_id
          session.model ??= message.model ?? null
          session.version ??= message.claude_code_version ?? null
        } else if (message.error_status === 401) {
          session.unauthorized = message.attempt >= maxRefusals
        }
        return
      }
      case "rate_limit_event": {
        const { rateLimitType, resetsAt, status } = message.rate_limit_info
        session.limit =
          status === "rejected"
            ? {
                resetsAt: resetsAt === undefined || resetsAt === null ? null : resetsAt * 1000,
                kind: rateLimitType ?? null
              }
            : null
        return
      }
      case "assistant": {
        if (typeof message.error === "string") {
          session.error = message.error
          return
        }
        session.answered = true
        if (typeof message.parent_tool_use_id === "string") return
        const text = message.message.content.map((block) => (block.type === "text" ? (block.text ?? "") : "")).join("")
        if (text !== "") session.lastText = shorten(text, lastTextBytes)
      }
    }
  }

  const lines = splitLines(maxLineBytes, (line) => {
    // Every message is an object, and parsing anything else would cost a stack trace per line.
    const json = line?.startsWith("{") === true ? messages.decodeJson(line) : Option.none()
    if (Option.isNone(json)) {
      session.unreadable++
      return
    }
    const message = messages.decodeMessage(json.value)
    if (Option.isSome(message)) take(message.value)
    else if (Predicate.hasProperty(json.value, "type") && json.value.type === "result") session.unreadable++
  })

  return {
    session,
    /** Returns false when the session cannot succeed any more and should be stopped. */
    push: (chunk: Uint8Array): boolean => {
      lines.push(chunk)
      return !session.unauthorized
    },
    end: lines.end
  }
}

/**
 * Splits the output of a program into lines and passes each on as text, without its line break. It holds at most one line,
 * and none that is longer than `limit` bytes: `onLine` gets null for it.
 */
export const splitLines = (limit: number, onLine: (line: string | null) => void) => {
  let parts: Array<Uint8Array> = []
  let length = 0
  let tooLong = false

  const take = (bytes: Uint8Array) => {
    if (bytes.length === 0 || tooLong) return
    if (length + bytes.length > limit) {
      tooLong = true
      parts = []
      return
    }
    parts.push(bytes)
    length += bytes.length
  }

  const end = () => {
    if (tooLong) onLine(null)
    else if (length > 0) onLine(decoder.decode(parts.length === 1 ? parts[0] : concat(parts, length)))
    parts = []
    length = 0
    tooLong = false
  }

  return {
    push: (chunk: Uint8Array) => {
      let start = 0
      for (let at = chunk.indexOf(lineFeed); at >= 0; at = chunk.indexOf(lineFeed, start)) {
        take(chunk.subarray(start, at))
        end()
        start = at + 1
      }
      // Copied, because a view of the rest would keep the whole chunk in memory.
      take(chunk.slice(start))
    },
    /** Passes on the text after the last line break. */
    end
  }
}

const lineFeed = 0x0a

const decoder = new TextDecoder()

const concat = (parts: ReadonlyArray<Uint8Array>, length: number): Uint8Array => {
  const all = new Uint8Array(length)
  let offset = 0
  for (const part of parts) {
    all.set(part, offset)
    offset += part.length
  }
  return all
}

/**
 * What a session used; undefined when that is unknown, because it was cut off. It includes all models, those of subagents too, and
 * has no cost when Claude Code guessed one of the prices.
 */
export const usageOf = ({ answered, result, unauthorized }: Session): Usage.Usage | undefined => {
  if (result === null) return unauthorized && !answered ? Usage.zero : undefined
  const models = Object.values(result.modelUsage ?? {})
  const sum = (count: (model: (typeof models)[number]) => number | null | undefined) =>
    models.reduce((total, model) => total + Math.trunc(count(model) ?? 0), 0)
  return {
    inputTokens: sum((model) => model.inputTokens),
    outputTokens: sum((model) => model.outputTokens),
    cacheReadTokens: sum((model) => model.cacheReadInputTokens),
    cacheWriteTokens: sum((model) => model.cacheCreationInputTokens),
    costUsd: models.some(({ costBasis }) => costBasis === "unknown") ? null : (result.total_cost_usd ?? null)
  }
}

/** The cost of each model of a session with several; null where the price was guessed. */
export const costByModel = ({ modelUsage }: messages.Result): Record<string, number | null> | undefined => {
  const entries = Object.entries(modelUsage ?? {})
  return entries.length < 2
    ? undefined
    : Object.fromEntries(
        entries.map(([model, { costBasis, costUSD }]) => [model, costBasis === "unknown" ? null : (costUSD ?? null)])
      )
}
