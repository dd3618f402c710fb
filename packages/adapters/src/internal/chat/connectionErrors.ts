import * as Usage from "@baton/core/Usage"
import { ModelError } from "./ModelError.ts"
import { codeOf, neverEstablished } from "./transport.ts"

/** The errors of a connection to a model's API, and of a client that cannot use one. */
export interface ConnectionErrors {
  /** No answer began in time. The server may be processing the request, so its cost is unknown. */
  readonly noAnswerWithin: (duration: string) => ModelError
  /** The whole answer took too long. */
  readonly tookLongerThan: (duration: string) => ModelError
  /**
   * The connection failed before an answer began. If it was never established, nothing was sent and nothing is billed; if
   * it was lost later, the server may have processed the request.
   */
  readonly connectionFailed: (cause: unknown, host: string) => ModelError
  /** The connection was lost during the answer. */
  readonly connectionLost: (cause: unknown, requestId: string | undefined) => ModelError
  /** The answer began, and then the server sent nothing, not even a ping. */
  readonly silentFor: (duration: string, requestId: string | undefined) => ModelError
  /** The answer ended without an error and without its last event. */
  readonly truncated: (requestId: string | undefined) => ModelError
  /** A response that the API does not send. */
  readonly malformed: (what: string, requestId: string | undefined) => ModelError
  /** A web page, such as the login page of a proxy: every other request would get it as well. */
  readonly webPage: (requestId: string | undefined) => ModelError
  /** The client cannot send any request with this configuration. */
  readonly misconfigured: (what: string) => ModelError
}

/** The names of the API and of its answer in sentences. */
interface Names {
  readonly api: string
  readonly answer: string
  /** What to check when no server listens. */
  readonly ifRefused?: string | undefined
}

export const make = ({ answer, api, ifRefused }: Names): ConnectionErrors => {
  const noAnswerWithin = (duration: string) =>
    error("TimedOut", "timeout", `${api} did not begin to answer within ${duration}`, undefined, undefined)
  const silentFor = (duration: string, requestId: string | undefined) =>
    error("TimedOut", "idle", `${answer} stopped in the middle: nothing came for ${duration}`, requestId, undefined)
  return {
    noAnswerWithin,
    silentFor,
    tookLongerThan: (duration) =>
      error("TimedOut", "timeout", `${answer} took longer than ${duration}`, undefined, undefined),
    connectionFailed: (cause, host) => {
      const code = codeOf(cause)
      if (code === "UND_ERR_HEADERS_TIMEOUT") return noAnswerWithin(nodesLimit)
      const usage = neverEstablished(code) ? Usage.zero : undefined
      const hint = code === "ECONNREFUSED" && ifRefused !== undefined ? `: ${ifRefused}` : ""
      return error(
        "Transient",
        "network",
        `The connection to ${host} failed${inBrackets(code)}${hint}`,
        undefined,
        usage
      )
    },
    connectionLost: (cause, requestId) => {
      const code = codeOf(cause)
      if (code === "UND_ERR_BODY_TIMEOUT") return silentFor(nodesLimit, requestId)
      const what = `The connection was lost in the middle of ${inSentence(answer)}${inBrackets(code)}`
      return error("Transient", "network", what, requestId, undefined)
    },
    truncated: (requestId) => error("Transient", "truncated", `${answer} ended in the middle`, requestId, undefined),
    malformed: (what, requestId) => error("Failed", "malformed", what, requestId, undefined),
    webPage: (requestId) =>
      error(
        "Fatal",
        "malformed",
        `A web page answered instead of ${inSentence(api)}: check the base URL, and any proxy between this machine and the API`,
        requestId,
        undefined
      ),
    misconfigured: (what) => error("Fatal", "configuration", what, undefined, Usage.zero)
  }
}

const inSentence = (name: string) => name.replace(/^The /, "the ")

const error = (
  reason: ModelError["reason"],
  type: string,
  message: string,
  requestId: string | undefined,
  usage: Usage.Usage | undefined
): ModelError => {
  const end = message.endsWith("?") ? "" : "."
  return new ModelError({
    reason,
    type,
    message: requestId === undefined ? `${message}${end}` : `${message} [${requestId}].`,
    ...(requestId === undefined ? undefined : { requestId }),
    usage
  })
}

/** Node's `fetch` limits the time to the headers and between two pieces of the body. */
const nodesLimit = "5 minutes"

const inBrackets = (code: string | undefined) => (code === undefined ? "" : ` (${code})`)
