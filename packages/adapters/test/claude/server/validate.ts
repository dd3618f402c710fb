import { isObject, type Json, Refused } from "./http.ts"
import { type Model, modelOf } from "./models.ts"
import { inputTokens } from "./tokens.ts"

const refuse = (message: string): never => {
  throw new Refused(400, message)
}

const allowed = new Set(
  `model max_tokens messages system tools tool_choice stop_sequences stream thinking output_config cache_control metadata
  service_tier speed inference_geo container diagnostics`.split(/\s+/)
)

const stops: Readonly<Record<string, string>> = {
  output_format: "output_format: Extra inputs are not permitted. Use output_config.format instead",
  temperature: "temperature: Extra inputs are not permitted",
  top_p: "top_p: Extra inputs are not permitted",
  top_k: "top_k: Extra inputs are not permitted"
}

const countMarks = (value: unknown): number => {
  if (Array.isArray(value)) return value.reduce((sum: number, item) => sum + countMarks(item), 0)
  if (!isObject(value)) return 0
  return (isObject(value.cache_control) ? 1 : 0) + countMarks(value.content)
}

/** What a schema for structured output must look like; see the documentation of the API. */
const checkSchema = (schema: unknown, path: string): void => {
  if (!isObject(schema)) return void refuse(`${path}: Input should be a valid dictionary`)
  if (schema.oneOf !== undefined) refuse(`${path}: 'oneOf' is not supported`)
  if (schema.type === "object" && schema.additionalProperties !== false) {
    refuse(`${path}: For 'object' type, 'additionalProperties' must be explicitly set to false`)
  }
  for (const name of ["minimum", "maximum", "minLength", "maxLength", "maxItems", "pattern", "multipleOf"]) {
    if (schema[name] !== undefined) refuse(`${path}: property '${name}' is not supported`)
  }
  for (const name of ["properties", "$defs", "definitions"]) {
    const inner = schema[name]
    if (isObject(inner)) for (const [key, value] of Object.entries(inner)) checkSchema(value, `${path}.${name}.${key}`)
  }
  if (schema.items !== undefined) checkSchema(schema.items, `${path}.items`)
  for (const name of ["anyOf", "allOf"]) {
    const inner = schema[name]
    if (Array.isArray(inner)) inner.forEach((item, index) => checkSchema(item, `${path}.${name}.${index}`))
  }
}

const checkThinking = (thinking: unknown, model: Model) => {
  if (thinking === undefined) return
  if (!isObject(thinking) || typeof thinking.type !== "string") return void refuse("thinking.type: Field required")
  if (!model.thinking.includes(thinking.type)) {
    refuse(`thinking.type: "${thinking.type}" is not supported for this model`)
  }
  if (thinking.type === "enabled" && !(Number(thinking.budget_tokens) >= 1024)) {
    refuse("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
  }
}

const serverTools = new Set(["web_search_20260318", "web_fetch_20260318", "code_execution_20250825"])

/** The client runs tools without a type. The API runs the others itself, and does not count their tokens. */
const checkTools = (tools: unknown, { counting }: { readonly counting: boolean }) => {
  if (!Array.isArray(tools)) return
  for (const [index, tool] of tools.entries()) {
    if (isObject(tool) && (tool.type === undefined || tool.type === "custom")) continue
    if (!isObject(tool) || !serverTools.has(String(tool.type))) {
      refuse(`tools.${index}: Input tag does not match any of the expected tags`)
    }
    if (isObject(tool) && tool.max_uses !== undefined && !(Number(tool.max_uses) >= 1)) {
      refuse(`tools.${index}.max_uses: Input should be greater than or equal to 1`)
    }
    if (counting) refuse("Server tools are not supported for token counting")
  }
}

/** Throws `Refused` for a request that the API would not take. */
export const validate = (body: unknown, options: { readonly beta: boolean; readonly counting: boolean }): Json => {
  if (!isObject(body)) throw new Refused(400, "The request body is not valid JSON")
  for (const name of Object.keys(body)) {
    const stop = stops[name]
    if (stop !== undefined) refuse(stop)
    if (!allowed.has(name) && !options.beta) refuse(`${name}: Extra inputs are not permitted`)
  }
  if (typeof body.model !== "string") throw new Refused(400, "model: Field required")
  const model = modelOf(body.model)
  if (model === undefined || model.lifecycle === "retired") throw new Refused(404, `model: ${body.model}`)
  if (options.counting && body.max_tokens !== undefined) refuse("max_tokens: Extra inputs are not permitted")
  if (!options.counting) {
    if (body.max_tokens === undefined) refuse("max_tokens: Field required")
    if (!Number.isInteger(body.max_tokens) || Number(body.max_tokens) < 0) {
      refuse("max_tokens: Input should be a valid integer, greater than or equal to 0")
    }
    if (Number(body.max_tokens) > model.output) {
      refuse(
        `max_tokens: ${String(body.max_tokens)} > ${model.output}, which is the maximum allowed number of output tokens for ${model.id}`
      )
    }
  }
  if (!Array.isArray(body.messages)) throw new Refused(400, "messages: Field required")
  if (body.messages.length === 0) refuse("messages: at least one message is required")
  body.messages.forEach((message, index) => {
    if (!isObject(message)) return void refuse(`messages.${index}: Input should be a valid dictionary`)
    if (!["user", "assistant", "system"].includes(String(message.role))) {
      refuse(`messages.${index}.role: Input should be 'user', 'assistant' or 'system'`)
    }
    if (typeof message.content !== "string" && !Array.isArray(message.content)) {
      refuse(`messages.${index}.content: Field required`)
    }
    if (message.content === "" || (Array.isArray(message.content) && message.content.some(isEmptyText))) {
      refuse(`messages.${index}: all messages must have non-empty content`)
    }
  })
  if (Array.isArray(body.system) && body.system.some(isEmptyText))
    refuse("system: text content blocks must be non-empty")
  if (countMarks(body.tools) + countMarks(body.system) + countMarks(body.messages) > 4) {
    refuse("A maximum of 4 blocks with cache_control may be provided.")
  }
  if (
    isObject(body.tool_choice) &&
    ["any", "tool"].includes(String(body.tool_choice.type)) &&
    model.id.endsWith("-5-5")
  ) {
    refuse(
      `tool_choice: "${String(body.tool_choice.type)}" is not supported for ${model.id}. Use output_config.format for structured output`
    )
  }
  checkTools(body.tools, options)
  checkThinking(body.thinking, model)
  const config = body.output_config
  if (isObject(config) && config.format !== undefined && config.format !== null) {
    if (!isObject(config.format) || config.format.type !== "json_schema")
      refuse("output_config.format.type: Input should be 'json_schema'")
    else {
      if (!model.structuredOutputs) refuse(`output_config.format: structured outputs are not supported for ${model.id}`)
      checkSchema(config.format.schema, "output_config.format.schema")
    }
  }
  if (isObject(config) && config.effort !== undefined && config.effort !== null) {
    if (!["low", "medium", "high", "xhigh", "max"].includes(String(config.effort)))
      refuse("output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'")
  }
  const tokens = inputTokens(body)
  if (tokens > model.context) refuse(`prompt is too long: ${tokens} tokens > ${model.context} maximum`)
  return body
}

const isEmptyText = (block: unknown) => isObject(block) && block.type === "text" && block.text === ""
