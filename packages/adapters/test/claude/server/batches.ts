import { createHash } from "node:crypto"
import { request } from "node:http"
import type { Failure } from "./Answer.ts"
import { envelope, isObject, type Json, Refused, type Route, sendError, sendJson, type SharedState } from "./http.ts"
import { defaultAnswer, messageFor } from "./message.ts"
import { validate } from "./validate.ts"

/**
 * Batches as the API has them: nothing is known of single requests until the whole batch has ended, and results come in
 * any order. A script answers each request when its batch ends: `Error` is an errored one, `Stall` one that expired, and
 * `Drop` one that was canceled.
 *
 * Besides, under `/_batches`: what there is, and how it behaves.
 */
export interface Settings {
  /** Batches end when the test says so. Otherwise they have ended by the first check. */
  readonly hold?: boolean
  /**
   * What becomes of the next requests to create a batch: `lose` creates it and breaks the connection, `hang` creates it and
   * never answers, `vanish` breaks the connection before anything happened.
   */
  readonly creates?: ReadonlyArray<"ok" | "lose" | "hang" | "vanish" | Failure>
  /** Breaks the connection in the middle of this number of results. */
  readonly cutResults?: number
  readonly pageSize?: number
}

/** A batch, as `GET /_batches` shows it. */
export interface BatchSeen {
  readonly id: string
  readonly status: string
  readonly customIds: ReadonlyArray<string>
  readonly retrieved: number
}

interface Batch {
  readonly id: string
  readonly createdAt: Date
  readonly requests: ReadonlyArray<{ readonly custom_id: string; readonly params: Json }>
  status: "in_progress" | "canceling" | "ended"
  endedAt: Date | null
  cancelledAt: Date | null
  retrieved: number
  results: ReadonlyArray<Result>
}

interface Result {
  readonly custom_id: string
  readonly result: Json & { readonly type: string }
}

interface State {
  settings: Settings
  readonly creates: Array<NonNullable<Settings["creates"]>[number]>
  cutResults: number
  readonly batches: Map<string, Batch>
}

const states = new WeakMap<SharedState, State>()

const stateOf = (shared: SharedState): State => {
  const known = states.get(shared)
  if (known !== undefined) return known
  const state: State = { settings: {}, creates: [], cutResults: 0, batches: new Map() }
  states.set(shared, state)
  return state
}

const day = 24 * 3_600_000
const mostRequests = 100_000
const mostBytes = 256_000_000

let batches = 0

const create: Route["handle"] = async (shared, exchange) => {
  const state = stateOf(shared)
  const fate = state.creates.shift() ?? "ok"
  if (fate === "vanish") return void exchange.response.destroy()
  if (typeof fate === "object") return sendError(exchange, fate)
  const batch: Batch = {
    id: `msgbatch_${String(++batches).padStart(8, "0")}`,
    createdAt: new Date(),
    requests: checked(exchange.seen.body, Number(exchange.request.headers["content-length"] ?? 0)),
    status: "in_progress",
    endedAt: null,
    cancelledAt: null,
    retrieved: 0,
    results: []
  }
  state.batches.set(batch.id, batch)
  if (fate === "lose") return void exchange.response.destroy()
  if (fate === "hang") return
  sendJson(exchange, 200, show(shared, batch))
}

const checked = (body: unknown, bytes: number): Batch["requests"] => {
  if (bytes > mostBytes) throw new Refused(413, "Request exceeds the maximum size")
  if (!isObject(body) || !Array.isArray(body.requests)) throw new Refused(400, "requests: Field required")
  if (body.requests.length === 0) throw new Refused(400, "requests: List should have at least 1 item")
  if (body.requests.length > mostRequests)
    throw new Refused(400, `requests: List should have at most ${mostRequests} items`)
  const ids = new Set<string>()
  return body.requests.map((request: unknown, index) => {
    const where = `requests.${index}`
    if (!isObject(request) || !isObject(request.params)) throw new Refused(400, `${where}.params: Field required`)
    const id = String(request.custom_id)
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(id)) {
      throw new Refused(400, `${where}.custom_id: String should match pattern '^[a-zA-Z0-9_-]{1,64}$'`)
    }
    if (ids.has(id)) throw new Refused(400, `${where}.custom_id: Must be unique within the batch`)
    ids.add(id)
    if (request.params.stream === true) throw new Refused(400, `${where}.params.stream: Must be false in a batch`)
    return { custom_id: id, params: request.params }
  })
}

