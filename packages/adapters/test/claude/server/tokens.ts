import { isObject, type Json } from "./http.ts"

/** Four bytes are a token: no tokenizer, but the same for the same text, always. */
export const tokensOf = (text: string): number => Math.ceil(Buffer.byteLength(text) / 4)

/** All texts of a request in the order in which they are cached: tools, system, messages. */
const parts = (body: Json): ReadonlyArray<{ readonly text: string; readonly marked: Json | undefined }> => {
  const found: Array<{ text: string; marked: Json | undefined }> = []
  const add = (value: unknown) => {
    if (typeof value === "string") found.push({ text: value, marked: undefined })
    else if (isObject(value)) {
      const { cache_control, ...rest } = value
      const text = typeof rest.text === "string" ? rest.text : JSON.stringify(rest)
      found.push({ text, marked: isObject(cache_control) ? cache_control : undefined })
    }
  }
  const addAll = (value: unknown) => (Array.isArray(value) ? value.forEach(add) : add(value))
  addAll(body.tools)
  addAll(body.system)
  if (Array.isArray(body.messages)) {
    for (const message of body.messages) if (isObject(message)) addAll(message.content)
  }
  const last = found.at(-1)
  // `cache_control` at the top: everything up to the last block.
  if (isObject(body.cache_control) && last !== undefined) last.marked = body.cache_control
  return found
}

/** The input tokens of a request, whatever the cache does with them. */
export const inputTokens = (body: Json): number => parts(body).reduce((sum, { text }) => sum + tokensOf(text), 0)

export interface InputUsage {
  readonly input_tokens: number
  readonly cache_creation_input_tokens: number
  readonly cache_read_input_tokens: number
  readonly cache_creation: {
    readonly ephemeral_5m_input_tokens: number
    readonly ephemeral_1h_input_tokens: number
  }
}

/** Shorter prefixes are silently not cached. */
const shortestPrefix = 512

/** The prompt cache: a prefix can be read as soon as an answer to a request that wrote it has begun. */
export class PromptCache {
  readonly #known = new Set<string>()

  /** The cache reads and writes of a request; `begin` makes its writes readable. */
  look(body: Json): { readonly usage: InputUsage; readonly begin: () => void } {
    const all = parts(body)
    let prefix = `${String(body.model)}\n`
    let length = 0
    let read = 0
    let written = 0
    let ttl = "5m"
    const keys: Array<string> = []
    for (const { marked, text } of all) {
      prefix += `${text}\n`
      length += tokensOf(text)
      if (marked === undefined || length < shortestPrefix) continue
      if (this.#known.has(prefix)) read = length
      else {
        keys.push(prefix)
        written = length
        ttl = marked.ttl === "1h" ? "1h" : "5m"
      }
    }
    const creation = Math.max(0, written - read)
    const total = inputTokens(body)
    return {
      usage: {
        input_tokens: total - read - creation,
        cache_creation_input_tokens: creation,
        cache_read_input_tokens: read,
        cache_creation: {
          ephemeral_5m_input_tokens: ttl === "5m" ? creation : 0,
          ephemeral_1h_input_tokens: ttl === "1h" ? creation : 0
        }
      },
      begin: () => {
        for (const key of keys) this.#known.add(key)
      }
    }
  }
}
