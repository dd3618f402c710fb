/** A server with the API of `baton serve` over tasks in memory, and the files of the page. */
import * as FailureCause from "@baton/core/FailureCause"
import { readFile } from "node:fs/promises"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { extname, join } from "node:path"
import type { Attempt, QueueCounts, TaskItem, Text } from "../src/api/schema.ts"
import { statuses } from "../src/text/waiting.ts"

const dist = join(import.meta.dirname, "../dist")
const types: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2"
}
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

export interface FakeTask extends Omit<TaskItem, "description" | "feedback"> {
  readonly description: string
  readonly feedback: string | null
  readonly history: ReadonlyArray<Omit<Attempt, "output"> & { readonly output: string | null }>
}

const textOf = (text: string, limit: number): Text => ({
  text: text.slice(0, limit),
  length: text.length,
  cut: text.length > limit
})

export interface FakeServer {
  readonly url: string
  readonly tasks: Map<string, FakeTask>
  readonly requests: ReadonlyArray<string>
  readonly state: { paused: boolean; token: string | undefined; readOnly: boolean }
  /** Changes a task and sends an event. */
  readonly update: (id: string, change: Partial<FakeTask>) => void
  /** Ends all event streams, and refuses new ones until `reconnect`. */
  readonly disconnect: () => void
  readonly reconnect: () => void
  readonly close: () => Promise<void>
}