/** Works on all requests at once, and puts the results in an order that is not theirs. */
const end = async (shared: SharedState, batch: Batch) => {
  if (batch.status === "ended") return
  const results: Array<Result> = []
  for (const [index, request] of batch.requests.entries()) {
    results.push({
      custom_id: request.custom_id,
      result: batch.status === "canceling" ? { type: "canceled" } : await resultOf(shared, request.params, index)
    })
  }
  const order = (result: Result) => createHash("md5").update(result.custom_id).digest("hex")
  batch.results = results.sort((left, right) => (order(left) < order(right) ? -1 : 1))
  batch.status = "ended"
  batch.endedAt = new Date()
}

const resultOf = async (shared: SharedState, params: Json, index: number): Promise<Result["result"]> => {
  const requestId = `req_batch_${index}`
  try {
    const body = validate(params, { beta: false, counting: false })
    const seen = { id: 0, method: "POST", path: "/v1/messages", headers: {}, body }
    const answer = (await shared.script(seen, ++shared.messages)) ?? defaultAnswer(body)
    switch (answer._tag) {
      case "Reply": {
        const { begin, message } = messageFor(shared.promptCache, body, answer, "batch")
        begin()
        return { type: "succeeded", message }
      }
      case "Error":
        return { type: "errored", error: envelope(requestId, answer) }
      case "Stall":
        return { type: "expired" }
      case "Drop":
        return { type: "canceled" }
      default:
        return { type: "errored", error: envelope(requestId, { status: 500 }) }
    }
  } catch (cause) {
    if (!(cause instanceof Refused)) throw cause
    return { type: "errored", error: envelope(requestId, cause.failure) }
  }
}

const show = (shared: SharedState, batch: Batch) => {
  const isEnded = batch.status === "ended"
  const count = (type: string) => (isEnded ? batch.results.filter(({ result }) => result.type === type).length : 0)
  return {
    id: batch.id,
    type: "message_batch",
    processing_status: batch.status,
    request_counts: {
      processing: isEnded ? 0 : batch.requests.length,
      succeeded: count("succeeded"),
      errored: count("errored"),
      canceled: count("canceled"),
      expired: count("expired")
    },
    created_at: batch.createdAt.toISOString(),
    expires_at: new Date(batch.createdAt.getTime() + day).toISOString(),
    ended_at: batch.endedAt?.toISOString() ?? null,
    cancel_initiated_at: batch.cancelledAt?.toISOString() ?? null,
    archived_at: null,
    results_url: isEnded ? `${shared.url()}/v1/messages/batches/${batch.id}/results` : null
  }
}

const find = (shared: SharedState, match: RegExpExecArray): Batch => {
  const batch = stateOf(shared).batches.get(match[1] ?? "")
  if (batch === undefined) throw new Refused(404, `Message batch ${match[1]} not found`)
  return batch
}

const retrieve: Route["handle"] = async (shared, exchange, match) => {
  const batch = find(shared, match)
  batch.retrieved++
  if (stateOf(shared).settings.hold !== true) await end(shared, batch)
  sendJson(exchange, 200, show(shared, batch))
}

const list: Route["handle"] = async (shared, exchange) => {
  const { batches, settings } = stateOf(shared)
  const query = exchange.url.searchParams
  const limit = Math.min(settings.pageSize ?? 1000, Number(query.get("limit") ?? 20))
  const all = [...batches.values()].reverse()
  if (settings.hold !== true) for (const batch of all) await end(shared, batch)
  const at = (name: string) => all.findIndex(({ id }) => id === query.get(name))
  const isBefore = query.has("before_id")
  const rest = isBefore
    ? all.slice(0, Math.max(0, at("before_id")))
    : all.slice(query.has("after_id") ? at("after_id") + 1 : 0)
  const page = isBefore ? rest.slice(-limit) : rest.slice(0, limit)
  sendJson(exchange, 200, {
    data: page.map((batch) => show(shared, batch)),
    has_more: rest.length > page.length,
    first_id: page[0]?.id ?? null,
    last_id: page.at(-1)?.id ?? null
  })
}

