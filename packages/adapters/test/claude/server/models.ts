import { type Exchange, type Route, sendError, sendJson } from "./http.ts"

interface Known {
  readonly lifecycle?: "active" | "deprecated" | "retired"
  readonly retiresAt?: string
  readonly context?: number
  readonly output?: number
  readonly thinking?: ReadonlyArray<string>
  readonly structuredOutputs?: boolean
}

const newest = ["adaptive", "between_tools", "disabled"]

const known: Readonly<Record<string, Known>> = {
  "claude-haiku-5-5": { thinking: newest },
  "claude-sonnet-5-5": { thinking: newest },
  "claude-opus-5-5": { thinking: newest },
  "claude-fable-5-2": { thinking: newest },
  "claude-mythos-5-2": { thinking: newest },
  "claude-fable-5-1": {},
  "claude-sonnet-5": {},
  "claude-opus-5": {},
  "claude-opus-4-8": {},
  "claude-opus-4-7": {},
  "claude-opus-4-6": { context: 200_000 },
  "claude-sonnet-4-6": { context: 200_000, output: 64_000 },
  "claude-haiku-4-5": { context: 200_000, output: 64_000 },
  "claude-haiku-4-5-20251001": { context: 200_000, output: 64_000 },
  "claude-sonnet-4-5": { lifecycle: "deprecated", retiresAt: "2026-11-30T00:00:00Z", context: 200_000, output: 64_000 },
  "claude-sonnet-4": {
    lifecycle: "retired",
    retiresAt: "2026-06-15T00:00:00Z",
    context: 200_000,
    output: 64_000,
    structuredOutputs: false
  }
}

export interface Model extends Required<Omit<Known, "retiresAt">> {
  readonly id: string
  readonly retiresAt: string | null
}

export const modelOf = (id: string): Model | undefined => {
  const model = Object.hasOwn(known, id) ? known[id] : undefined
  return (
    model && {
      id,
      lifecycle: "active",
      context: 1_000_000,
      output: 128_000,
      thinking: ["adaptive", "disabled", "enabled"],
      structuredOutputs: true,
      ...model,
      retiresAt: model.retiresAt ?? null
    }
  )
}

const supported = (yes: boolean) => ({ supported: yes })

const describe = (model: Model) => ({
  type: "model",
  id: model.id,
  display_name: model.id.replace(/-/g, " "),
  created_at: "2026-01-01T00:00:00Z",
  lifecycle: model.lifecycle,
  deprecated_at: model.lifecycle === "active" ? null : "2026-05-01T00:00:00Z",
  retires_at: model.retiresAt,
  line: model.id.split("-")[1],
  max_input_tokens: model.context,
  max_tokens: model.output,
  capabilities: {
    batch: supported(true),
    citations: supported(true),
    code_execution: supported(true),
    context_management: {
      supported: false,
      clear_thinking_20251015: null,
      clear_tool_uses_20250919: null,
      compact_20260112: null
    },
    effort: {
      supported: true,
      ...Object.fromEntries(["low", "medium", "high", "xhigh", "max"].map((name) => [name, supported(true)]))
    },
    image_input: supported(true),
    pdf_input: supported(true),
    server_tools: { supported: true, code_execution: supported(true), web_search: supported(true) },
    structured_outputs: supported(model.structuredOutputs),
    thinking: {
      supported: true,
      types: Object.fromEntries(
        ["adaptive", "between_tools", "disabled", "enabled"].map((name) => [
          name,
          supported(model.thinking.includes(name))
        ])
      )
    }
  }
})

const list = (exchange: Exchange) => {
  const data = Object.keys(known).flatMap((id) => {
    const model = modelOf(id)
    return model === undefined ? [] : [describe(model)]
  })
  sendJson(exchange, 200, { data, has_more: false, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null })
}

export const routes: ReadonlyArray<Route> = [
  { method: "GET", path: /^\/v1\/models$/, handle: (_, exchange) => list(exchange) },
  {
    method: "GET",
    path: /^\/v1\/models\/([^/]+)$/,
    handle: (_, exchange, [, id = ""]) => {
      const model = modelOf(decodeURIComponent(id))
      if (model === undefined) sendError(exchange, { status: 404, message: `model: ${id}` })
      else sendJson(exchange, 200, describe(model))
    }
  }
]