export const startFakeServer = async (initial: ReadonlyArray<FakeTask>): Promise<FakeServer> => {
  const tasks = new Map(initial.map((task) => [task.id, task]))
  const requests: Array<string> = []
  const streams = new Set<ServerResponse>()
  const state = { paused: false, token: undefined as string | undefined, readOnly: false }
  let isAway = false

  const counts = (): ReadonlyArray<QueueCounts> => {
    const queues = new Map<string, Record<string, number>>()
    for (const { queue, status } of tasks.values()) {
      const known = queues.get(queue) ?? { ...Object.fromEntries(statuses.map((name) => [name, 0])), waiting: 0 }
      queues.set(queue, { ...known, [status]: (known[status] ?? 0) + 1 })
    }
    return Array.from(queues, ([queue, known]) => ({
      queue,
      pending: known["pending"] ?? 0,
      in_progress: known["in_progress"] ?? 0,
      completed: known["completed"] ?? 0,
      failed: known["failed"] ?? 0,
      cancelled: known["cancelled"] ?? 0,
      waiting: tasks.get(`${queue}/waiting`) === undefined ? 0 : 1
    }))
  }
  const control = () => ({ paused: state.paused, stops: 0 })
  const changed = () =>
    `event: changed\ndata: ${JSON.stringify({ queues: counts(), removed: [], control: control() })}\n\n`
  const announce = () => {
    for (const stream of streams) stream.write(changed())
  }

  const item = (task: FakeTask, limit: number) => ({
    ...task,
    history: undefined,
    description: textOf(task.description, limit),
    feedback: task.feedback === null ? null : textOf(task.feedback, limit)
  })

  const selected = (body: Record<string, unknown>): ReadonlyArray<FakeTask> =>
    Array.from(tasks.values()).filter((task) =>
      Array.isArray(body["ids"])
        ? body["ids"].includes(task.id)
        : (body["queue"] === undefined || body["queue"] === task.queue) &&
          (typeof body["cause"] === "string"
            ? task.status === "failed" && FailureCause.of(task.feedback ?? "") === body["cause"]
            : body["status"] === task.status)
    )

  const change = (body: Record<string, unknown>, from: ReadonlyArray<string>, to: TaskItem["status"]) => {
    const affected = selected(body).filter(({ status }) => from.includes(status))
    for (const task of affected) tasks.set(task.id, { ...task, status: to, attempts: 0 })
    setImmediate(announce)
    return { changed: affected.length, ids: affected.map(({ id }) => id), unknown: [] }
  }

  const failures = (queue: string | null) => {
    const causes = new Map<string, Array<FakeTask>>()
    for (const task of tasks.values()) {
      if (task.status !== "failed" || (queue !== null && queue !== task.queue)) continue
      const cause = FailureCause.of(task.feedback ?? "")
      causes.set(cause, [...(causes.get(cause) ?? []), task])
    }
    const ranked = Array.from(causes).sort(([, a], [, b]) => b.length - a.length)
    return {
      causes: ranked.map(([cause, group]) => ({
        cause,
        tasks: group.length,
        queues: [...new Set(group.map((task) => task.queue))],
        ids: group.slice(0, 10).map(({ id }) => id),
        example: textOf(group[0]?.feedback ?? "", 300)
      })),
      failed: ranked.reduce((sum, [, group]) => sum + group.length, 0),
      complete: true
    }
  }

  const page = (search: URLSearchParams) => {
    const text = search.get("text")?.toLowerCase()
    const matching = Array.from(tasks.values()).filter(
      (task) =>
        (!search.has("queue") || search.get("queue") === task.queue) &&
        (!search.has("status") || search.get("status") === task.status) &&
        (text === undefined || `${task.id} ${task.description}`.toLowerCase().includes(text))
    )
    const start = Number(search.get("after") ?? 0)
    const end = start + Number(search.get("limit") ?? 100)
    return {
      tasks: matching.slice(start, end).map((task) => item(task, 300)),
      next: end < matching.length ? String(end) : null,
      total: text === undefined ? matching.length : null
    }
  }

  const detail = (task: FakeTask) => ({
    task: {
      ...item(task, 65_536),
      result: task.status === "completed" ? textOf(task.history.at(-1)?.output ?? "", 65_536) : null,
      payload: null,
      overrides: {},
      metadata: { row: 7, source: "reviews.csv" }
    },
    attempts: task.history.map((attempt) => ({
      ...attempt,
      output: attempt.output === null ? null : textOf(attempt.output, 65_536),
      executionUsage: attempt.usage,
      executionMetadata: {}
    }))
  })

  const readBody = async (request: IncomingMessage): Promise<Record<string, unknown>> => {
    const chunks: Array<Uint8Array> = []
    for await (const chunk of request) chunks.push(chunk)
    const parsed: unknown = JSON.parse(Buffer.concat(chunks).toString())
    return Object.fromEntries(Object.entries(parsed ?? {}))
  }

  const api = async (request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> => {
    const answer = (body: unknown, status = 200) => {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body))
    }
    if (state.token !== undefined && request.headers.authorization !== `Bearer ${state.token}`) {
      return answer({ _tag: "Unauthorized", message: "This server requires a token." }, 401)
    }
    if (request.method === "POST") {
      const body = await readBody(request)
      requests.push(`${url.pathname} ${JSON.stringify(body)}`)
      if (url.pathname === "/api/requeue") return answer(change(body, ["failed", "cancelled"], "pending"))
      if (url.pathname === "/api/cancel") return answer(change(body, ["pending", "in_progress"], "cancelled"))
      state.paused = body["request"] === "pause"
      setImmediate(announce)
      return answer(control())
    }
    if (url.pathname === "/api/queues")
      return answer({ queues: counts(), control: control(), server: { readOnly: state.readOnly } })
    if (url.pathname === "/api/tasks") return answer(page(url.searchParams))
    if (url.pathname === "/api/failures") return answer(failures(url.searchParams.get("queue")))
    if (url.pathname === "/api/events") {
      if (isAway) {
        request.socket.destroy()
        return
      }
      response.writeHead(200, { "content-type": "text/event-stream" })
      response.write(changed())
      streams.add(response)
      response.on("close", () => streams.delete(response))
      return
    }
    const [, , , id = "", part] = url.pathname.split("/")
    const task = tasks.get(decodeURIComponent(id))
    if (task === undefined) {
      return answer({ _tag: "TaskNotFound", message: `There is no task with the id ${decodeURIComponent(id)}.` }, 404)
    }
    if (part !== "output") return answer(detail(task))
    const attempt = task.history.find(({ token }) => String(token) === url.searchParams.get("attempt"))
    response.writeHead(200, { "content-type": "text/plain; charset=utf-8" }).end(attempt?.output ?? "")
  }

  const file = async (response: ServerResponse, pathname: string): Promise<void> => {
    const name = extname(pathname) === "" ? "/index.html" : pathname
    const content = await readFile(join(dist, name)).catch(() => undefined)
    const headers = {
      "content-type": types[extname(name)] ?? "application/octet-stream",
      "content-security-policy": policy
    }
    if (content === undefined) response.writeHead(404).end()
    else response.writeHead(200, headers).end(content)
  }

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://localhost")
    void (url.pathname.startsWith("/api/") ? api(request, response, url) : file(response, url.pathname))
  })
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve)
  })
  const address = server.address()
  return {
    url: `http://127.0.0.1:${address !== null && typeof address === "object" ? address.port : 0}`,
    tasks,
    requests,
    state,
    update: (id, changes) => {
      const task = tasks.get(id)
      if (task !== undefined) tasks.set(id, { ...task, ...changes })
      announce()
    },
    disconnect: () => {
      isAway = true
      for (const stream of streams) stream.destroy()
    },
    reconnect: () => {
      isAway = false
    },
    close: () =>
      new Promise((resolve) => {
        for (const stream of streams) stream.destroy()
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}
