import { Effect } from "effect"
import { request as send, type IncomingHttpHeaders } from "node:http"

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** Sends a request with exactly these headers, `Host` included, which other clients do not let a program set. */
export const request = (
  url: string,
  options: {
    readonly method?: "GET" | "POST"
    readonly headers?: Readonly<Record<string, string>>
    readonly body?: unknown
  } = {}
): Effect.Effect<Answer> =>
  Effect.callback((resume) => {
    const body = options.body === undefined ? undefined : JSON.stringify(options.body)
    const headers = body === undefined ? options.headers : { "content-type": "application/json", ...options.headers }
    const sent = send(url, { method: options.method ?? "GET", headers: headers ?? {}, agent: false }, (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk))
      response.on("end", () =>
        resume(Effect.succeed({ status: response.statusCode ?? 0, headers: response.headers, body: text }))
      )
    })
    sent.on("error", (error) => resume(Effect.die(error)))
    sent.end(body)
  })
