/** Requests to the server of this page. */
import { base } from "../base.ts"
import * as Schema from "effect/Schema"
import * as Model from "../schema.ts"
import * as Token from "./token.ts"

/** A request that failed, with a sentence for the reader. */
export class RequestError extends Error {
  /** Undefined when the server did not answer. */
  readonly status: number | undefined
  constructor(message: string, status?: number) {
    super(message)
    this.status = status
  }
}

const Refusal = Schema.Struct({ message: Schema.String })
const decodeRefusal = Schema.decodeUnknownOption(Refusal)

const reasonOf = async (response: Response): Promise<string> => {
  const body: unknown = await response.json().catch(() => undefined)
  const refusal = decodeRefusal(body)
  return refusal._tag === "Some" ? refusal.value.message : `The server answered with status ${response.status}.`
}

/** Sends a request with the token, and fails unless the server answers that it succeeded. */
export const send = async (path: string, init: RequestInit = {}): Promise<Response> => {
  const headers = new Headers(init.headers)
  const token = Token.get()
  if (token !== undefined) headers.set("authorization", `Bearer ${token}`)
  // Pages that are open at the same time share what the server reads for them.
  headers.set("cache-control", "max-age=1")
  const response = await fetch(`${base}${path}`, { ...init, headers }).catch((cause: unknown) => {
    if (init.signal?.aborted === true) throw cause
    throw new RequestError("The server does not answer. Start it again with `baton serve`.")
  })
  if (!response.ok) throw new RequestError(await reasonOf(response), response.status)
  return response
}

const receive = async <S extends Schema.ConstraintDecoder<unknown>>(
  schema: S,
  path: string,
  init?: RequestInit
): Promise<S["Type"]> => {
  const response = await send(path, init)
  const body: unknown = await response.json()
  return Schema.decodeUnknownPromise(schema)(body).catch((cause: unknown) => {
    throw new RequestError(
      `The server sent something that this page does not understand. Reload the page. (${String(cause).slice(0, 300)})`
    )
  })
}

const post = <S extends Schema.ConstraintDecoder<unknown>>(schema: S, path: string, body: object) =>
  receive(schema, path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body)
  })

/** A query string of the parameters that have a value. */
const query = (parameters: Readonly<Record<string, string | number | undefined>>): string => {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== "") search.set(name, String(value))
  }
  const text = search.toString()
  return text === "" ? "" : `?${text}`
}

/** What a list of tasks is narrowed to. */
export interface TaskFilter {
  readonly queue?: string | undefined
  readonly status?: string | undefined
  readonly text?: string | undefined
}

export const pageSize = 100

export const queues = (signal: AbortSignal) => receive(Model.Queues, "api/queues", { signal })

export const tasks = (filter: TaskFilter, after: string | undefined, signal?: AbortSignal) =>
  receive(
    Model.TaskPage,
    `api/tasks${query({ ...filter, after, limit: pageSize })}`,
    signal === undefined ? {} : { signal }
  )

const pathOf = (id: string): string => `api/tasks/${encodeURIComponent(id)}`

export const task = (id: string, signal: AbortSignal) => receive(Model.TaskDetail, pathOf(id), { signal })

/** The whole output of an attempt. */
export const output = async (id: string, token: number, signal: AbortSignal): Promise<string> => {
  const response = await send(`${pathOf(id)}/output${query({ attempt: token })}`, { signal })
  return response.text()
}

const executionPath = (id: string): string => `api/executions/${encodeURIComponent(id)}`

export const execution = (id: string, signal: AbortSignal) =>
  receive(Model.WorkflowExecution, executionPath(id), { signal })

export const cancelExecution = (id: string) => post(Model.WorkflowExecution, `${executionPath(id)}/cancel`, {})

export const failures = (queue: string | undefined, signal: AbortSignal) =>
  receive(Model.Failures, `api/failures${query({ queue })}`, { signal })

export const activity = (queue: string, signal: AbortSignal) =>
  receive(Model.Activity, `api/activity${query({ queue })}`, { signal })

export const report = (queue: string | undefined, signal: AbortSignal) =>
  receive(Model.Report, `api/report${query({ queue })}`, { signal })

export const requeue = (selection: Model.Selection) => post(Model.Changes, "api/requeue", selection)

export const cancel = (selection: Model.Selection) => post(Model.Changes, "api/cancel", selection)

export const decide = (decision: Model.Decision) => post(Model.Decided, "api/reviews", decision)

export const audit = (
  search: { readonly queue?: string | undefined; readonly share?: string | undefined },
  signal: AbortSignal
) => receive(Model.AuditOverview, `api/audit${query(search)}`, { signal })

export const find = (finding: Model.Finding) => post(Model.AuditedVerdict, "api/audit", finding)

export const settings = (queue: string, signal: AbortSignal) =>
  receive(Model.Settings, `api/settings${query({ queue })}`, { signal })

export const set = (change: Model.ChangeSettings) => post(Model.Settings, "api/settings", change)

export const control = (request: "pause" | "resume") => post(Model.Control, "api/control", { request })
