/**
 * A small server with the part of Claude's API, version 2026-10-21, that this package uses: messages (as JSON and as a
 * stream), count_tokens, models, batches. It validates requests as the API does, states rate limits, and fails in every way
 * that a script requests. Its journal has all requests.
 */
import { Effect, type Scope } from "effect"
import { createServer, type IncomingMessage } from "node:http"
import type { RequestSeen, Script } from "./Answer.ts"
import * as Batches from "./batches.ts"
import { type Exchange, Refused, type Route, sendError, type SharedState } from "./http.ts"
import * as Messages from "./messages.ts"
import * as Models from "./models.ts"
import { type Limits, RateLimits } from "./rateLimits.ts"
import { PromptCache } from "./tokens.ts"

export interface Options {
  readonly port?: number | undefined
  readonly script?: Script | undefined
  /** The only key that is taken. Default: any. */
  readonly apiKey?: string | undefined
  /** Limits that are enforced. Default: none that matter. */
  readonly limits?: Limits | undefined
  /** Whether requests are kept. Default true. */
  readonly journal?: boolean | undefined
}

export interface ClaudeServer {
  readonly url: string
  /** Every request so far, in the order in which they came. */
  readonly journal: ReadonlyArray<RequestSeen>
  /** The requests for messages among them. */
  readonly messages: () => ReadonlyArray<RequestSeen>
  /** From now on, answers come from this script; `n` starts at 1 again. */
  readonly script: (script: Script) => void
  /** The most requests that ran at the same time. */
  readonly peak: () => number
  /** Resolves when the predicate holds, which is checked when a request arrives, is answered or aborted. */
  readonly until: (predicate: (server: ClaudeServer) => boolean) => Promise<void>
  /** Resolves with the next ping of a stream that has stalled. */
  readonly pinged: () => Promise<void>
  readonly stop: () => Promise<void>
}

const routes: ReadonlyArray<Route> = [...Messages.routes, ...Models.routes, ...Batches.routes]

export const start = (options: Options = {}): Promise<ClaudeServer> => {
  const journal: Array<RequestSeen> = []
  const watchers = new Set<() => void>()
  const pings: Array<() => void> = []
  const changed = () => {
    for (const watcher of watchers) watcher()
  }
  let url = ""
  let requests = 0
  let inFlight = 0
  let peak = 0
  const shared: SharedState = {
    url: () => url,
    script: options.script ?? (() => undefined),
    messages: 0,
    pinged: () => {
      for (const resolve of pings.splice(0)) resolve()
    },
    promptCache: new PromptCache(),
    rateLimits: new RateLimits(options.limits ?? {}),
    apiKey: options.apiKey
  }

  const handle = async (exchange: Exchange) => {
    const { request, url } = exchange
    try {
      const [route, match] = find(request.method ?? "", url.pathname)
      if (route?.checked !== false) check(shared, request)
      if (route === undefined || match === undefined) throw new Refused(404, `Not found: ${url.pathname}`)
      await route.handle(shared, exchange, match)
    } catch (cause) {
      if (cause instanceof Refused) return sendError(exchange, cause.failure)
      sendError(exchange, { status: 500, message: String(cause instanceof Error ? cause.stack : cause) })
    }
  }

  const own: ReadonlyArray<Route> = [
    {
      method: "GET",
      path: /^\/_journal$/,
      checked: false,
      handle: (_, { response }) => {
        response.writeHead(200, { "content-type": "application/json" })
        response.end(JSON.stringify(journal))
      }
    },
    {
      method: "DELETE",
      path: /^\/_journal$/,
      checked: false,
      handle: (_, { response }) => {
        journal.length = 0
        response.writeHead(204).end()
      }
    }
  ]
  const find = (method: string, path: string): [Route?, RegExpExecArray?] => {
    for (const route of [...own, ...routes]) {
      const match = route.method === method ? route.path.exec(path) : null
      if (match !== null) return [route, match]
    }
    return []
  }

  const server = createServer((request, response) => {
    const id = ++requests
    peak = Math.max(peak, ++inFlight)
    response.on("error", () => {})
    const chunks: Array<Buffer> = []
    request.on("error", () => {})
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    const parsed = new URL(request.url ?? "/", "http://localhost")
    let seen: RequestSeen | undefined
    response.once("close", () => {
      inFlight--
      if (seen !== undefined && !response.writableFinished) seen.aborted = true
      changed()
    })
    request.once("end", () => {
      seen = {
        id,
        method: request.method ?? "",
        path: parsed.pathname,
        headers: request.headers,
        body: parse(Buffer.concat(chunks).toString())
      }
      if (options.journal !== false && !parsed.pathname.startsWith("/_")) journal.push(seen)
      changed()
      void handle({
        request,
        response,
        seen,
        url: parsed,
        requestId: `req_${String(id).padStart(8, "0")}`
      }).then(changed)
    })
  })
  server.keepAliveTimeout = 60_000

  const self: ClaudeServer = {
    get url() {
      return url
    },
    journal,
    messages: () => journal.filter(({ method, path }) => method === "POST" && path === "/v1/messages"),
    script: (script) => {
      shared.script = script
      shared.messages = 0
    },
    peak: () => peak,
    until: (predicate) =>
      new Promise((resolve) => {
        const watcher = () => {
          if (!predicate(self)) return
          watchers.delete(watcher)
          resolve()
        }
        watchers.add(watcher)
        watcher()
      }),
    pinged: () => new Promise((resolve) => pings.push(resolve)),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
  return new Promise((resolve, reject) => {
    server.once("error", reject)
    server.listen(options.port ?? 0, "127.0.0.1", () => {
      const address = server.address()
      url = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
      resolve(self)
    })
  })
}

/** The server until the scope closes. */
export const make = (options: Options = {}): Effect.Effect<ClaudeServer, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => start(options)),
    (server) => Effect.promise(() => server.stop())
  )

const parse = (text: string): unknown => {
  if (text === "") return undefined
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** Key and version, in the order in which the API looks at them. Versions before this one take the key in another header. */
const check = (shared: SharedState, { headers }: IncomingMessage) => {
  const version = headers["anthropic-version"]
  const isOlder = version !== undefined && String(version) < "2026-10-21"
  const key = /^Bearer (.+)$/.exec(headers.authorization ?? "")?.[1] ?? (isOlder ? headers["x-api-key"] : undefined)
  if (key === undefined) throw new Refused(401, "Authorization: Bearer header is required")
  if (shared.apiKey !== undefined && key !== shared.apiKey) throw new Refused(401, "invalid API key")
  if (version === undefined) throw new Refused(400, "anthropic-version: header is required")
  if (!/^\d{4}-\d{2}-\d{2}$/.test(String(version))) {
    throw new Refused(400, `anthropic-version: "${String(version)}" is not a valid version`)
  }
}
