/** Reads the conversation of a record: `messages`, as chat APIs have it. */
import type { Message } from "@baton/core/Task"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import { isJsonObject, show } from "./Entry.ts"
import * as jsonText from "./jsonText.ts"

/** A conversation; without messages if the field holds something else, which is data then. */
export interface Conversation {
  readonly messages: ReadonlyArray<Message> | undefined
  /** The instructions of messages with the role `system`. */
  readonly system: { readonly system: string } | undefined
  /** The text of the last message, which describes the task. */
  readonly lastText: string
}

interface Options {
  readonly fileProblem?: ((path: string) => string | undefined) | undefined
}

const none: Conversation = { messages: undefined, system: undefined, lastText: "" }

/**
 * Reads a list of messages, also as JSON in a cell of a table. Only a list of objects with a `role` is a conversation.
 * Messages with the role `system` become the system prompt.
 */
export const read = (field: Schema.Json | undefined, options: Options): Result.Result<Conversation, string> => {
  const value =
    typeof field === "string" && field.trimStart().startsWith("[")
      ? Result.getOrElse(jsonText.parse(field), () => field)
      : field
  if (!Array.isArray(value) || value.length === 0) return Result.succeed(none)
  const items: ReadonlyArray<Schema.Json> = value
  if (!items.every((item) => isJsonObject(item) && item["role"] !== undefined)) return Result.succeed(none)
  const messages: Array<Message> = []
  const system: Array<string> = []
  for (const item of items) {
    if (!isJsonObject(item)) continue
    const { content, role } = item
    if (role === "system" || role === "developer") {
      if (typeof content !== "string")
        return Result.fail(`a message with the role "${role}" must have text as its content`)
      system.push(content)
      continue
    }
    if (role !== "user" && role !== "assistant") {
      return Result.fail(`the role of a message must be system, user or assistant, but is ${show(role ?? null)}`)
    }
    const problem = problemOf(content, options)
    if (problem !== undefined) return Result.fail(problem)
    messages.push({ role, content: typeof content === "string" ? content : blocksOf(content) })
  }
  const last = messages.at(-1)
  if (last?.role !== "user") return Result.fail('the last of the "messages" must have the role "user"')
  return Result.succeed({
    messages,
    system: system.length === 0 ? undefined : { system: system.join("\n\n") },
    lastText: typeof last.content === "string" ? last.content : textOf(last.content)
  })
}

const blocksOf = (content: Schema.Json | undefined): ReadonlyArray<Schema.JsonObject> =>
  Array.isArray(content) ? content.filter((block: Schema.Json) => isJsonObject(block)) : []

/** The texts of the blocks, and the paths of files where there is no text. */
const textOf = (blocks: ReadonlyArray<Schema.JsonObject>): string => {
  const named = (name: string) =>
    blocks.flatMap((block) => (typeof block[name] === "string" ? [block[name]] : [])).join("\n")
  return named("text") || named("path")
}

const problemOf = (content: Schema.Json | undefined, { fileProblem }: Options): string | undefined => {
  if (typeof content === "string") return content.trim() === "" ? "the content of a message is empty" : undefined
  if (!Array.isArray(content) || content.length === 0) {
    return `the content of a message must be text or a list of blocks, but is ${show(content ?? null)}`
  }
  for (const block of content) {
    if (!isJsonObject(block) || typeof block["type"] !== "string") {
      return `a block of a message must be an object such as {"type": "text", "text": "…"}, but is ${show(block)}`
    }
    const { path } = block
    if (path === undefined) continue
    const problem = typeof path === "string" ? fileProblem?.(path) : `its path is ${show(path)}`
    if (problem !== undefined) return problem
  }
  return undefined
}
