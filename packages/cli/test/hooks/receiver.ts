import { Effect } from "effect"
import { createServer, type IncomingHttpHeaders } from "node:http"

export interface Received {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Answer {
  readonly status: number
  readonly headers?: Record<string, string>
  readonly body?: string
}

/** A server that records each request and sends the given response; without one, it never responds. */
export const receiver = (answer: (n: number, received: Received) => Answer | undefined | Promise<Answer>) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly received: Array<Received>; readonly stop: () => void }>(
      (resume) => {
        const received: Array<Received> = []
        const server = createServer((request, response) => {
          let body = ""
          request.setEncoding("utf8").on("data", (part: string) => (body += part))
          request.on("end", () => {
            const seen = { headers: request.headers, body }
            received.push(seen)
            void Promise.resolve(answer(received.length, seen)).then((answer) => {
              if (answer !== undefined) response.writeHead(answer.status, answer.headers).end(answer.body)
            })
          })
        })
        server.listen(0, "127.0.0.1", () => {
          const address = server.address()
          const port = typeof address === "object" && address !== null ? address.port : 0
          resume(
            Effect.succeed({
              url: `http://127.0.0.1:${port}/hook?token=hidden`,
              received,
              stop: () => {
                server.close()
                server.closeAllConnections()
              }
            })
          )
        })
      }
    ),
    ({ stop }) => Effect.sync(stop)
  )
