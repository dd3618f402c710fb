/** A server with OpenAI's chat completions API, for faults that other servers do not make. It counts its bill. */
import { Effect } from "effect"
import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

/** How the server answers one request. */
export type Answer =
  | {
      readonly _tag: "Reply"
      readonly text?: string
      readonly refusal?: string
      readonly finishReason?: string | null
      readonly tools?: boolean
      /** Null when the server does not count. */
      readonly usage?: Readonly<Record<string, unknown>> | null
      /** Whether `[DONE]` ends the stream. Default true. */
      readonly done?: boolean
      readonly headers?: Readonly<Record<string, string>>
    }
  | {
      readonly _tag: "Error"
      readonly status: number
      readonly body?: unknown
      readonly headers?: Readonly<Record<string, string>>
    }
  | { readonly _tag: "ErrorInStream"; readonly text: string; readonly error: Readonly<Record<string, unknown>> }
  | { readonly _tag: "Drop"; readonly text?: string }
  | { readonly _tag: "Silence"; readonly text?: string }
  | { readonly _tag: "Page" }

export interface Seen {
  readonly path: string
  readonly authorization: string | undefined
  readonly body: Readonly<Record<string, unknown>>
}

export const reply = (text: string, more: Omit<Extract<Answer, { _tag: "Reply" }>, "_tag" | "text"> = {}): Answer => ({
  _tag: "Reply",
  text,
  ...more
})

export const error = (
  status: number,
  body: Readonly<Record<string, unknown>> | string = {},
  headers: Readonly<Record<string, string>> = {}
): Answer => ({ _tag: "Error", status, body: typeof body === "string" ? body : { error: body }, headers })

/** A server until the scope closes. `script` decides the answer to each request for a completion. */
export const make = Effect.fnUntraced(function* (options: { readonly models?: ReadonlyArray<string> } = {}) {
  const seen: Array<Seen> = []
  let script: (body: Seen["body"], n: number) => Answer = () => reply("Hello.")

  const server = createServer((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const path = request.url ?? ""
      const model = /^\/v1\/models\/(.+)$/.exec(path)?.[1]
      if (model !== undefined) {
        const known = options.models?.includes(decodeURIComponent(model)) ?? true
        return known
          ? send(response, 200, { id: model, object: "model", owned_by: "here" })
          : send(response, 404, { error: { message: `model '${model}' not found`, type: "api_error" } })
      }
      if (path !== "/v1/chat/completions") return send(response, 404, "404 page not found")
      const body: unknown = JSON.parse(Buffer.concat(chunks).toString())
      if (!isObject(body)) return send(response, 400, {})
      seen.push({ path, authorization: request.headers.authorization, body })
      answer(response, body, script(body, seen.length))
    })
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
    () =>
      Effect.promise(() => {
        server.closeAllConnections()
        return new Promise<void>((resolve) => server.close(() => resolve()))
      })
  )
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/v1`,
    seen,
    script: (next: typeof script) => {
      script = next
    }
  }
})

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const send = (
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {}
) => {
  response.writeHead(status, { "content-type": "application/json", "x-request-id": "req_1", ...headers })
  response.end(typeof body === "string" ? body : JSON.stringify(body))
}

const answer = (response: ServerResponse, body: Seen["body"], how: Answer) => {
  if (how._tag === "Error") return send(response, how.status, how.body ?? {}, how.headers)
  if (how._tag === "Page") {
    response.writeHead(200, { "content-type": "text/html" })
    return response.end("<html>Log in</html>")
  }
  const headers = how._tag === "Reply" ? how.headers : {}
  response.writeHead(200, { "content-type": "text/event-stream", "x-request-id": "req_1", ...headers })
  const write = (chunk: unknown) => response.write(`data: ${JSON.stringify(chunk)}\n\n`)
  const chunk = (delta: unknown, finishReason: string | null = null) => ({
    id: "chatcmpl-1",
    object: "chat.completion.chunk",
    model: `${String(body["model"])}-2026-01-01`,
    choices: [{ index: 0, delta, finish_reason: finishReason }],
    usage: null
  })
  write(chunk({ role: "assistant", content: "" }))
  for (const piece of (how._tag === "Reply" ? (how.text ?? "") : "text" in how ? (how.text ?? "") : "").match(
    /[^]{1,7}/g
  ) ?? []) {
    write(chunk({ content: piece }))
  }
  switch (how._tag) {
    case "Silence":
      return
    case "Drop":
      return setImmediate(() => response.destroy())
    case "ErrorInStream":
      write({ error: how.error })
      return response.end()
    case "Reply": {
      if (how.refusal !== undefined) write(chunk({ refusal: how.refusal }))
      if (how.tools === true) write(chunk({ tool_calls: [{ index: 0, function: { name: "look", arguments: "{}" } }] }))
      if (how.finishReason !== null) write(chunk({}, how.finishReason ?? "stop"))
      const usage =
        how.usage === undefined ? { prompt_tokens: 100, completion_tokens: 50, total_tokens: 150 } : how.usage
      if (usage !== null) write({ ...chunk({}), choices: [], usage })
      if (how.done !== false) response.write("data: [DONE]\n\n")
      return response.end()
    }
  }
}
