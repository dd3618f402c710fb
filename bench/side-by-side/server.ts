/**
 * A server with OpenAI's chat completions API that makes faults and counts its bill. It is a separate process, so that
 * the program that is measured can be killed.
 *
 *   node server.ts FAULTS RATE      the share of requests that fail, and the most requests in a second (0: no limit)
 *
 * Half of the faults are 503 before the answer, which cost nothing. The others break the connection in the middle of the
 * answer, which is billed. `GET /bill` reports the requests, the dollars and the prompts that were answered.
 */
import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

const faults = Number(process.argv[2])
const perSecond = Number(process.argv[3])
const latencyMillis = 300
const usage = { prompt_tokens: 200, completion_tokens: 100, total_tokens: 300 }
/** Two dollars for a million tokens of input, ten for output. */
const dollars = (200 * 2 + 100 * 10) / 1e6

let requests = 0
let refused = 0
let billed = 0
const answered = new Map<string, number>()
let second = 0
let inSecond = 0

/** The same faults for the same number of a request, whatever program sends it. */
const isFault = (n: number) => (Math.imul(n, 2654435761) >>> 0) / 2 ** 32 < faults

const server = createServer((request, response) => {
  if (request.url === "/bill") {
    const twice = [...answered.values()].filter((times) => times > 1).length
    return json(response, 200, { requests, refused, dollars: billed, prompts: answered.size, twice })
  }
  if (request.method === "GET") return json(response, 200, { id: "bench", object: "model" })
  let text = ""
  request.on("data", (chunk: Buffer) => (text += chunk.toString()))
  request.on("end", () => {
    const body: { messages: Array<{ content: unknown }>; stream?: boolean } = JSON.parse(text)
    const n = ++requests
    if (perSecond > 0) {
      const now = Math.floor(Date.now() / 1000)
      if (now !== second) [second, inSecond] = [now, 0]
      if (++inSecond > perSecond) {
        refused++
        const headers = { "retry-after": "1" }
        return json(response, 429, { error: { message: "Slow down", code: "rate_limit_exceeded" } }, headers)
      }
    }
    const fault = isFault(n)
    if (fault && n % 2 === 0) return json(response, 503, { error: { message: "Overloaded", type: "server_error" } })
    setTimeout(() => {
      billed += dollars
      if (fault) {
        response.writeHead(200, { "content-type": body.stream === true ? "text/event-stream" : "application/json" })
        response.write(body.stream === true ? `data: ${JSON.stringify(chunk("Half"))}\n\n` : '{"id":"x","choi')
        return setTimeout(() => response.destroy(), 20)
      }
      const prompt = JSON.stringify(body.messages.at(-1)?.content)
      answered.set(prompt, (answered.get(prompt) ?? 0) + 1)
      if (body.stream !== true) {
        const message = { role: "assistant", content: "An answer." }
        return json(response, 200, {
          id: "x",
          object: "chat.completion",
          model: "bench",
          choices: [{ index: 0, message, finish_reason: "stop" }],
          usage
        })
      }
      response.writeHead(200, { "content-type": "text/event-stream" })
      for (const part of [chunk("An answer."), chunk("", "stop"), { ...chunk(""), choices: [], usage }]) {
        response.write(`data: ${JSON.stringify(part)}\n\n`)
      }
      response.end("data: [DONE]\n\n")
    }, latencyMillis)
  })
})

const chunk = (content: string, finish_reason: string | null = null) => ({
  id: "x",
  object: "chat.completion.chunk",
  model: "bench",
  choices: [{ index: 0, delta: { content }, finish_reason }]
})

const json = (response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}) => {
  response.writeHead(status, { "content-type": "application/json", ...headers })
  response.end(JSON.stringify(body))
}

server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo
  process.stdout.write(`http://127.0.0.1:${port}\n`)
})