const results: Route["handle"] = (shared, exchange, match) => {
  const batch = find(shared, match)
  const state = stateOf(shared)
  if (batch.status !== "ended") throw new Refused(404, `Message batch ${batch.id} has no results yet`)
  const { requestId, response, seen } = exchange
  const lines = batch.results.map((result) => `${JSON.stringify(result)}\n`)
  seen.status = 200
  response.writeHead(200, { "content-type": "application/x-jsonl", "request-id": requestId })
  if (state.cutResults === 0) return void response.end(lines.join(""))
  state.cutResults--
  response.write(lines.slice(0, Math.ceil(lines.length / 2)).join(""), () => response.destroy())
}

const cancel: Route["handle"] = (shared, exchange, match) => {
  const batch = find(shared, match)
  if (batch.status === "ended") throw new Refused(400, `Message batch ${batch.id} has already ended`)
  batch.status = "canceling"
  batch.cancelledAt ??= new Date()
  sendJson(exchange, 200, show(shared, batch))
}

const remove: Route["handle"] = (shared, exchange, match) => {
  const batch = find(shared, match)
  if (batch.status !== "ended") throw new Refused(400, `Message batch ${batch.id} is still being processed`)
  stateOf(shared).batches.delete(batch.id)
  sendJson(exchange, 200, { id: batch.id, type: "message_batch_deleted" })
}

const inspect: Route["handle"] = (shared, exchange) =>
  sendJson(
    exchange,
    200,
    [...stateOf(shared).batches.values()].map(({ id, requests, retrieved, status }): BatchSeen => ({
      id,
      status,
      customIds: requests.map(({ custom_id }) => custom_id),
      retrieved
    }))
  )

const configure: Route["handle"] = (shared, exchange) => {
  const state = stateOf(shared)
  const settings: Settings = isObject(exchange.seen.body) ? exchange.seen.body : {}
  state.settings = { ...state.settings, ...settings }
  state.creates.push(...(settings.creates ?? []))
  state.cutResults += settings.cutResults ?? 0
  exchange.response.writeHead(204).end()
}

const endAll: Route["handle"] = async (shared, exchange) => {
  for (const batch of stateOf(shared).batches.values()) await end(shared, batch)
  exchange.response.writeHead(204).end()
}

const base = "/v1/messages/batches"

export const routes: ReadonlyArray<Route> = [
  { method: "POST", path: new RegExp(`^${base}$`), handle: create },
  { method: "GET", path: new RegExp(`^${base}$`), handle: list },
  { method: "GET", path: new RegExp(`^${base}/([^/]+)$`), handle: retrieve },
  { method: "GET", path: new RegExp(`^${base}/([^/]+)/results$`), handle: results },
  { method: "POST", path: new RegExp(`^${base}/([^/]+)/cancel$`), handle: cancel },
  { method: "DELETE", path: new RegExp(`^${base}/([^/]+)$`), handle: remove },
  { method: "GET", path: /^\/_batches$/, checked: false, handle: inspect },
  { method: "POST", path: /^\/_batches$/, checked: false, handle: configure },
  { method: "POST", path: /^\/_batches\/end$/, checked: false, handle: endAll }
]

/** The other side of `/_batches`. */
export const control = ({ url }: { readonly url: string }) => ({
  all: async (): Promise<ReadonlyArray<BatchSeen>> => JSON.parse(await call("GET", `${url}/_batches`)),
  set: async (settings: Settings): Promise<void> => {
    await call("POST", `${url}/_batches`, settings)
  },
  /** All batches have ended now. */
  end: async (): Promise<void> => {
    await call("POST", `${url}/_batches/end`)
  }
})

const call = (method: string, url: string, body?: unknown): Promise<string> =>
  new Promise((resolve, reject) => {
    const sent = request(url, { method }, (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk))
      response.once("end", () => resolve(text))
    })
    sent.once("error", reject)
    sent.end(body === undefined ? undefined : JSON.stringify(body))
  })
