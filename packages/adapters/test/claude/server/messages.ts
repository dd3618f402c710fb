import type { Answer, Reply } from "./Answer.ts"
import {
  envelope,
  type Exchange,
  type Json,
  Refused,
  type Route,
  sendError,
  sendJson,
  type SharedState
} from "./http.ts"
import { defaultAnswer, messageFor } from "./message.ts"
import * as Stream from "./stream.ts"
import { inputTokens } from "./tokens.ts"
import { validate } from "./validate.ts"

const isBeta = ({ request, url }: Exchange) =>
  request.headers["anthropic-beta"] !== undefined || url.searchParams.get("beta") === "true"

const create: Route["handle"] = async (shared, exchange) => {
  const body = validate(exchange.seen.body, { beta: isBeta(exchange), counting: false })
  const model = String(body.model)
  const answer = (await shared.script(exchange.seen, ++shared.messages)) ?? defaultAnswer(body)
  const wait = shared.rateLimits.take(model, inputTokens(body))
  if (wait !== undefined) {
    throw new Refused(429, "This request would exceed your organization's rate limit.", {
      retryAfter: wait,
      headers: shared.rateLimits.headers(model)
    })
  }
  await carryOut(shared, exchange, body, answer)
}

const streamHeaders = (requestId: string) => ({
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache",
  "request-id": requestId
})

const carryOut = async (shared: SharedState, exchange: Exchange, body: Json, answer: Answer): Promise<void> => {
  const { request, requestId, response, seen } = exchange
  const isStream = body.stream === true
  const limits = shared.rateLimits.headers(String(body.model))
  const open = (headers?: Readonly<Record<string, string>>) => {
    seen.status = 200
    response.writeHead(200, { ...streamHeaders(requestId), ...limits, ...headers })
    response.flushHeaders()
  }
  const begin = (reply: Reply) => {
    const { begin, message } = messageFor(shared.promptCache, body, reply)
    begin()
    return message
  }

  switch (answer._tag) {
    case "Reply": {
      await answer.before
      const { begin, message } = messageFor(shared.promptCache, body, answer)
      shared.rateLimits.answered(message.model, Number(message.usage.output_tokens))
      if (!isStream) {
        begin()
        await answer.hold
        return sendJson(exchange, 200, message, { ...limits, ...answer.headers })
      }
      if (answer.hold === undefined && answer.afterwards === undefined) {
        begin()
        seen.status = 200
        // In one piece, headers and all: a server that answers at once costs a benchmark as little as can be.
        response.writeHead(200, { ...streamHeaders(requestId), ...limits, ...answer.headers })
        response.end(Stream.start(message, answer) + Stream.blocks(message, answer) + Stream.end(message))
        return
      }
      open(answer.headers)
      response.write(Stream.start(message, answer))
      begin()
      await answer.hold
      await new Promise((resolve) => response.write(Stream.blocks(message, answer) + Stream.end(message), resolve))
      if (answer.afterwards === undefined) response.end()
      else if (answer.afterwards === "is reset") request.socket.resetAndDestroy()
      return
    }
    case "Error":
      await answer.before
      return sendError(exchange, answer, limits)
    case "ErrorEvent": {
      if (!isStream) return sendError(exchange, { status: 500, ...answer }, limits)
      open()
      const message = begin(answer)
      response.write(Stream.start(message, answer) + Stream.blocks(message, answer))
      const failure = { status: 200, type: answer.type, message: answer.message ?? answer.type }
      response.end(Stream.event("error", envelope(requestId, failure)))
      return
    }
    case "CleanEof": {
      open()
      const message = begin(answer)
      response.end(Stream.start(message, answer) + Stream.blocks(message, answer))
      return
    }
    case "Drop":
    case "Stall": {
      const after = answer.after ?? "text"
      if (after !== "nothing") open()
      if (after === "text") {
        const message = begin(answer)
        await new Promise((resolve) => {
          response.write(Stream.start(message, answer) + Stream.blocks(message, answer), resolve)
        })
      }
      if (answer._tag === "Drop") return void request.socket.destroy()
      if (answer.pingEveryMillis !== undefined) {
        const timer = setInterval(() => response.write(Stream.ping, shared.pinged), answer.pingEveryMillis)
        response.once("close", () => clearInterval(timer))
      }
      return
    }
    case "Bytes":
      open()
      request.socket.setNoDelay(true)
      for (const chunk of answer.chunks) await new Promise((resolve) => response.write(chunk, resolve))
      response.end()
      return
    case "Raw":
      seen.status = answer.status
      response.writeHead(answer.status, answer.headers)
      response.end(answer.body)
      return
  }
}

const count: Route["handle"] = (_, exchange) => {
  const body = validate(exchange.seen.body, { beta: isBeta(exchange), counting: true })
  sendJson(exchange, 200, { input_tokens: inputTokens(body) })
}

export const routes: ReadonlyArray<Route> = [
  { method: "POST", path: /^\/v1\/messages$/, handle: create },
  { method: "POST", path: /^\/v1\/messages\/count_tokens$/, handle: count }
]
