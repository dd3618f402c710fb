import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import { shorten } from "../../command/internal/collector.ts"
import { splitLines } from "./lines.ts"
import * as messages from "./messages.ts"

/** What a session has told so far. */
export interface Session {
  sessionId: string | null
  model: string | null
  version: string | null
  /** How it ended; null while it goes on, and when it was cut off. */
  result: messages.Result | null
  /** The last text of the model: what there is when a session ends without a result. */
  lastText: string
  /** What the program itself said went wrong: `authentication_failed`, `billing_error`, `rate_limit`, ... */
  error: string | null
  /** When the usage limit that stopped it ends, in milliseconds since 1970; null when none did. */
  limit: { readonly resetsAt: number | null; readonly kind: string | null } | null
  /** Whether the model has answered at all, so that something was paid for. */
  answered: boolean
  /** Whether the API refuses the key, and will go on to. */
  unauthorized: boolean
  /** A line that could be no message: not JSON, too long, or a result that cannot be read. */
  unreadable: number
}

/** More than any message of a session; the result is one line. */
const maxLineBytes = 32 * 1024 * 1024

// For the ledger and the next attempt, not for use.
const lastTextBytes = 64 * 1024

// Claude Code asks again up to ten times, which takes minutes. The first refusal may be that of a login that has just run
// out and is renewed.
const refusals = 2

/**
 * Reads the output of `claude -p --output-format stream-json`.
 *
 * What the agent writes stands inside the strings of a message, where it cannot begin a line, so nothing in a text can
 * pass for a message. What a child process prints on the same output could: a result of another session is not believed.
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
        // The last one counts: work in the background can bring out several, and their costs are sums.
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
          session.unauthorized = message.attempt >= refusals
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
    // Every message is an object; parsing a flood of anything else would cost a stack trace a line.
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
    /** False when the session cannot come to anything any more, and is better stopped. */
    push: (chunk: Uint8Array): boolean => {
      lines.push(chunk)
      return !session.unauthorized
    },
    end: lines.end
  }
}
