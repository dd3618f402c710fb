import * as Predicate from "effect/Predicate"
import { ClaudeError } from "../../ClaudeError.ts"
import { noTokens, type Tokens } from "../../Reply.ts"

/** No answer began in time. The server may be at work on it all the same, so nobody can say what it costs. */
export const late = (duration: string): ClaudeError =>
  make("TimedOut", "timeout", `Claude's API did not begin to answer within ${duration}`, undefined, null)

/** The answer took too long altogether. */
export const overlong = (duration: string): ClaudeError =>
  make("TimedOut", "timeout", `Claude's answer took longer than ${duration}`, undefined, null)

/**
 * The connection failed before an answer began. Where it was never made, nothing was sent and nothing is billed; where it
 * was lost later, the server may have been at work already.
 */
export const unreachable = (cause: unknown, host: string): ClaudeError => {
  const code = codeOf(cause)
  if (code === "UND_ERR_HEADERS_TIMEOUT") return late(nodesLimit)
  const tokens = code !== undefined && neverMade.has(code) ? noTokens : null
  return make("Transient", "network", `The connection to ${host} failed${inBrackets(code)}`, undefined, tokens)
}

const neverMade = new Set([
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "UND_ERR_CONNECT_TIMEOUT",
  "CERT_HAS_EXPIRED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "ERR_TLS_CERT_ALTNAME_INVALID"
])

/** The connection was lost while the answer came. */
export const lost = (cause: unknown, requestId: string | undefined): ClaudeError => {
  const code = codeOf(cause)
  if (code === "UND_ERR_BODY_TIMEOUT") return idle(nodesLimit, requestId)
  const what = `The connection was lost in the middle of Claude's answer${inBrackets(code)}`
  return make("Transient", "network", what, requestId, null)
}

/** The answer began, and then nothing came any more, not even a sign of life. */
export const idle = (duration: string, requestId: string | undefined): ClaudeError =>
  make("TimedOut", "idle", `Claude's answer stopped in the middle: nothing came for ${duration}`, requestId, null)

/** The answer ended in order, but without its end. */
export const truncated = (requestId: string | undefined): ClaudeError =>
  make("Transient", "truncated", "Claude's answer ended in the middle", requestId, null)

/** An answer that none of Claude's API is. */
export const malformed = (what: string, requestId: string | undefined): ClaudeError =>
  make("Failed", "malformed", what, requestId, null)

/** A page for people, of a proxy that wants a login for instance: every other request would get it as well. */
export const page = (requestId: string | undefined): ClaudeError =>
  make(
    "Fatal",
    "malformed",
    "Instead of Claude's API, a web page answered: check the base URL, and what lies between this machine and the API",
    requestId,
    null
  )

/** The client itself cannot send anything as it is set up. */
export const unusable = (what: string): ClaudeError => make("Fatal", "configuration", what, undefined, noTokens)

const make = (
  reason: ClaudeError["reason"],
  type: string,
  message: string,
  requestId: string | undefined,
  tokens: Tokens | null
): ClaudeError =>
  new ClaudeError({
    reason,
    type,
    message: requestId === undefined ? `${message}.` : `${message} [${requestId}].`,
    ...(requestId === undefined ? undefined : { requestId }),
    tokens
  })

/** Node's `fetch` has limits of its own for the time to the headers and between two pieces of the body. */
const nodesLimit = "5 minutes"

/** The system's word for it, which `fetch` puts into causes of causes. */
const codeOf = (error: unknown, depth = 0): string | undefined => {
  if (Predicate.hasProperty(error, "code") && Predicate.isString(error.code)) return error.code
  return depth < 5 && Predicate.hasProperty(error, "cause") ? codeOf(error.cause, depth + 1) : undefined
}

const inBrackets = (code: string | undefined) => (code === undefined ? "" : ` (${code})`)
